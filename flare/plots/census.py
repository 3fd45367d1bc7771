"""Figures of the census: counts with the published ones, and missing images by channel and time."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.datasets.sdobenchmark.census import COUNT_NAMES, PUBLISHED, SplitCensus
from flare.plots.style import (
    GREY,
    INK,
    LARGE,
    NORMAL,
    SMALL,
    SPLIT_COLOURS,
    date_ticks,
    days_of,
    dress,
    headline,
    new_figure,
    period_days,
    write,
)
from flare.sample import CHANNELS, STEP_NAMES, Present, channel_title


def census_figure(splits: Mapping[str, SplitCensus]) -> Figure:
    """Draw the counts of each split with the published ones, and the share of missing images."""
    figure = new_figure(4.0 + 3.4 * len(splits), 4.4)
    *counted, missing = figure.subplots(
        1, len(splits) + 1, width_ratios=[*[1.0] * len(splits), 1.15]
    )
    for k, (axes, split) in enumerate(zip(counted, splits.values(), strict=True)):
        _draw_counts(axes, split)
        axes.tick_params(labelleft=k == 0)
    _draw_missing_shares(missing, splits)
    headline(figure, "Census: counts, and those of the whole SDOBenchmark")
    return figure


def _draw_counts(axes: Axes, split: SplitCensus) -> None:
    rows = np.arange(len(COUNT_NAMES))[::-1]
    counts = np.array([split.counts[key] for key in COUNT_NAMES])
    published = np.array([PUBLISHED[split.name][key] for key in COUNT_NAMES])
    dress(axes, title=split.name)
    # Symmetric logarithm: counts range from 0 to thousands.
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.barh(rows, counts, 0.62, color=SPLIT_COLOURS[split.name], label="counted")
    axes.plot(
        published, rows, linestyle="", marker="|", markersize=13, markeredgewidth=1.6,
        color=INK, label="published",
    )  # fmt: skip
    for row, count, wanted in zip(rows, counts, published, strict=True):
        text = f"{count:,}" if count == wanted else f"{count:,} of {wanted:,}"
        ground = {"facecolor": "white", "linewidth": 0, "pad": 0.5}
        place = (max(count, wanted), row)
        write(axes, text, place, xytext=(7, 0), ha="left", va="center", bbox=ground)
    axes.set_xlim(0, 60 * max(*counts, *published))  # room for the numbers
    axes.set_xticks([0, 1, 10, 100, 1000, 10_000], ["0", "1", "10", "100", "1k", "10k"])
    axes.set_yticks(rows, list(COUNT_NAMES.values()), fontsize=NORMAL)
    axes.set_ylim(-0.6, len(COUNT_NAMES) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.minorticks_off()
    axes.set_xlabel("samples, regions", fontsize=NORMAL, color=INK)
    _legend_below(axes)


def _draw_missing_shares(axes: Axes, splits: Mapping[str, SplitCensus]) -> None:
    rows = np.arange(len(CHANNELS))[::-1]
    thick = 0.76 / len(splits)
    largest = 0.0
    for k, split in enumerate(splits.values()):
        share = 100 * (~split.present).mean(axis=(0, 1))  # (C,)
        shift = (k - (len(splits) - 1) / 2) * thick
        axes.barh(rows - shift, share, thick, color=SPLIT_COLOURS[split.name], label=split.name)
        for row, value in zip(rows - shift, share, strict=True):
            text, place = f"{value:.2f}" if value else "0", (value, row)
            write(
                axes, text, place, xytext=(3, -0.5), ha="left", va="center",
                fontsize=SMALL - 1, color=GREY,
            )  # fmt: skip
        largest = max(largest, float(share.max()))
    dress(axes, title="missing images", x="share of the channel's images (%)")
    axes.set_xlim(0, max(1.18 * largest, 1.0))
    names = [channel_title(channel) for channel in CHANNELS]
    axes.set_yticks(rows, names, fontsize=NORMAL)
    axes.set_ylim(-0.6, len(CHANNELS) - 0.4)
    axes.grid(visible=False, axis="y")
    _legend_below(axes)


def _legend_below(axes: Axes) -> None:
    """Draw the legend below the axes."""
    axes.legend(
        fontsize=SMALL, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2,
        frameon=False, labelcolor=INK, markerscale=0.6, borderaxespad=0,
    )  # fmt: skip


#: White where nothing is missing, through blue to black where everything is.
_MISSING_COLOURS: Colormap = LinearSegmentedColormap.from_list(
    "missing", ["#ffffff", "#9ecae1", "#3182bd", "#08306b", "#000000"]
)
#: Most months lack a few per cent and a few months all: a linear scale would show only those.
_MISSING_SCALE = PowerNorm(0.5, 0, 100)
_FEWEST_PERIODS = 7
_MISSING_TICKS = (0, 1, 5, 20, 50, 100)


def missing_over_time(splits: Mapping[str, SplitCensus]) -> Figure:
    """Draw the share of missing images: channel against time, and channel against time step.

    Time is in months where the splits span two years or more, in weeks from two months on, and
    else in days; a week of days at least. Stretches without any sample are hatched.
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
    bar = figure.colorbar(
        ScalarMappable(_MISSING_SCALE, _MISSING_COLOURS), ax=rows, shrink=0.8, pad=0.015
    )
    bar.set_label("missing images (%)", fontsize=NORMAL, color=INK)
    bar.set_ticks(_MISSING_TICKS, labels=[str(tick) for tick in _MISSING_TICKS])
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

    ``present`` is bool (N, T, C), ``times`` are issue times in days, (N,), and ``edges`` where
    periods begin and where the last one ends.
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
        edges, np.arange(len(CHANNELS) + 1), share, cmap=_MISSING_COLOURS, norm=_MISSING_SCALE,
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
        cmap=_MISSING_COLOURS, norm=_MISSING_SCALE, edgecolors="white", linewidth=0.5,
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
