"""Figures of a dataset over time: missing images, and the brightness of each channel.

SDOBenchmark does not correct for the degradation of AIA, so a network may learn the date from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import NDArray

from flare.datasets.sdobenchmark.census import SplitCensus
from flare.plots.style import (
    BLUE,
    GREY,
    INK,
    LARGE,
    NORMAL,
    SMALL,
    centred,
    date_ticks,
    days_of,
    dress,
    headline,
    label_bar,
    new_figure,
    period_days,
)
from flare.sample import (
    CHANNELS,
    PIXEL_SCALES,
    STEP_NAMES,
    Present,
    channel_title,
    channel_unit,
    physical_values,
)

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
    label_bar(bar, "missing images (%)", size=NORMAL)
    bar.set_ticks(_MISSING_TICKS, labels=[str(tick) for tick in _MISSING_TICKS])
    bar.ax.tick_params(color=GREY, labelcolor=INK)
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
        colour = "white" if value > 15 else INK
        text = "0" if value == 0 else f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
        centred(axes, step + 0.5, channel + 0.5, text, fontsize=SMALL - 1.5, color=colour)
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


#: Least height of an axis: a factor of DN/s, a share of the whole range of HMI.
_LEAST_FACTOR, _LEAST_SHARE = 4.0, 0.04
_BAND = (16, 84)  # per cent: what one standard deviation would be of a normal distribution


@dataclass(frozen=True)
class Brightness:
    """Images of one channel by period: middle of the period, median and band, each (periods,).

    Values are DN/s, counts or gauss. ``years`` holds the first and last year with images and the
    medians of those, none where there is no image.
    """

    times: NDArray[np.float64]
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    years: tuple[tuple[int, float], ...]


def brightness_over_time(splits: Mapping[str, SplitCensus]) -> Figure:
    """Draw the median brightness of each channel's images by quarter, with the 16-84 % band.

    All images of all splits count alike: they come from the same instruments. Where they span
    less than two years, months take the place of quarters.
    """
    times = pd.concat([split.table["end"] for split in splits.values()], ignore_index=True)
    present = np.concatenate([split.present for split in splits.values()])  # (N, T, C)
    grey = np.concatenate([split.grey for split in splits.values()])
    long = times.max() - times.min() >= pd.Timedelta(days=730)
    frequency, unit = ("Q", "quarter") if long else ("M", "month")
    figure = new_figure(11.0, 5.2)
    panels = figure.subplots(2, 5, sharex=True)
    for k, (axes, channel) in enumerate(zip(panels.flat, CHANNELS, strict=True)):
        series = brightness(
            times, present[..., k], grey[..., k], channel=channel, frequency=frequency
        )
        _draw(axes, series, channel)
    edges = period_days(pd.period_range(times.min(), times.max(), freq=frequency))
    panels[0, 0].set_xlim(edges[0], edges[-1])
    for axes in panels[-1]:
        date_ticks(axes, most=5, year_below=False)
    headline(
        figure,
        f"Median of an image in physical units: the middle image of each {unit}, and the band "
        f"from {_BAND[0]} to {_BAND[1]} % of its images",
    )
    return figure


def brightness(
    times: "pd.Series[pd.Timestamp]",
    present: NDArray[np.bool_],
    grey: NDArray[np.float32],
    *,
    channel: str,
    frequency: str,
) -> Brightness:
    """Sum up the images of one channel by period.

    ``times`` are issue times, (N,); ``present`` and ``grey`` which images there are and their
    median grey levels, (N, T); ``frequency`` is ``Q`` for quarters or ``M`` for months.
    """
    rows, _ = present.nonzero()
    if not len(rows):
        nothing = np.empty(0)
        return Brightness(nothing, nothing, nothing, nothing, ())
    values = pd.Series(physical_values(grey[present], channel).astype(np.float64))
    when = times.iloc[rows].reset_index(drop=True)
    periods = when.dt.to_period(frequency)
    whole = pd.period_range(periods.min(), periods.max(), freq=frequency)
    groups = values.groupby(periods)
    low, median, high = (
        np.asarray(groups.quantile(share / 100).reindex(whole), dtype=np.float64)
        for share in (_BAND[0], 50, _BAND[1])
    )
    edges = period_days(whole)
    yearly = values.groupby(when.dt.year).median()
    ends = dict.fromkeys([yearly.index[0], yearly.index[-1]])
    years = tuple((int(year), float(yearly[year])) for year in ends)
    return Brightness((edges[:-1] + edges[1:]) / 2, median, low, high, years)


def _draw(axes: Axes, series: Brightness, channel: str) -> None:
    dress(axes, title=f"{channel_title(channel)} ({channel_unit(channel)})", size=NORMAL)
    if not series.years:
        place = {"transform": axes.transAxes, "fontsize": NORMAL, "color": GREY}
        centred(axes, 0.5, 0.5, "no images", **place)
        axes.set_yticks([])
        return
    there = np.isfinite(np.pad(series.median, 1, constant_values=np.nan))
    alone = there[1:-1] & ~there[:-2] & ~there[2:]  # neither line nor band can show these
    axes.fill_between(series.times, series.low, series.high, color=BLUE, alpha=0.25, linewidth=0)
    axes.vlines(series.times[alone], series.low[alone], series.high[alone], color=BLUE, alpha=0.35)
    axes.plot(series.times, series.median, color=BLUE, linewidth=1.3, marker="o", markersize=2.2)
    _scale(axes, series, channel)
    axes.text(
        0.97, 0.96, _change(series.years, channel), transform=axes.transAxes, ha="right",
        va="top", fontsize=SMALL, color=INK,
    )  # fmt: skip


def _scale(axes: Axes, series: Brightness, channel: str) -> None:
    """Set limits with room for a line of text, and not below the least height."""
    scale = PIXEL_SCALES[channel]
    low, high = float(np.nanmin(series.low)), float(np.nanmax(series.high))
    if not scale.log10:
        least = _LEAST_SHARE * (scale.high - scale.low)
        spare = max(0.0, least - (high - low)) / 2
        height = max(high - low, least)
        axes.set_ylim(low - spare - 0.06 * height, high + spare + 0.25 * height)
        return
    spare = max(1.0, _LEAST_FACTOR / (high / low)) ** 0.5
    ratio = max(high / low, _LEAST_FACTOR)
    axes.set_yscale("log")
    axes.set_ylim(low / spare / ratio**0.06, high * spare * ratio**0.25)
    subs = (1, 2, 5) if ratio < 40 else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=20))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.minorticks_off()


def _change(years: tuple[tuple[int, float], ...], channel: str) -> str:
    """Describe the change from the first to the last year: a factor, or counts or gauss."""
    if len(years) == 1:
        return f"{years[0][0]} alone"
    (first, before), (last, after) = years
    span = f"{first}\N{EN DASH}{last}"
    if not PIXEL_SCALES[channel].log10:  # linear ones may be zero
        digits, unit = (1, "G") if channel == "magnetogram" else (0, "counts")
        return f"{after - before:+.{digits}f} {unit}, {span}"
    verb, ratio = ("falls", before / after) if before >= after else ("rises", after / before)
    return f"{verb} ×{ratio:.3g}, {span}" if ratio >= 1.005 else f"as before, {span}"
