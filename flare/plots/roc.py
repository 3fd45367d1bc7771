"""Figures of the skill at every threshold: the ROC curve, and TSS and HSS."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from flare.plots.style import (
    BLUE,
    COLUMN,
    CYCLE,
    GREEN,
    GREY,
    INK,
    NORMAL,
    SMALL,
    VERMILLION,
    dress,
    legend_below,
    new_figure,
    plain,
    undefined,
)
from flare.verification.bootstrap import LEVEL, bands, interval
from flare.verification.contingency import (
    ContingencyTable,
    heidke_skill_score,
    probability_of_detection,
    probability_of_false_detection,
    tables_at,
    true_skill_statistic,
)
from flare.verification.probabilistic import roc_area

_LINE_STYLES = ("-", "--", ":")


def roc_curve(
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    *,
    event: str,
    threshold: float | None = None,
    name: str = "",
    references: Mapping[str, NDArray[np.float64]] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> Figure:
    """Draw the probability of detection against that of false detection at all thresholds.

    Without events or without non-events the figure says that there is no curve.

    ``observed`` and ``probability`` are (N,), and so are those of each of the ``references``.
    ``threshold`` is marked, and 0.5. ``weights`` of resampled active regions, (R, N), give an
    interval of the area.
    """
    references = references or {}
    names = [plain(other, width=30) for other in references]
    # A long legend does not fit under the curve.
    lines = 5 + sum(other.count("\n") + 1 for other in names)
    figure = new_figure(COLUMN + (2.6 if references else 0), max(3.7, 0.5 + 0.15 * lines))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--", label="no skill")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    n_events = np.count_nonzero(observed)
    title = f"ROC, {event} and above: {n_events} events in {len(observed)}"
    x, y = "probability of false detection", "probability of detection"
    dress(axes, title=title, x=x, y=y, size=NORMAL)
    if n_events in (0, len(observed)):
        undefined(axes, "no events" if n_events == 0 else "nothing but events")
        return figure
    for k, (other, chance) in enumerate(zip(names, references.values(), strict=True)):
        colour = CYCLE[1 + k % (len(CYCLE) - 1)]
        style = _LINE_STYLES[k // (len(CYCLE) - 1) % len(_LINE_STYLES)]
        label = f"{other}: {roc_area(observed, chance):.3f}"
        _draw_curve(axes, observed, chance, label, color=colour, linewidth=0.9, linestyle=style)
    label = _area_label(observed, probability, weights)
    label = f"{plain(name, width=30)}:\n{label}" if name else label
    own = _draw_curve(axes, observed, probability, label, color=BLUE, linewidth=2, linestyle="-")
    if threshold is not None:
        _mark_point(axes, observed, probability, threshold, marker="o", face=VERMILLION)
    if threshold != 0.5:
        _mark_point(axes, observed, probability, 0.5, marker="D", face="white")
    _roc_legend(figure, axes, own, outside=bool(references))
    return figure


def _area_label(
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
) -> str:
    label = f"area {roc_area(observed, probability):.3f}"
    if weights is None:
        return label
    low, high = interval(roc_area(observed, probability, weights=weights))
    return f"{label} [{low:.3f}, {high:.3f}]"


def _draw_curve(
    axes: Axes,
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    label: str,
    *,
    color: str,
    linewidth: float,
    linestyle: str,
) -> Line2D:
    every = np.append(np.unique(probability), 1.1)  # above 1: never an alarm
    table = tables_at(observed, probability, every)
    (line,) = axes.plot(
        probability_of_false_detection(table), probability_of_detection(table), color=color,
        linewidth=linewidth, linestyle=linestyle, label=label,
    )  # fmt: skip
    return line


def _mark_point(
    axes: Axes,
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    threshold: float,
    *,
    marker: str,
    face: str,
) -> None:
    """Mark the contingency table of one threshold."""
    table: ContingencyTable = tables_at(observed, probability, np.array([threshold]))
    axes.plot(
        probability_of_false_detection(table), probability_of_detection(table), linestyle="",
        marker=marker, markersize=5.5, markerfacecolor=face, markeredgecolor=VERMILLION,
        zorder=5, label=f"threshold {threshold:.3g}, TSS {true_skill_statistic(table)[0]:.3f}",
    )  # fmt: skip


def _roc_legend(figure: Figure, axes: Axes, first: Line2D, *, outside: bool) -> None:
    """Draw the legend, with one line before all others."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda k: handles[k] is not first)
    shown = [handles[k] for k in order], [labels[k] for k in order]
    if outside:
        figure.legend(
            *shown, loc="outside right upper", fontsize=SMALL - 0.5, frameon=False, labelcolor=INK,
            title="area under the curve", title_fontsize=SMALL, alignment="left", handlelength=1.6,
        )  # fmt: skip
        return
    axes.legend(
        *shown, fontsize=SMALL - 0.5, loc="lower right", framealpha=0.9, edgecolor="none",
        labelcolor=INK, handlelength=1.4, borderaxespad=0.2,
    )  # fmt: skip


_STEPS, _BAND_STEPS = 400, 100


def skill_against_threshold(
    observed: NDArray[np.bool_],
    probability: NDArray[np.float64],
    *,
    event: str,
    threshold: float | None = None,
    weights: NDArray[np.float64] | None = None,
) -> Figure:
    """Draw TSS and HSS at each decision threshold.

    The axis is logarithmic, as the best threshold of a rare event lies near its rate.

    ``observed`` and ``probability`` are (N,). ``threshold`` is marked, 0 at the left end of the
    axis; it must have been chosen on other samples than these. With ``weights`` of resampled active
    regions, (R, N), both scores have a band.
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
            _draw_bands(axes, observed, probability, lowest, weights)
    _mark_thresholds(axes, rate, threshold, lowest)
    axes.set_ylim(min(-0.05, axes.get_ylim()[0]), 1)
    title = f"{event} and above: {np.count_nonzero(observed)} events in {len(observed)}"
    dress(axes, title=title, x="decision threshold", y="score", size=NORMAL)
    legend_below(axes)
    return figure


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
) -> None:
    thresholds = np.geomspace(lowest, 1, _BAND_STEPS)
    tables = tables_at(observed, probability, thresholds, weights=weights)
    for score, colour in ((true_skill_statistic, BLUE), (heidke_skill_score, GREEN)):
        low, high = bands(score(tables))
        axes.fill_between(
            thresholds, low, high, color=colour, alpha=0.18, linewidth=0,
            label=f"{100 * LEVEL:g} % of resampled regions" if colour == BLUE else None,
        )  # fmt: skip


def _mark_thresholds(axes: Axes, rate: float, threshold: float | None, lowest: float) -> None:
    """Draw upright lines at the event rate, at 0.5 and at the chosen threshold."""
    axes.axvline(rate, color=GREY, linewidth=0.9, linestyle="--", label=f"event rate {rate:.3g}")
    axes.axvline(0.5, color=GREY, linewidth=0.9, linestyle=":", label="0.5")
    if threshold is not None:
        label = f"threshold {threshold:.3g}"
        axes.axvline(max(threshold, lowest), color=VERMILLION, linewidth=1.2, label=label)
    axes.set(xscale="log", xlim=(lowest, 1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
