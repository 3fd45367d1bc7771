"""Figures of probabilities against outcomes: reliability, Murphy diagram, error by missing images.

Probabilities and outcomes are (N,), ``weights`` those of resampled active regions, (R, N).
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from flare.plots.style import (
    BLUE,
    COLUMN,
    CYCLE,
    GREY,
    INK,
    LIGHT,
    NORMAL,
    ORANGE,
    PAGE,
    SKY,
    SMALL,
    VERMILLION,
    caption,
    dress,
    headline,
    legend_below,
    new_figure,
    plain,
    write,
)
from flare.sample import N_PLANES
from flare.verification.bootstrap import LEVEL, Grouped, grouped_means
from flare.verification.corp import corp_decomposition, murphy_curve, recalibrated_probability
from flare.verification.reliability import ReliabilityBins, reliability_bins

_Floats = NDArray[np.float64]

#: Outcomes and probabilities of one method, (n,) each.
Scored = tuple[NDArray[np.bool_], _Floats]

_LINES = ("-", "--", ":", "-.")


def draw_intervals(axes: Axes, x: _Floats, measured: Grouped, *, label: str | None = None) -> None:
    """Draw a point for each group that is not empty, and a bar where there is an interval."""
    barred = ~np.isnan(measured.low)
    axes.vlines(x[barred], measured.low[barred], measured.high[barred], color=BLUE, linewidth=1.2)
    some = measured.counts > 0
    axes.plot(
        x[some], measured.value[some], color=BLUE, marker="o", markersize=4.5, linestyle="",
        label=label,
    )  # fmt: skip


def reliability_diagram(
    observed: NDArray[np.bool_], probability: _Floats, *, event: str, weights: _Floats
) -> Figure:
    """Draw observed frequency against forecast probability, over the number of forecasts.

    Bars are intervals of the observed frequency. The band is the range of a reliable forecaster;
    above the line of no skill a bin adds to the Brier skill score. Bins have equally many forecasts
    and the axes are logarithmic (linear around 0): most forecasts of a rare event are near 0.
    """
    data = reliability_bins(observed, probability, n_bins=10, bins="count", weights=weights)
    rate = float(np.mean(observed))
    # Linear from a decade or two below the event rate on.
    linear_below = float(10 ** np.floor(np.log10(np.clip(rate, 1e-2, 1)) - 0.7))
    figure = new_figure(COLUMN, 4.9)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.1])
    _draw_reference(upper, data, rate, starts=linear_below)
    draw_intervals(upper, data.mean_probability, data.observed)
    some = data.observed.counts > 0
    upper.plot(
        data.mean_probability[some], data.observed.value[some], color=BLUE, linewidth=0.8,
        label="forecasts, by bin",
    )  # fmt: skip
    dress(upper, y="observed frequency")
    # Five bins to a decade, and one around 0.
    decades = round(-np.log10(linear_below))
    edges = np.append(0, np.geomspace(linear_below, 1, 5 * decades + 1))
    _draw_counts(lower, probability, observed, edges)
    for axis, set_scale in ((upper.yaxis, upper.set_yscale), (lower.xaxis, lower.set_xscale)):
        set_scale("symlog", linthresh=linear_below, linscale=0.4)
        axis.set_major_locator(FixedLocator([0, *(10.0**power for power in range(-decades, 1))]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    upper.set_ylim(-0.15 * linear_below, 1.3)
    lower.set_xlim(-0.15 * linear_below, 1.05)
    counts = f"{np.count_nonzero(observed)} events in {len(observed)}"
    headline(figure, f"Reliability, {event} and above: {counts}", size=NORMAL)
    legend_below(lower, of=upper)
    return figure


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


def _draw_counts(
    axes: Axes, probability: _Floats, observed: NDArray[np.bool_], edges: _Floats
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


def corp_diagrams(methods: Mapping[str, Scored], *, event: str) -> Figure:
    """Draw the reliability of each method by isotonic regression, small and side by side.

    The curve is the recalibrated probability against the forecast one; the ticks at the bottom are
    forecasts. MCB is miscalibration and DSC discrimination of the Brier score.
    """
    n_columns = min(4, len(methods))
    n_rows = -(-len(methods) // n_columns)
    figure = new_figure(PAGE, 0.7 + 1.85 * n_rows)
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (name, (observed, probability)) in zip(grid, methods.items(), strict=False):
        order = np.argsort(probability)
        curve = recalibrated_probability(observed, probability)[order]
        parts = corp_decomposition(observed, probability)["brier"]
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
        axes.axhline(observed.mean(), color=LIGHT, linewidth=1)
        axes.plot(probability[order], curve, color=BLUE, linewidth=1.4)
        axes.plot(probability, np.full(len(probability), -0.06), "|", color=INK, alpha=0.2, ms=5)
        axes.text(
            0.03, 0.97, f"MCB {float(parts.miscalibration):.3f}\n"
            f"DSC {float(parts.discrimination):.3f}", transform=axes.transAxes, va="top",
            fontsize=SMALL - 1, color=INK,
        )  # fmt: skip
        dress(axes, title=plain(name), size=NORMAL)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.12, 1.03))
    for axes in grid[len(methods) :]:
        axes.set_visible(False)
    headline(figure, f"CORP reliability, {event} and above")
    figure.supylabel("recalibrated probability", fontsize=NORMAL, color=INK)
    caption(figure, "Forecast probability to the right. Grey: perfectly reliable, and event rate.")
    return figure


def murphy_diagram(methods: Mapping[str, Scored], *, event: str) -> Figure:
    """Draw the mean elementary score of each method at all thresholds; the lower the better."""
    thresholds = np.linspace(0.005, 0.995, 199)
    figure = new_figure(PAGE, 3.9)
    axes = figure.subplots()
    for place, (name, (observed, probability)) in enumerate(methods.items()):
        axes.plot(
            thresholds, murphy_curve(observed, probability, thresholds),
            color=CYCLE[place % len(CYCLE)], linestyle=_LINES[place // len(CYCLE) % len(_LINES)],
            linewidth=1.1, label=plain(name),
        )  # fmt: skip
    title = f"Murphy diagram, {event} and above"
    dress(axes, title=title, x="threshold: cost of a false alarm", y="mean elementary score")
    axes.set(xlim=(0, 1), ylim=(0, None))
    axes.legend(
        fontsize=SMALL - 1, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False,
        labelcolor=INK, ncols=1 if len(methods) <= 18 else 2,
    )  # fmt: skip
    return figure


#: First number of missing images of each bin, and one more than the last; wider for rarer numbers.
_MISSING_EDGES = (0, 1, 3, 6, 11, 21, N_PLANES + 1)


def error_against_missing(
    n_missing: NDArray[np.integer],
    flux_error: _Floats,
    brier: _Floats,
    *,
    event: str,
    weights: _Floats,
) -> Figure:
    """Draw the error of the flux and of the probability by the number of missing images.

    Samples with more missing images may be of other years and regions than complete ones, so
    differences between bins need not be due to missing images.

    ``n_missing`` of the forty images are missing; ``flux_error`` is the distance of forecast and
    observed log10 flux in dex and ``brier`` the squared distance of probability and outcome, all
    (N,).
    """
    bins = np.arange(len(_MISSING_EDGES) - 1)
    groups = np.digitize(n_missing, _MISSING_EDGES[1:-1]) == bins[:, None]  # (G, N)
    x = bins.astype(np.float64)
    figure = new_figure(COLUMN, 4.7)
    upper, middle, lower = figure.subplots(3, 1, sharex=True, height_ratios=[2, 2, 1])
    for axes, values, y in (
        (upper, flux_error, "flux error (dex)"),
        (middle, brier, f"Brier score, {event}"),
    ):
        measured = grouped_means(values, groups, weights=weights)
        mean = float(values.mean())
        axes.axhline(mean, color=GREY, linewidth=0.8, linestyle="--", label=f"all: {mean:.3g}")
        draw_intervals(axes, x, measured)
        top = max(float(np.nanmax([measured.value, measured.high])), 1e-3)
        axes.set_ylim(-0.05 * top, 1.35 * top)  # room for the legend
        dress(axes, y=y)
        axes.legend(fontsize=SMALL, loc="upper left", frameon=False, labelcolor=INK)
    counts = groups.sum(axis=1)
    lower.bar(x, counts, 0.8, color=LIGHT, edgecolor=GREY, linewidth=0.6)
    for place, count in zip(x, counts, strict=True):
        colour = INK if count else VERMILLION
        write(lower, f"{count}", (place, count), up=1.5, fontsize=SMALL - 1, color=colour)
    lower.set_yscale("symlog", linthresh=1)
    lower.set(ylim=(0, 6 * counts.max()), yticks=[], xlim=(-0.6, len(groups) - 0.4))
    names = [
        str(a) if b == a + 1 else f"{a}\N{EN DASH}{b - 1}" for a, b in pairwise(_MISSING_EDGES)
    ]
    lower.set_xticks(x, names)
    dress(lower, x="missing images of 40", y="samples")
    lower.grid(visible=False)
    headline(figure, f"Error by missing images, {len(n_missing)} samples", size=NORMAL)
    alone = np.count_nonzero(counts) == 1
    nothing = "Nothing to compare: all samples are in one bin. " if alone else ""
    caption(figure, f"{nothing}Intervals: {100 * LEVEL:g} % over active regions.")
    return figure
