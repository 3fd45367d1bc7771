"""Figures of the scores of several forecasters, and of their differences, with intervals.

They are forest plots: rows of scores with their intervals, one axes for each score.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from flare.errors import VerificationInvalid
from flare.goes import HEADLINE_EVENT
from flare.plots.style import (
    BLUE,
    GREY,
    NORMAL,
    PAGE,
    SKY,
    SMALL,
    VERMILLION,
    caption,
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

#: The scores that are drawn by default.
DEFAULT_SCORES = ("brier_skill_score", "true_skill_statistic", "roc_area", "log10_flux_mae")

_DIFFERENCE = "_difference"


@dataclass(frozen=True)
class Column:
    """The scores of one axes from top to bottom, and a colour for each."""

    title: str
    scores: Sequence[Score]
    colours: Sequence[str]
    reference: float | None
    note: str = ""


def skill_panels(
    scorecards: Mapping[str, Scorecard],
    *,
    event: str = HEADLINE_EVENT,
    scores: Sequence[str] = DEFAULT_SCORES,
    model: str | None = None,
) -> Figure:
    """Draw several scores of all forecasters, an axes for each score.

    Where the samples of a scorecard differ from those of the first one, its label says so.
    ``event`` is that of the scores that are of one; the row of ``model`` is highlighted.

    Raises VerificationInvalid: there are no scorecards, or one of them has no such score or event.
    """
    if not scorecards:
        raise VerificationInvalid("no scorecards to draw; wanted at least one forecaster")
    own = _row_of(model, scorecards)
    scores_by_name = {
        name: [card.get(event_of(event, name), name) for card in scorecards.values()]
        for name in scores
    }
    columns = [score_column(name, rows, own) for name, rows in scores_by_name.items()]
    figure = score_panels(columns, _names(scorecards), own, f"Skill, {event} and above")
    card = next(iter(scorecards.values()))
    of_event = card.get(event, "brier_score")
    caption(
        figure,
        f"{of_event.n_events} events in {of_event.n} samples of {card.n_active_regions} active "
        f"regions. Bars: {100 * card.level:g} % intervals from {card.n_resamples} resamples of "
        "active regions. Hollow: no spread. Upright lines: no skill. "
        "TSS at each forecaster's own threshold.",
    )
    return figure


def paired_differences(*differences: Mapping[str, Score], model: str) -> Figure:
    """Draw the differences of a model's scores from those of others, a row for each other.

    Where an interval excludes 0 its row is blue if the model is better and vermillion if it is
    worse; all others are grey.

    For each axes ``differences`` are those of one score by the name of the other, model minus
    other; one without a difference is drawn as undefined.

    Raises VerificationInvalid: there is no difference to draw.
    """
    references = list(dict.fromkeys(name for one in differences for name in one))
    if not references or not all(differences):
        raise VerificationInvalid("no differences to draw; wanted at least one for each score")
    columns = []
    for one in differences:
        first = next(iter(one.values()))
        missing = replace(first, value=math.nan, low=math.nan, high=math.nan)
        rows = [one.get(name, missing) for name in references]
        of = first.name.removesuffix(_DIFFERENCE)
        verdicts = [verdict(score, of) for score in rows]
        columns.append(Column(f"Difference in {_title(of)}", rows, verdicts, 0.0, _better(of)))
    names = [plain(name) for name in references]
    figure = score_panels(columns, names, None, f"{plain(model, width=60)} minus each other")
    first = next(iter(differences[0].values()))
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

    Raises VerificationInvalid: there is no score to draw, or the mappings name different subsets.
    """
    if not subsets or not subsets[0] or any(list(one) != list(subsets[0]) for one in subsets):
        raise VerificationInvalid(
            f"scores of the subsets {[list(one) for one in subsets]}; wanted the same ones for "
            "each score, and at least one"
        )
    columns = [
        score_column(next(iter(one.values())).name, list(one.values()), 0) for one in subsets
    ]
    names = [f"{plain(name)}\n{score.n_events} of {score.n}" for name, score in subsets[0].items()]
    figure = score_panels(columns, names, 0, f"{plain(forecaster, width=60)} by subset")
    caption(
        figure,
        "Under each name: events of samples. "
        f"Bars: {100 * LEVEL:g} % intervals over active regions. Hollow: no spread.",
    )
    return figure


