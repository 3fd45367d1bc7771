"""Figures of the skill at every threshold: the ROC curve, and TSS and HSS."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
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
    heidke_skill_score,
    probability_of_detection,
    probability_of_false_detection,
    tables_at,
    true_skill_statistic,
)
from flare.verification.probabilistic import roc_area

_Floats = NDArray[np.float64]
_Outcomes = NDArray[np.bool_]

_LINE_STYLES = ("-", "--", ":")


def roc_curve(
    observed: _Outcomes,
    probability: _Floats,
    *,
    event: str,
    threshold: float,
    name: str,
    references: Mapping[str, _Floats],
    weights: _Floats | None = None,
) -> Figure:
    """Draw the probability of detection against that of false detection at all thresholds.

    Without events or without non-events the figure says that there is no curve.

    ``observed`` and ``probability`` are (N,), and so are those of each of the ``references``.
    ``threshold`` is marked, and 0.5. ``weights`` of resampled active regions, (R, N), give an
    interval of the area.
    """
    names = [plain(other, width=30) for other in references]
    # A long legend does not fit under the curve.
    lines = 5 + sum(other.count("\n") + 1 for other in names)
    figure = new_figure(COLUMN + 2.6, max(3.7, 0.5 + 0.15 * lines))
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
        axes.plot(
            *_curve(observed, chance), color=CYCLE[1 + k % (len(CYCLE) - 1)],
            linestyle=_LINE_STYLES[k // (len(CYCLE) - 1) % len(_LINE_STYLES)], linewidth=0.9,
            label=f"{other}: {roc_area(observed, chance):.3f}",
        )  # fmt: skip
    label = f"{plain(name, width=30)}:\narea {roc_area(observed, probability):.3f}"
    if weights is not None:
        low, high = interval(roc_area(observed, probability, weights=weights))
        label += f" [{low:.3f}, {high:.3f}]"
    own = axes.plot(*_curve(observed, probability), color=BLUE, linewidth=2, label=label)
    for at, marker, face in ((threshold, "o", VERMILLION), (0.5, "D", "white")):
        if marker == "D" and threshold == 0.5:
            continue
        table = tables_at(observed, probability, np.array([at]))
        axes.plot(
            probability_of_false_detection(table), probability_of_detection(table), linestyle="",
            marker=marker, markersize=5.5, markerfacecolor=face, markeredgecolor=VERMILLION,
            zorder=5, label=f"threshold {at:.3g}, TSS {true_skill_statistic(table)[0]:.3f}",
        )  # fmt: skip
    others = [line for line in axes.lines if line not in own]
    figure.legend(
        handles=[*own, *others], loc="outside right upper", fontsize=SMALL - 0.5, frameon=False,
        labelcolor=INK, title="area under the curve", title_fontsize=SMALL, alignment="left",
        handlelength=1.6,
    )  # fmt: skip
    return figure


def _curve(observed: _Outcomes, probability: _Floats) -> tuple[_Floats, _Floats]:
    """Return the probabilities of false detection and of detection at all thresholds."""
    every = np.append(np.unique(probability), 1.1)  # above 1: never an alarm
    table = tables_at(observed, probability, every)
    return probability_of_false_detection(table), probability_of_detection(table)


_STEPS, _BAND_STEPS = 400, 100


def skill_against_threshold(
    observed: _Outcomes, probability: _Floats, *, event: str, threshold: float, weights: _Floats
) -> Figure:
    """Draw TSS and HSS at each decision threshold.

    The axis is logarithmic, as the best threshold of a rare event lies near its rate.

    ``observed`` and ``probability`` are (N,). ``threshold`` is marked, 0 at the left end of the
    axis; it must have been chosen on other samples than these. ``weights`` of resampled active
    regions, (R, N), give a band.
    """
    rate = float(np.mean(observed))
    lowest = min([1e-3, *(value / 2 for value in (rate, threshold) if value)])
    figure = new_figure(COLUMN, 3.5)
    axes = figure.subplots()
    axes.axhline(0, color=INK, linewidth=0.8)
    if rate in (0, 1):
        undefined(axes, "no events" if rate == 0 else "nothing but events")
    else:
        _draw_skill(axes, observed, probability, lowest, weights)
    axes.axvline(rate, color=GREY, linewidth=0.9, linestyle="--", label=f"event rate {rate:.3g}")
    axes.axvline(0.5, color=GREY, linewidth=0.9, linestyle=":", label="0.5")
    label = f"threshold {threshold:.3g}"
    axes.axvline(max(threshold, lowest), color=VERMILLION, linewidth=1.2, label=label)
    axes.set(xscale="log", xlim=(lowest, 1), ylim=(min(-0.05, axes.get_ylim()[0]), 1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    title = f"{event} and above: {np.count_nonzero(observed)} events in {len(observed)}"
    dress(axes, title=title, x="decision threshold", y="score", size=NORMAL)
    legend_below(axes)
    return figure


def _draw_skill(
    axes: Axes, observed: _Outcomes, probability: _Floats, lowest: float, weights: _Floats
) -> None:
    thresholds = np.geomspace(lowest, 1, _STEPS)
    table = tables_at(observed, probability, thresholds)
    scores = (
        (true_skill_statistic, "TSS", BLUE, "-", f"{100 * LEVEL:g} % of resampled regions"),
        (heidke_skill_score, "HSS", GREEN, "--", None),
    )
    for score, name, colour, style, _ in scores:
        axes.plot(
            thresholds, score(table), color=colour, linewidth=1.6, linestyle=style, label=name
        )
    thresholds = np.geomspace(lowest, 1, _BAND_STEPS)
    tables = tables_at(observed, probability, thresholds, weights=weights)
    for score, _, colour, _, label in scores:
        low, high = bands(score(tables))
        axes.fill_between(thresholds, low, high, color=colour, alpha=0.18, linewidth=0, label=label)
