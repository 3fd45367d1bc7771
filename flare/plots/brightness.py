"""Figure of the brightness of each channel over time.

SDOBenchmark does not correct for the degradation of AIA, so a network may learn the date from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import NDArray

from flare.datasets.sdobenchmark.census import SplitCensus
from flare.plots.style import (
    BLUE,
    GREY,
    INK,
    NORMAL,
    SMALL,
    date_ticks,
    dress,
    headline,
    new_figure,
    period_days,
)
from flare.sample import CHANNELS, PIXEL_SCALES, channel_title, channel_unit, physical_values

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
        axes.text(
            0.5, 0.5, "no images", transform=axes.transAxes, ha="center", va="center",
            fontsize=NORMAL, color=GREY,
        )  # fmt: skip
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
