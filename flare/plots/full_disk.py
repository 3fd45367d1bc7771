"""The full disk with the numbered regions and their flare probabilities."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from flare.plots.samples import COLORMAPS
from flare.plots.style import SMALL, VERMILLION, caption, dress, headline, new_figure

_BOX, _ALERT, _NONE = "#FFFFFF", "#FF6A3D", "#9A9A9A"


@dataclass(frozen=True)
class RegionBox:
    """A region in the picture: its centre in arcsec west and north of disk centre.

    ``text`` is written beside it; ``alert`` colours it, None says that it has no forecast.
    """

    x: float
    y: float
    text: str
    alert: bool | None


def full_disk_figure(
    grey: NDArray[np.uint8],
    boxes: Sequence[RegionBox],
    *,
    channel: str,
    field: float,
    radius: float,
    box_width: float,
    title: str,
    small_print: str,
    warning: str = "",
) -> Figure:
    """Draw grey levels (P, P), north up and west right, with a box a region.

    ``field`` is the width of the picture, ``radius`` that of the Sun and ``box_width`` that of a
    region's field, all in arcsec. ``warning`` is written in colour above the picture.
    """
    figure = new_figure(7.0, 7.6)
    axes = figure.subplots()
    half = field / 2
    axes.imshow(
        grey, cmap=COLORMAPS[channel], vmin=0, vmax=255, origin="upper",
        extent=(-half, half, -half, half), interpolation="antialiased",
    )  # fmt: skip
    axes.add_patch(Circle((0, 0), radius, fill=False, color=_NONE, linewidth=0.6))
    for box in boxes:
        _draw(axes, box, box_width)
    dress(axes, x="arcsec west", y="arcsec north")
    axes.grid(visible=False)
    headline(figure, title)
    axes.set_title(textwrap.fill(warning, 95), color=VERMILLION, fontsize=SMALL, loc="left")
    caption(figure, small_print)
    return figure


def _draw(axes: Axes, box: RegionBox, width: float) -> None:
    colour = _NONE if box.alert is None else _ALERT if box.alert else _BOX
    corner = (box.x - width / 2, box.y - width / 2)
    axes.add_patch(Rectangle(corner, width, width, fill=False, color=colour, linewidth=1.0))
    below = box.y > 0  # text on the side of the equator, which lies within the disk
    axes.annotate(
        box.text, (box.x, box.y - width / 2 if below else box.y + width / 2),
        xytext=(0, -3 if below else 3), textcoords="offset points", ha="center",
        va="top" if below else "bottom", fontsize=SMALL, color=colour,
        bbox={"facecolor": "black", "alpha": 0.55, "linewidth": 0, "pad": 1.5},
    )  # fmt: skip
