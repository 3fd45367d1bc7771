"""What all figures have in common, set on each figure and nowhere global."""

import textwrap
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from flare.files import atomic_file

Place = Literal["best", "upper left", "upper right", "lower right"]

#: Colours that stay apart for colour-blind readers: Okabe & Ito 2008, "Color Universal Design".
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, PURPLE, SKY = "#E69F00", "#CC79A7", "#56B4E9"
CYCLE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
SPLIT_COLOURS = {"training": BLUE, "test": ORANGE}
INK, GREY, LIGHT = "#222222", "#767676", "#D9D9D9"

SMALL, NORMAL, LARGE = 8, 9, 10.5  # points
DOTS_PER_INCH = 150

#: Widths of a figure in print, in inches: one column of a journal, and both.
COLUMN, PAGE = 3.5, 7.0


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches that arranges its own margins."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def headline(figure: Figure, text: str, *, size: float = LARGE) -> None:
    """Write the title of a figure at its left edge."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=size, color=INK)


def write(
    axes: Axes, text: str, place: tuple[float, float], *, up: float = 2, **given: Any
) -> None:
    """Write small text ``up`` points above a place, centred unless ``given`` says otherwise."""
    options = {"xytext": (0, up), "ha": "center", "fontsize": SMALL, "color": INK, **given}
    axes.annotate(text, place, textcoords="offset points", **options)


def centred(axes: Axes, x: float, y: float, text: str, **given: Any) -> None:
    """Write small text whose middle is at a place of the data."""
    options = {"ha": "center", "va": "center", "fontsize": SMALL, "color": INK, **given}
    axes.text(x, y, text, **options)


def label_bar(bar: Colorbar, text: str, *, size: float = SMALL) -> None:
    """Label a colour bar."""
    bar.set_label(text, fontsize=size, color=INK)
    bar.ax.tick_params(labelsize=SMALL)


def dress(axes: Axes, *, title: str = "", x: str = "", y: str = "", size: float = LARGE) -> None:
    """Set texts, spines and grid of axes; ``size`` is that of the title."""
    axes.set_title(title, fontsize=size, loc="left", color=INK)
    axes.set_xlabel(x, fontsize=NORMAL, color=INK)
    axes.set_ylabel(y, fontsize=NORMAL, color=INK)
    axes.tick_params(labelsize=SMALL, color=GREY, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.grid(color=LIGHT, linewidth=0.5)
    axes.set_axisbelow(True)


def legend(axes: Axes, place: Place = "best") -> None:
    """Draw the legend of axes."""
    axes.legend(fontsize=SMALL, loc=place, framealpha=0.9, edgecolor="none", labelcolor=INK)


def legend_below(axes: Axes, *, of: Axes | None = None) -> None:
    """Draw the legend of these or other axes under the x label.

    A legend outside the figure's grid would overlap the caption.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        return
    inches = ScaledTranslation(-0.45, -0.42, figure.dpi_scale_trans)
    axes.legend(
        *(of or axes).get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0, 0),
        bbox_transform=axes.transAxes + inches, ncols=2, fontsize=SMALL, frameon=False,
        labelcolor=INK, columnspacing=1.2, handlelength=1.6, borderaxespad=0,
    )  # fmt: skip


def plain(name: str, *, width: int = 26) -> str:
    """Return a user's name as literal text for a figure, on at most three lines.

    A dollar sign does not start a formula, and a leading underscore does not hide it in legends.
    """
    lines = textwrap.fill(name, width, max_lines=3, placeholder=" \N{HORIZONTAL ELLIPSIS}")
    escaped = lines.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def undefined(axes: Axes, why: str) -> None:
    """Write in the middle of axes why their content is undefined."""
    ground = {"facecolor": "white", "linewidth": 0, "alpha": 0.9}
    place = {"transform": axes.transAxes, "fontsize": NORMAL, "color": GREY, "bbox": ground}
    centred(axes, 0.5, 0.5, f"undefined:\n{why}", **place)


def caption(figure: Figure, text: str) -> None:
    """Write a caption under a figure, in lines of its width."""
    characters = int(figure.get_figwidth() * 72 / (0.53 * SMALL))
    lines = textwrap.fill(text, characters)
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=SMALL, color=GREY)


def mark_synthetic(figure: Figure) -> Figure:
    """Mark a figure as one of synthetic data, before its caption; return it."""
    small_print = figure.get_supxlabel()
    x, side = (0.01, "left") if small_print else (0.99, "right")
    text = f"SYNTHETIC DATA\n{small_print}".rstrip()
    figure.supxlabel(text, x=x, ha=side, fontsize=SMALL, color=VERMILLION)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as its ending says: PNG at 150 dots per inch, or SVG.

    The file is there whole or not at all, and does not depend on the time.
    """
    form = path.suffix.removeprefix(".")
    options: Any = {"metadata": {"Date": None}} if form == "svg" else {"dpi": DOTS_PER_INCH}
    with atomic_file(path) as partial, rc_context({"svg.hashsalt": "flare"}):
        figure.savefig(partial, format=form, **options)
    return path


def days_of(times: Any) -> NDArray[np.float64]:
    """Return times as matplotlib has them, in days since 1970."""
    return np.asarray(date2num(times))  # type: ignore[no-untyped-call]


def period_days(periods: pd.PeriodIndex) -> NDArray[np.float64]:
    """Return where consecutive periods begin, and where the last one ends, in days since 1970."""
    return days_of([*periods.start_time, (periods[-1] + 1).start_time])


def date_ticks(axes: Axes, *, most: int, year_below: bool = True) -> None:
    """Give an x axis of days ticks with dates; their common part is written once, below."""
    locator = AutoDateLocator(minticks=2, maxticks=most)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(locator, show_offset=year_below)  # type: ignore[no-untyped-call]
    )
