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
from flare.plots.style import SMALL, VERMILLION, caption, centred, dress, headline, new_figure

_LABEL = (210.0, 135.0)  # width and height of a label, in arcsec
_BOX, _ALERT, _NONE = "#FFFFFF", "#FF6A3D", "#9A9A9A"


@dataclass(frozen=True)
class RegionBox:
    """A region in the picture: its centre in arcsec west and north of disk centre.

    ``text`` is its label; ``alert`` colours it, None says that it has no forecast.
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
    labels: list[tuple[float, float]] = []
    for box in boxes:
        labels.append(_label_place(box, box_width, labels))
        _draw(axes, box, box_width, labels[-1])
    dress(axes, x="arcsec west", y="arcsec north")
    axes.grid(visible=False)
    headline(figure, title)
    axes.set_title(textwrap.fill(warning, 95), color=VERMILLION, fontsize=SMALL, loc="left")
    caption(figure, small_print)
    return figure


def _label_place(
    box: RegionBox, width: float, others: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """Return the middle of a label: towards the equator, else where it covers no other label."""
    inwards = -1 if box.y > 0 else 1
    places = [
        (box.x, box.y + side * (width / 2 + _LABEL[1] * (0.5 + step)))
        for step in range(4)
        for side in (inwards, -inwards)
    ]
    free = (
        (x, y)
        for x, y in places
        if all(abs(x - a) > _LABEL[0] or abs(y - b) > _LABEL[1] for a, b in others)
    )
    return next(free, places[0])


def _draw(axes: Axes, box: RegionBox, width: float, label: tuple[float, float]) -> None:
    colour = _NONE if box.alert is None else _ALERT if box.alert else _BOX
    corner = (box.x - width / 2, box.y - width / 2)
    axes.add_patch(Rectangle(corner, width, width, fill=False, color=colour, linewidth=1.0))
    ground = {"facecolor": "black", "alpha": 0.7, "linewidth": 0, "pad": 1.5}
    centred(axes, *label, box.text, color=colour, bbox=ground)
