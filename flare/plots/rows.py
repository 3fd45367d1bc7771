"""A forest plot: rows of scores with their intervals, one axes for each score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from flare.plots.style import BLUE, GREY, NORMAL, SKY, SMALL, dress, write
from flare.verification.scores import Score

#: Lowest left end of an axis: Brier skill scores have no lower bound.
_LOWEST = -1.0


@dataclass(frozen=True)
class Column:
    """The scores of one axes from top to bottom, and a colour for each."""

    title: str
    scores: Sequence[Score]
    colours: Sequence[str]
    reference: float | None
    note: str = ""


def draw_column(
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


def name_rows(axes: Axes, names: Sequence[str], *, highlighted: int | None = None) -> None:
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
