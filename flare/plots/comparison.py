"""Forest plots: rows of scores, or of their differences, with intervals; an axes for each score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from flare.goes import HEADLINE_EVENT
from flare.plots.style import (
    BLUE,
    GREY,
    INK,
    NORMAL,
    PAGE,
    SKY,
    SMALL,
    VERMILLION,
    caption,
    centred,
    dress,
    headline,
    new_figure,
    plain,
    write,
)
from flare.verification.bootstrap import LEVEL
from flare.verification.scorecard import Scorecard
from flare.verification.scores import Score, event_of, info_of, title_of

#: Lowest left end of an axis: Brier skill scores have no lower bound.
_LOWEST = -1.0

_SHOWN = ("brier_skill_score", "true_skill_statistic", "roc_area", "log10_flux_mae")


@dataclass(frozen=True)
class _Column:
    """The scores of one axes from top to bottom, and a colour for each."""

    title: str
    scores: Sequence[Score]
    colours: Sequence[str]
    reference: float | None
    note: str


def skill_panels(scorecards: Mapping[str, Scorecard], *, model: str) -> Figure:
    """Draw several scores of all forecasters, an axes for each score.

    Where the samples of a scorecard differ from those of the first one, its label says so. The row
    of ``model`` is highlighted.
    """
    cards = list(scorecards.values())
    own = list(scorecards).index(model)
    columns = [
        _score_column([card.get(event_of(HEADLINE_EVENT, name), name) for card in cards], own)
        for name in _SHOWN
    ]
    whole = cards[0].samples()[:2]
    names = [
        plain(name) + ("" if card.samples()[:2] == whole else f"\n(of {card.samples()[0]} samples)")
        for name, card in scorecards.items()
    ]
    figure = _panels(columns, names, own, f"Skill, {HEADLINE_EVENT} and above")
    of_event = cards[0].get(HEADLINE_EVENT, "brier_score")
    caption(
        figure,
        f"{of_event.n_events} events in {of_event.n} samples of {cards[0].n_active_regions} active "
        f"regions. Bars: {100 * cards[0].level:g} % intervals from {cards[0].n_resamples} "
        "resamples of active regions. Hollow: no spread. Upright lines: no skill. "
        "TSS at each forecaster's own threshold.",
    )
    return figure


def paired_differences(*differences: Mapping[str, Score], model: str) -> Figure:
    """Draw the differences of a model's scores from those of others, a row for each other.

    For each axes ``differences`` are those of one score by the name of the other, model minus
    other. Where an interval excludes 0 its row is blue if the model is better and vermillion if it
    is worse; all others are grey.
    """
    columns = []
    for one in differences:
        rows = list(one.values())
        columns.append(_difference_column(f"Difference in {_title(rows[0])}", rows))
    names = [plain(name) for name in differences[0]]
    figure = _panels(columns, names, None, f"{plain(model, width=60)} minus each other")
    first = columns[0].scores[0]
    caption(
        figure,
        f"{first.n_events} events in {first.n} samples. Bars: {100 * LEVEL:g} % intervals of the "
        "paired difference over resampled active regions. Blue: the model is better, vermillion: "
        "worse, grey: the interval includes 0.",
    )
    return figure


def skill_by_subset(*subsets: Mapping[str, Score], forecaster: str) -> Figure:
    """Draw scores of one forecaster on subsets of the samples, a row for each subset.

    For each axes ``subsets`` maps the name of a subset to one score on it. The first row is
    highlighted: it is meant for all samples.
    """
    columns = [_score_column(list(one.values()), 0) for one in subsets]
    names = [f"{plain(name)}\n{score.n_events} of {score.n}" for name, score in subsets[0].items()]
    figure = _panels(columns, names, 0, f"{plain(forecaster, width=60)} by subset")
    caption(
        figure,
        "Under each name: events of samples. "
        f"Bars: {100 * LEVEL:g} % intervals over active regions. Hollow: no spread.",
    )
    return figure


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
    nothing = Score(event, "brier_skill_score_difference", math.nan, math.nan, math.nan, 0, 0)
    gained = [gains.get(name, nothing) for name in scores]
    columns = [
        _difference_column(f"BSS above {reference}", gained),
        *(_score_column(rows, None) for rows in zip(*scores.values(), strict=True)),
    ]
    figure = _panels(columns, [plain(name) for name in scores], None, f"{event} and above")
    caption(figure, f"Bars: 95 % intervals over {resampled}. Upright lines: no skill.")
    return figure


def _score_column(rows: Sequence[Score], own: int | None) -> _Column:
    """Return a column in blue, all rows but the highlighted one in grey where there is one."""
    colours = [BLUE if own is None or row == own else GREY for row in range(len(rows))]
    return _Column(_title(rows[0]), rows, colours, info_of(rows[0].name).no_skill, _better(rows[0]))


def _difference_column(title: str, rows: Sequence[Score]) -> _Column:
    """Return a column with a colour for each difference: better, worse or unknown."""
    colours = [GREY] * len(rows)
    for row, score in enumerate(rows):
        if score.low > 0 or score.high < 0:
            better = (score.low > 0) != info_of(_compared(score)).lower_is_better
            colours[row] = BLUE if better else VERMILLION
    return _Column(title, rows, colours, 0.0, _better(rows[0]))


def _compared(score: Score) -> str:
    return score.name.removesuffix("_difference")


def _title(score: Score) -> str:
    return title_of(_compared(score))


def _better(score: Score) -> str:
    lower = info_of(_compared(score)).lower_is_better
    return "lower is better" if lower else "higher is better"


def _panels(
    columns: Sequence[_Column], names: Sequence[str], own: int | None, title: str
) -> Figure:
    """Draw axes in one row that share their rows, of which ``own`` is highlighted."""
    height = sum(max(0.34, 0.15 * (name.count("\n") + 1) + 0.06) for name in names)
    figure = new_figure(PAGE if len(columns) > 1 else 4.6, 1.7 + height)
    grid = figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, column in zip(grid, columns, strict=True):
        _draw_column(axes, column, own, n_columns=len(columns))
    grid[0].set_yticks(np.arange(len(names))[::-1], names, fontsize=SMALL + 0.5)
    grid[0].tick_params(labelleft=True)
    if own is not None:
        grid[0].get_yticklabels()[own].set(fontweight="bold", color=BLUE)
    headline(figure, title)
    return figure


def _draw_column(axes: Axes, column: _Column, own: int | None, *, n_columns: int) -> None:
    """Draw a row for each score: its interval, its value as a mark and as a number."""
    rows = np.arange(len(column.scores))[::-1]
    if own is not None:
        middle = rows[own]
        axes.axhspan(middle - 0.5, middle + 0.5, color=SKY, alpha=0.18, linewidth=0, zorder=0)
    if column.reference is not None:
        axes.axvline(column.reference, color=GREY, linewidth=0.8)
    left, right = _limits(column)
    for row, score, colour in zip(rows, column.scores, column.colours, strict=True):
        if math.isnan(score.value):
            centred(axes, 0.5, row, "undefined", transform=axes.get_yaxis_transform(), color=GREY)
        else:
            _draw_score(axes, float(row), score, colour, left)
    title = fill(column.title, max(14, 72 // n_columns))
    dress(axes, title=title, x=column.note, size=NORMAL)
    axes.xaxis.label.set_fontsize(SMALL)
    axes.set(xlim=(left, right), ylim=(-0.6, len(rows) - 0.3), yticks=rows)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=3 if n_columns > 2 else 5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0, labelleft=False)


def _limits(column: _Column) -> tuple[float, float]:
    """Return the limits of the x axis, not far below no skill."""
    shown = [end for score in column.scores for end in (score.value, score.low, score.high)]
    shown += [] if column.reference is None else [column.reference]
    finite = [value for value in shown if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if column.reference is not None:
        low = max(low, _LOWEST)
    spare = 0.14 * (high - low) or 0.1 * abs(high) or 0.5
    return low - spare, high + spare


def _draw_score(axes: Axes, row: float, score: Score, colour: str, left: float) -> None:
    """Draw a mark: hollow without an interval or its width, an arrow left of the axis."""
    axes.plot([score.low, score.high], [row, row], color=colour, linewidth=2, alpha=0.5)
    marker, place, aligned = "o", score.value, "center"
    if score.value < left:
        marker, place, aligned = "<", left, "left"
    spread = score.high > score.low  # False for NaN
    axes.plot(
        place, row, color=colour, marker=marker, markersize=5, clip_on=False,
        markerfacecolor=colour if spread else "white",
    )  # fmt: skip
    ground = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.2}
    small = 0 < abs(score.value) < 5e-4
    text = f"{score.value:.2e}" if small else f"{score.value:z.3f}"
    write(axes, text, (place, row), up=5.5, ha=aligned, fontsize=SMALL - 0.5, bbox=ground)


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
    step = -(-len(places) // 12)
    lower.set_xticks(places[::step], months[::step])
    lower.legend(
        fontsize=SMALL, frameon=False, labelcolor=INK, ncols=2, loc="lower right",
        bbox_to_anchor=(1, 1),
    )  # fmt: skip
    dress(lower, y="share of windows")
    headline(figure, title)
    return figure
