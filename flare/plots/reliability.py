"""The reliability diagram: observed frequency against forecast probability."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from flare.plots.groups import draw_intervals
from flare.plots.style import (
    BLUE,
    COLUMN,
    GREY,
    INK,
    LIGHT,
    NORMAL,
    ORANGE,
    SKY,
    SMALL,
    VERMILLION,
    dress,
    headline,
    legend_below,
    new_figure,
    write,
)
from flare.verification.bootstrap import LEVEL
from flare.verification.reliability import ReliabilityBins, reliability_bins


def reliability_diagram(
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    *,
    event: str,
    n_bins: int = 10,
    weights: NDArray[np.float64] | None = None,
) -> Figure:
    """Draw observed frequency against forecast probability, over the number of forecasts.

    Bars are intervals of the observed frequency. The band is the range of a reliable forecaster;
    above the line of no skill a bin adds to the Brier skill score. Bins have equally many forecasts
    and the axes are logarithmic (linear around 0): most forecasts of a rare event are near 0.

    ``observed`` and ``probability`` are (N,); ``weights`` are of resampled active regions, (R, N),
    without them bars are binomial.
    """
    data = reliability_bins(observed, probability, n_bins=n_bins, bins="count", weights=weights)
    rate = float(np.mean(observed))
    figure = new_figure(COLUMN, 4.9)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.1])
    linear_below = _linear_below(rate)
    _draw_reference(upper, data, rate, starts=linear_below)
    draw_intervals(upper, data.mean_probability, data.observed, color=BLUE)
    some = data.observed.counts > 0
    upper.plot(
        data.mean_probability[some], data.observed.value[some], color=BLUE, linewidth=0.8,
        label="forecasts, by bin",
    )  # fmt: skip
    dress(upper, y="observed frequency")
    _draw_counts(lower, probability, observed, _histogram_edges(linear_below))
    _scale(upper, lower, linear_below)
    counts = f"{np.count_nonzero(observed)} events in {len(observed)}"
    headline(figure, f"Reliability, {event} and above: {counts}", size=NORMAL)
    legend_below(lower, of=upper)
    return figure


def _linear_below(rate: float) -> float:
    """Return where logarithmic axes become linear: a decade or two below the event rate."""
    return float(10 ** np.floor(np.log10(np.clip(rate, 1e-2, 1)) - 0.7))


def _draw_reference(axes: Axes, data: ReliabilityBins, rate: float, *, starts: float) -> None:
    line = np.append(0, np.geomspace(starts / 10, 1, 200))
    axes.plot(line, line, color=INK, linewidth=0.8, label="perfectly reliable")
    axes.axhline(rate, color=GREY, linewidth=0.8, linestyle="--", label=f"event rate {rate:.3g}")
    axes.plot(
        line, (line + rate) / 2, color=VERMILLION, linewidth=0.8, linestyle=":", label="no skill"
    )
    # The band is drawn at the bins only.
    banded = ~np.isnan(data.band_low)
    axes.vlines(
        data.mean_probability[banded], data.band_low[banded], data.band_high[banded],
        color=SKY, alpha=0.45, linewidth=7, label=f"{100 * LEVEL:g} % if reliable",
    )  # fmt: skip


def _histogram_edges(linear_below: float) -> NDArray[np.float64]:
    """Return five bins to a decade, and one around 0."""
    decades = round(-np.log10(linear_below))
    return np.append(0, np.geomspace(linear_below, 1, 5 * decades + 1))


def _draw_counts(
    axes: Axes,
    probability: NDArray[np.float64],
    observed: NDArray[np.bool_],
    edges: NDArray[np.float64],
) -> None:
    width, left = np.diff(edges), edges[:-1]
    counts = np.histogram(probability, edges)[0]
    events = np.histogram(probability[observed], edges)[0]
    axes.bar(
        left, counts, width, align="edge", color=LIGHT, edgecolor=GREY, linewidth=0.6,
        label="all samples",
    )  # fmt: skip
    axes.bar(left, events, width, align="edge", color=ORANGE, label="events")
    filled = counts[counts > 0]
    # Counts of a rare event range from hundreds to two.
    if filled.max() > 30 * filled.min():
        axes.set_yscale("symlog", linthresh=1)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(0, 8 * filled.max())
    else:
        axes.set_ylim(0, 1.6 * filled.max())
    for start, end, count in zip(left, edges[1:], counts, strict=True):
        if count and len(counts) <= 10:
            write(axes, f"{count}", ((start + end) / 2, count), up=1.5, fontsize=SMALL - 1)
    dress(axes, x="forecast probability", y="samples")
    counted = axes.legend(
        fontsize=SMALL - 1, loc="upper right", frameon=False, ncols=2, labelcolor=INK,
        handlelength=1.2, borderaxespad=0.1,
    )  # fmt: skip
    axes.add_artist(counted)  # so that another legend does not take its place


def _scale(upper: Axes, lower: Axes, linear_below: float) -> None:
    ticks = [0, *(10.0**power for power in range(round(np.log10(linear_below)), 1))]
    for axis in (upper.yaxis, lower.xaxis):
        set_scale = upper.set_yscale if axis is upper.yaxis else lower.set_xscale
        set_scale("symlog", linthresh=linear_below, linscale=0.4)
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    upper.set_ylim(-0.15 * linear_below, 1.3)
    lower.set_xlim(-0.15 * linear_below, 1.05)
