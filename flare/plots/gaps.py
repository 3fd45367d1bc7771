"""When and where images are missing: by channel over time, and by channel and time step."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.datasets.sdobenchmark.census import SplitCensus
from flare.plots.style import GREY, INK, LARGE, NORMAL, SMALL, dress, new_figure
from flare.plots.time_axis import date_ticks, days_of, period_days
from flare.sample import CHANNELS, STEP_NAMES, Present, channel_title

#: White where nothing is missing, through blue to black where everything is.
_COLOURS: Colormap = LinearSegmentedColormap.from_list(
    "missing", ["#ffffff", "#9ecae1", "#3182bd", "#08306b", "#000000"]
)
#: Most months miss a few in a hundred and a few months miss all: a straight scale shows only those.
_SCALE = PowerNorm(0.5, 0, 100)
_FEWEST_PERIODS = 7
_TICKS = (0, 1, 5, 20, 50, 100)


def missing_over_time(splits: Mapping[str, SplitCensus]) -> Figure:
    """Draw the share of missing images: channel against time, and channel against time step.

    Time is in months where the splits span two years or more, in weeks from two months on, and
    else in days; a week of days at least. Stretches without any sample are hatched.

    Parameters
    ----------
    splits
        One or both, by name.
    """
    figure = new_figure(10.0, 1.5 + 2.5 * len(splits))
    rows = figure.subplots(len(splits), 2, width_ratios=[6.5, 1], squeeze=False)
    unit, edges = _periods(pd.concat([split.table["end"] for split in splits.values()]))
    for (over_time, by_step), (name, split) in zip(rows, splits.items(), strict=True):
        _draw_over_time(over_time, split, edges)
        over_time.set_title(
            f"{name}, by {unit} (hatched: no sample)", fontsize=LARGE, loc="left", color=INK
        )
        _draw_by_step(by_step, split)
    bar = figure.colorbar(ScalarMappable(_SCALE, _COLOURS), ax=rows, shrink=0.8, pad=0.015)
    bar.set_label("missing images (%)", fontsize=NORMAL, color=INK)
    bar.set_ticks(_TICKS, labels=[str(tick) for tick in _TICKS])
    bar.ax.tick_params(labelsize=SMALL, color=GREY, labelcolor=INK)
    bar.outline.set_edgecolor(GREY)
    return figure


def _periods(times: "pd.Series[pd.Timestamp]") -> tuple[str, NDArray[np.float64]]:
    """Return the name of the unit and the edges, in days, of the periods that hold all times."""
    days = (times.max() - times.min()) / pd.Timedelta(days=1)
    unit, frequency = (
        ("month", "M") if days >= 730 else ("week", "W") if days >= 60 else ("day", "D")
    )
    periods = pd.period_range(times.min(), times.max(), freq=frequency)
    few = max(0, _FEWEST_PERIODS - len(periods))
    if few:
        periods = pd.period_range(periods[0] - few // 2, periods=_FEWEST_PERIODS, freq=frequency)
    return unit, period_days(periods)


def missing_share(
    present: Present, times: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of missing images in per cent, (C, periods); NaN where no sample is.

    Parameters
    ----------
    present
        Bool (N, T, C).
    times
        Issue times in days, (N,).
    edges
        Where periods begin, ascending, and where the last one ends.
    """
    period = np.searchsorted(edges, times, side="right") - 1
    share = np.full((len(CHANNELS), len(edges) - 1), np.nan)
    for k in np.unique(period):
        share[:, k] = 100 * (~present[period == k]).mean(axis=(0, 1))
    return share


def _draw_over_time(axes: Axes, split: SplitCensus, edges: NDArray[np.float64]) -> None:
    share = missing_share(split.present, days_of(split.table["end"]), edges)
    axes.set_facecolor("#ededed")
    # Hatching needs an artist; it lies behind the map, which is transparent where no sample is.
    axes.axvspan(
        edges[0], edges[-1], facecolor="none", edgecolor="#cfcfcf",
        hatch="////", linewidth=0, zorder=0,
    )  # fmt: skip
    axes.pcolormesh(
        edges, np.arange(len(CHANNELS) + 1), share, cmap=_COLOURS, norm=_SCALE,
        shading="flat", rasterized=True,
    )  # fmt: skip
    _channel_rows(axes)
    date_ticks(axes, most=10)
    axes.xaxis.get_offset_text().set_fontsize(SMALL)
    axes.set_xlim(edges[0], edges[-1])


def _draw_by_step(axes: Axes, split: SplitCensus) -> None:
    share = 100 * (~split.present).mean(axis=0).T  # (C, T)
    axes.pcolormesh(
        np.arange(len(STEP_NAMES) + 1), np.arange(len(CHANNELS) + 1), share,
        cmap=_COLOURS, norm=_SCALE, edgecolors="white", linewidth=0.5,
    )  # fmt: skip
    for (channel, step), value in np.ndenumerate(share):
        axes.text(
            step + 0.5, channel + 0.5, _percent(value), ha="center", va="center",
            fontsize=SMALL - 1.5, color="white" if value > 15 else INK,
        )  # fmt: skip
    _channel_rows(axes)
    axes.set_title("by time step", fontsize=LARGE, loc="left", color=INK)
    axes.set_yticklabels([])
    axes.set_xticks(np.arange(len(STEP_NAMES)) + 0.5, STEP_NAMES, rotation=45, ha="right")


def _channel_rows(axes: Axes) -> None:
    """Name the rows, the first channel at the top."""
    dress(axes)
    names = [channel_title(channel) for channel in CHANNELS]
    axes.set_yticks(np.arange(len(CHANNELS)) + 0.5, names)
    axes.set_ylim(len(CHANNELS), 0)
    axes.tick_params(length=0, axis="y")
    axes.grid(visible=False)


def _percent(value: float) -> str:
    return "0" if value == 0 else f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
