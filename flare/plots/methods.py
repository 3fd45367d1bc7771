"""Figures of many methods that forecast one event: scores, CORP and Murphy diagrams."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.plots.comparison import Column, score_column, score_panels, verdict
from flare.plots.style import (
    BLUE,
    CYCLE,
    GREY,
    INK,
    LARGE,
    LIGHT,
    NORMAL,
    PAGE,
    SMALL,
    caption,
    dress,
    headline,
    new_figure,
    plain,
)
from flare.verification.corp import corp_decomposition, murphy_curve, recalibrated_probability
from flare.verification.scores import Score

#: Outcomes and probabilities of one method, (n,) each.
Scored = tuple[NDArray[np.bool_], NDArray[np.float64]]

_LINES = ("-", "--", ":", "-.")


def method_scores(
    scores: Mapping[str, Sequence[Score]],
    gains: Mapping[str, Score],
    *,
    event: str,
    reference: str,
    resampled: str,
) -> Figure:
    """Draw scores of methods, a row each, and their gain in Brier skill over a reference.

    Parameters
    ----------
    scores
        The same scores of every method.
    gains
        Differences of the Brier skill score from the reference: blue rows are better than it,
        vermillion ones worse, grey ones undecided.
    resampled
        What intervals are over, such as "28 blocks of 27 days".
    """
    names = list(scores)
    first = next(iter(scores.values()))
    missing = Score(event, "brier_skill_score_difference", math.nan, math.nan, math.nan, 0, 0)
    of_gain = [gains.get(name, missing) for name in names]
    columns = [
        Column(
            f"BSS above {reference}",
            of_gain,
            [verdict(score, "brier_skill_score") for score in of_gain],
            0.0,
            "higher is better",
        )
    ]
    for place, score in enumerate(first):
        rows = [of[place] for of in scores.values()]
        columns.append(score_column(score.name, rows, None))
    figure = score_panels(columns, [plain(name) for name in names], None, f"{event} and above")
    caption(figure, f"Bars: 95 % intervals over {resampled}. Upright lines: no skill.")
    return figure


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
        dress(axes)
        axes.set_title(plain(name), fontsize=NORMAL, loc="left", color=INK)
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
    dress(axes, x="threshold: cost of a false alarm", y="mean elementary score")
    axes.set_title(f"Murphy diagram, {event} and above", fontsize=LARGE, loc="left", color=INK)
    axes.set(xlim=(0, 1), ylim=(0, None))
    axes.legend(
        fontsize=SMALL - 1, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False,
        labelcolor=INK, ncols=1 if len(methods) <= 18 else 2,
    )  # fmt: skip
    return figure


def monthly_scores(
    months: Sequence[str],
    skill: Sequence[Score],
    probability: Sequence[float],
    rate: Sequence[float],
    *,
    title: str,
    reference: str,
) -> Figure:
    """Draw Brier skill over a reference by month, and mean probability and event rate."""
    figure = new_figure(PAGE, 4.2)
    upper, lower = figure.subplots(2, 1, sharex=True)
    places = np.arange(len(months))
    value, low, high = np.array([(one.value, one.low, one.high) for one in skill]).T
    upper.axhline(0, color=GREY, linewidth=0.8)
    # One month without skill would hide all others: a triangle stands for values below -1.
    upper.vlines(places, np.maximum(low, -1), np.maximum(high, -1), color=BLUE, alpha=0.5, lw=2)
    upper.plot(places[value >= -1], value[value >= -1], "o", color=BLUE, ms=4)
    upper.plot(places[value < -1], np.full(np.sum(value < -1), -1.0), "v", color=BLUE, ms=6)
    upper.set_ylim(min(-0.1, 1.08 * max(-1, np.nanmin(value, initial=0))), 1.08)
    dress(upper, y="BSS")
    upper.set_title(f"Brier skill over {reference}", fontsize=NORMAL, loc="left", color=INK)
    lower.plot(places, rate, "o-", color=INK, ms=4, linewidth=1, label="event rate")
    lower.plot(places, probability, "s--", color=BLUE, ms=4, linewidth=1, label="mean probability")
    lower.set_ylim(0, None)
    lower.set_xticks(places[:: -(-len(places) // 12)], months[:: -(-len(places) // 12)])
    lower.legend(
        fontsize=SMALL, frameon=False, labelcolor=INK, ncols=2, loc="lower right",
        bbox_to_anchor=(1, 1),
    )  # fmt: skip
    dress(lower, y="share of windows")
    headline(figure, title)
    return figure
