"""What all figures have in common, set on each figure and nowhere global."""

import os
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

Place = Literal["best", "upper left", "upper right", "lower right"]

#: Colours that stay apart for colour-blind readers: Okabe & Ito 2008, "Color Universal Design".
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, PURPLE, SKY = "#E69F00", "#CC79A7", "#56B4E9"
CYCLE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
SPLIT_COLOURS = {"training": BLUE, "test": ORANGE}
INK, GREY, LIGHT = "#222222", "#767676", "#D9D9D9"

SMALL, NORMAL, LARGE = 8, 9, 10.5  # points
DOTS_PER_INCH = 150


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches that arranges its own margins."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def dress(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Give axes their texts, and thin lines where lines are needed."""
    axes.set_title(title, fontsize=LARGE, loc="left", color=INK)
    axes.set_xlabel(x, fontsize=NORMAL, color=INK)
    axes.set_ylabel(y, fontsize=NORMAL, color=INK)
    axes.tick_params(labelsize=SMALL, color=GREY, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.grid(color=LIGHT, linewidth=0.5)
    axes.set_axisbelow(True)


def legend(axes: Axes, place: Place = "best") -> None:
    """Explain the labelled artists of axes."""
    axes.legend(fontsize=SMALL, loc=place, framealpha=0.9, edgecolor="none", labelcolor=INK)


def mark_synthetic(figure: Figure) -> Figure:
    """Write under a figure that its data are made up; return it."""
    figure.supxlabel("SYNTHETIC DATA", x=0.99, ha="right", fontsize=SMALL, color=VERMILLION)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG at 150 dots per inch; the file is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        figure.savefig(partial, format="png", dpi=DOTS_PER_INCH)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