def score_panels(
    columns: Sequence[Column], names: Sequence[str], own: int | None, title: str
) -> Figure:
    """Draw axes in one row that share their rows."""
    height = sum(max(0.34, 0.15 * (name.count("\n") + 1) + 0.06) for name in names)
    figure = new_figure(PAGE if len(columns) > 1 else 4.6, 1.7 + height)
    grid = figure.subplots(1, len(columns), squeeze=False)[0]
    for k, (axes, column) in enumerate(zip(grid, columns, strict=True)):
        room = max(14, 72 // len(columns))
        titled = replace(column, title=fill(column.title, room))
        _draw_column(axes, titled, highlighted=own, ticks=3 if len(columns) > 2 else 5)
        if k:
            axes.tick_params(labelleft=False)
    _name_rows(grid[0], names, highlighted=own)
    headline(figure, title)
    return figure


def _names(scorecards: Mapping[str, Scorecard]) -> list[str]:
    whole = next(iter(scorecards.values())).samples()[:2]
    return [
        plain(name) + ("" if card.samples()[:2] == whole else f"\n(of {card.samples()[0]} samples)")
        for name, card in scorecards.items()
    ]


def _row_of(model: str | None, scorecards: Mapping[str, Scorecard]) -> int | None:
    if model is None:
        return None
    if model not in scorecards:
        raise VerificationInvalid(f"no forecaster {model!r}; choose from {list(scorecards)}")
    return list(scorecards).index(model)


def score_column(name: str, rows: Sequence[Score], own: int | None) -> Column:
    """Return a column in blue, all rows but the highlighted one in grey where there is one."""
    colours = [BLUE if own is None or row == own else GREY for row in range(len(rows))]
    return Column(_title(name), rows, colours, info_of(name).no_skill, _better(name))


def _title(score_name: str) -> str:
    return title_of(score_name).replace("^-2", "$^{-2}$")


def _better(score_name: str) -> str:
    return "lower is better" if info_of(score_name).lower_is_better else "higher is better"


def verdict(score: Score, score_name: str) -> str:
    """Return the colour of a difference: better, worse or unknown."""
    if score.low > 0 or score.high < 0:
        better = (score.low > 0) != info_of(score_name).lower_is_better
        return BLUE if better else VERMILLION
    return GREY


def _draw_column(
    axes: Axes, column: Column, *, highlighted: int | None = None, ticks: int = 4
) -> None:
    """Draw a row for each score: its interval, its value as a mark and as a number.

    A mark is hollow where the score has no interval, or one without width, as from one active
    region. It is an arrow where the score lies left of the axis.
    Where a score is undefined the row says so.

    The row ``highlighted`` lies on a coloured ground.
    """
    rows = np.arange(len(column.scores))[::-1]
    if highlighted is not None:
        middle = rows[highlighted]
        axes.axhspan(middle - 0.5, middle + 0.5, color=SKY, alpha=0.18, linewidth=0, zorder=0)
    if column.reference is not None:
        axes.axvline(column.reference, color=GREY, linewidth=0.8)
    left, right = _limits(column)
    for row, score, colour in zip(rows, column.scores, column.colours, strict=True):
        if math.isnan(score.value):
            axes.text(
                0.5, row, "undefined", transform=axes.get_yaxis_transform(), ha="center",
                va="center", fontsize=SMALL, color=GREY,
            )  # fmt: skip
            continue
        _draw_score(axes, float(row), score, colour, left)
    dress(axes, title=column.title, x=column.note, size=NORMAL)
    axes.xaxis.label.set_fontsize(SMALL)
    axes.set(xlim=(left, right), ylim=(-0.6, len(rows) - 0.3), yticks=rows)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=ticks, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _name_rows(axes: Axes, names: Sequence[str], *, highlighted: int | None = None) -> None:
    """Write the names of the rows at the first axes."""
    axes.set_yticks(np.arange(len(names))[::-1], names, fontsize=SMALL + 0.5)
    if highlighted is not None:
        axes.get_yticklabels()[highlighted].set(fontweight="bold", color=BLUE)


def _limits(column: Column) -> tuple[float, float]:
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
    text, size = number(score.value), SMALL - 0.5
    write(axes, text, (place, row), up=5.5, ha=aligned, fontsize=size, bbox=ground)


def number(value: float) -> str:
    """Return a score as text."""
    # Fluxes are some 1e-6 W m^-2; everything else is of the order of 1.
    return f"{value:.2e}" if 0 < abs(value) < 5e-4 else f"{value:z.3f}"
