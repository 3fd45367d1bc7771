"""Figures of the probabilities of one event: reliability, ROC, and skill at each threshold."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    VERMILLION,
    dress,
    legend,
    new_figure,
)
from flare.verification.contingency import (
    ContingencyTable,
    heidke_skill_score,
    probability_of_detection,
    probability_of_false_detection,
    true_skill_statistic,
)
from flare.verification.probabilistic import roc_area
from flare.verification.reliability import reliability_curve
from flare.verification.thresholds import tables_at


def reliability_diagram(
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    *,
    event: str,
    n_bins: int = 10,
) -> Figure:
    """Draw observed frequency against forecast probability, over the number of forecasts.

    Parameters
    ----------
    observed
        Whether the event happened, (N,).
    probability
        What was forecast, (N,).
    """
    curve = reliability_curve(observed, probability, n_bins=n_bins)
    figure = new_figure(5.0, 6.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color=INK, linewidth=0.8, label="perfectly reliable")
    base_rate = float(np.mean(observed))
    upper.axhline(
        base_rate, color=GREY, linewidth=0.8, linestyle="--", label=f"event rate {base_rate:.3f}"
    )
    filled = curve.counts > 0
    upper.plot(
        curve.mean_probability[filled],
        curve.observed_frequency[filled],
        color=BLUE,
        marker="o",
        markersize=5,
        label="forecasts, by bin",
    )
    upper.set(xlim=(0, 1), ylim=(0, 1))
    dress(upper, title=f"Reliability, {event} and above", y="observed frequency")
    legend(upper, "upper left")

    width, left = 1 / n_bins, curve.edges[:-1]
    lower.bar(left, curve.counts, width, align="edge", color=LIGHT, edgecolor=GREY, label="all")
    lower.bar(left, curve.event_counts, width, align="edge", color=ORANGE, label="events")
    # A rare event fills the first bin with hundreds and the last with two.
    lower.set_yscale("symlog", linthresh=1)
    lower.set_ylim(0, 2 * curve.counts.max())
    dress(lower, x="forecast probability", y="samples")
    legend(lower, "upper right")
    return figure


def roc_curve(
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    *,
    event: str,
    threshold: float | None = None,
) -> Figure:
    """Draw the probability of detection against that of false detection at all thresholds.

    ``threshold`` is marked where one is given. Empty without events or without non-events.
    """
    every = np.append(np.unique(probability), 1.1)  # above 1: never an alarm
    table = tables_at(observed, probability, every)
    figure = new_figure(4.8, 4.8)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--", label="no skill")
    axes.plot(
        probability_of_false_detection(table),
        probability_of_detection(table),
        color=BLUE,
        linewidth=1.8,
        label=f"area {roc_area(observed, probability):.3f}",
    )
    if threshold is not None:
        _mark_on_roc(axes, tables_at(observed, probability, np.array([threshold])), threshold)
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
    dress(
        axes,
        title=f"ROC, {event} and above: {np.count_nonzero(observed)} events in {len(observed)}",
        x="probability of false detection",
        y="probability of detection",
    )
    legend(axes, "lower right")
    return figure


def _mark_on_roc(axes: Axes, table: ContingencyTable, threshold: float) -> None:
    """Mark the contingency table of one threshold, with entries of shape (1,)."""
    axes.plot(
        probability_of_false_detection(table),
        probability_of_detection(table),
        color=VERMILLION,
        marker="o",
        linestyle="",
        label=f"threshold {threshold:.3g}, TSS {true_skill_statistic(table)[0]:.3f}",
    )


def skill_against_threshold(
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    *,
    event: str,
    threshold: float | None = None,
) -> Figure:
    """Draw TSS and HSS at each probability at which an alarm could be raised.

    The axis is logarithmic, as the best threshold of a rare event lies near its rate. ``threshold``
    is marked where one is given; one of 0, which such an axis cannot show, at its left end.
    """
    rate = float(np.mean(observed))
    lowest = min([1e-3, *(value / 2 for value in (rate, threshold) if value)])
    thresholds = np.geomspace(lowest, 1, 400)
    table = tables_at(observed, probability, thresholds)
    figure = new_figure(6.0, 4.0)
    axes = figure.subplots()
    axes.plot(thresholds, true_skill_statistic(table), color=BLUE, linewidth=1.6, label="TSS")
    axes.plot(thresholds, heidke_skill_score(table), color=GREEN, linewidth=1.6, label="HSS")
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.axvline(rate, color=GREY, linewidth=0.8, linestyle="--", label=f"event rate {rate:.3f}")
    axes.axvline(0.5, color=GREY, linewidth=0.8, linestyle=":", label="0.5")
    if threshold is not None:
        label = f"threshold {threshold:.3g}"
        axes.axvline(max(threshold, lowest), color=VERMILLION, linewidth=1.2, label=label)
    axes.set(xscale="log", xlim=(lowest, 1))
    axes.set_ylim(min(-0.05, axes.get_ylim()[0]), 1)
    dress(
        axes,
        title=f"Skill by threshold, {event} and above",
        x="alarm at a probability of at least",
        y="score",
    )
    legend(axes)
    return figure
