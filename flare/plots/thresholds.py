"""Skill at each probability at which an alarm could be raised."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from flare.plots.intervals import bands
from flare.plots.style import (
    BLUE,
    COLUMN,
    GREEN,
    GREY,
    INK,
    NORMAL,
    VERMILLION,
    dress,
    legend_below,
    new_figure,
    undefined,
)
from flare.verification.contingency import (
    ContingencyTable,
    heidke_skill_score,
    true_skill_statistic,
)
from flare.verification.inputs import weight_array
from flare.verification.thresholds import tables_at

_STEPS, _BAND_STEPS = 400, 100


def skill_against_threshold(
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    *,
    event: str,
    threshold: float | None = None,
    weights: NDArray[np.float64] | None = None,
    level: float = 0.95,
) -> Figure:
    """Draw TSS and HSS at each probability at which an alarm could be raised.

    The axis is logarithmic, as the best threshold of a rare event lies near its rate.

    Parameters
    ----------
    observed, probability
        Whether the event happened and what was forecast, (N,).
    threshold
        Marked where one is given; one of 0, which such an axis cannot show, at its left end. It
        must have been chosen on other samples than these.
    weights
        Of resampled active regions, (R, N): then both scores have a band.
    """
    rate = float(np.mean(observed))
    lowest = min([1e-3, *(value / 2 for value in (rate, threshold) if value)])
    figure = new_figure(COLUMN, 3.5)
    axes = figure.subplots()
    axes.axhline(0, color=INK, linewidth=0.8)
    if rate in (0, 1):
        undefined(axes, "no events" if rate == 0 else "nothing but events")
    else:
        _draw_scores(axes, observed, probability, lowest)
        if weights is not None:
            _draw_bands(axes, observed, probability, lowest, weights, level)
    _mark(axes, rate, threshold, lowest)
    axes.set_ylim(min(-0.05, axes.get_ylim()[0]), 1)
    dress(axes, x="alarm at a probability of at least", y="score")
    title = f"{event} and above: {np.count_nonzero(observed)} events in {len(observed)}"
    axes.set_title(title, fontsize=NORMAL, loc="left", color=INK)
    legend_below(axes)
    return figure


def resampled_tables(
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> ContingencyTable:
    """Return the contingency tables of R resamples at K thresholds; entries are (R, K)."""
    weights = weight_array(weights, len(observed))
    order = np.argsort(probability)
    # Column k: what the k samples of the lowest probabilities weigh.
    first = np.searchsorted(probability[order], thresholds)
    ordered = weights[:, order]

    def at_or_above(counted: NDArray[np.float64]) -> NDArray[np.float64]:
        below = np.pad(np.cumsum(counted, axis=1), ((0, 0), (1, 0)))
        return np.asarray(below[:, -1:] - below[:, first])

    hits = at_or_above(ordered * observed[order])
    false_alarms = at_or_above(ordered * ~observed[order])
    return ContingencyTable(
        hits=hits,
        misses=(weights @ observed)[:, None] - hits,
        false_alarms=false_alarms,
        correct_negatives=(weights @ ~observed)[:, None] - false_alarms,
    )


def _draw_scores(
    axes: Axes, observed: NDArray[np.bool_], probability: NDArray[np.float64], lowest: float
) -> None:
    thresholds = np.geomspace(lowest, 1, _STEPS)
    table = tables_at(observed, probability, thresholds)
    axes.plot(thresholds, true_skill_statistic(table), color=BLUE, linewidth=1.6, label="TSS")
    axes.plot(
        thresholds, heidke_skill_score(table), color=GREEN, linewidth=1.6, linestyle="--",
        label="HSS",
    )  # fmt: skip


def _draw_bands(
    axes: Axes,
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    lowest: float,
    weights: NDArray[np.float64],
    level: float,
) -> None:
    thresholds = np.geomspace(lowest, 1, _BAND_STEPS)
    tables = resampled_tables(observed, probability, thresholds, weights)
    for score, colour in ((true_skill_statistic, BLUE), (heidke_skill_score, GREEN)):
        low, high = bands(score(tables), level)
        axes.fill_between(
            thresholds, low, high, color=colour, alpha=0.18, linewidth=0,
            label=f"{100 * level:g} % of resampled regions" if colour == BLUE else None,
        )  # fmt: skip


def _mark(axes: Axes, rate: float, threshold: float | None, lowest: float) -> None:
    """Draw upright lines at the event rate, at 0.5 and at the chosen threshold."""
    axes.axvline(rate, color=GREY, linewidth=0.9, linestyle="--", label=f"event rate {rate:.3g}")
    axes.axvline(0.5, color=GREY, linewidth=0.9, linestyle=":", label="0.5")
    if threshold is not None:
        label = f"threshold {threshold:.3g}"
        axes.axvline(max(threshold, lowest), color=VERMILLION, linewidth=1.2, label=label)
    axes.set(xscale="log", xlim=(lowest, 1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
