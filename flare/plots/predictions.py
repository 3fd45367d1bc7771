"""A few samples beside what was forecast of them: what a model sees, says, and what came."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.errors import InputInvalid
from flare.goes import CLASS_FLOORS, HEADLINE_EVENT, class_of_flux
from flare.plots.samples import COLORMAPS
from flare.plots.style import BLUE, GREY, INK, LIGHT, SMALL, VERMILLION, new_figure
from flare.sample import CHANNELS, Cube, Present, channel_title

#: Hot plasma, the corona, the sunspots and the field.
SHOWN = ("131", "171", "continuum", "magnetogram")

_LOG10_FLUX = (-8.5, -3.0)  # what the axis of a forecast shows
_GAP = 0.03  # of an image, between two of them
_MISSING = 230  # grey


@dataclass(frozen=True)
class Shown:
    """One sample and its forecast.

    ``cube`` is uint8 (T, C, H, W) and ``present`` bool (T, C); fluxes are log10 of W m^-2.
    """

    title: str
    cube: Cube
    present: Present
    log10_flux: float
    lower: float
    upper: float
    probability: float
    happened: float


def sample_predictions(samples: Sequence[Shown], *, level: float) -> Figure:
    """Draw the last images of each sample, and its forecast beside what happened.

    Parameters
    ----------
    samples
        A row each.
    level
        Share of cases that the intervals are meant to hold.
    """
    if not samples:
        raise InputInvalid("no samples to draw forecasts of; check the split")
    n = len(samples)
    figure = new_figure(9.0, 0.9 + 1.15 * n)
    # One picture and one axes: thirty axes would take seconds to lay out.
    left, right = figure.subplots(1, 2, width_ratios=(len(SHOWN), 3.0))
    left.imshow(_mosaic(samples), extent=(0, len(SHOWN), n, 0), aspect="auto")
    for row, shown in enumerate(samples):
        for column, channel in enumerate(SHOWN):
            if not shown.present[-1, CHANNELS.index(channel)]:
                left.text(column + 0.5, row + 0.5, "missing", ha="center", va="center",
                          fontsize=SMALL, color=INK)  # fmt: skip
    left.set_xticks(np.arange(len(SHOWN)) + 0.5, [channel_title(one) for one in SHOWN])
    left.set_yticks(np.arange(n) + 0.5, [shown.title for shown in samples])
    left.tick_params(length=0, labelsize=SMALL, top=False, labeltop=True, labelbottom=False)
    left.spines[:].set_visible(False)
    _forecasts(right, samples, level=level)
    return figure


def _mosaic(samples: Sequence[Shown]) -> NDArray[np.uint8]:
    """Return the last images of all samples as one picture, grey where there is none."""
    height, width = samples[0].cube.shape[-2:]
    gap = max(1, round(_GAP * width))
    shape = (len(samples), len(SHOWN), height + gap, width + gap, 3)
    picture = np.full(shape, 255, dtype=np.uint8)
    half = gap // 2
    for row, shown in enumerate(samples):
        for column, channel in enumerate(SHOWN):
            k = CHANNELS.index(channel)
            place = picture[row, column, half : half + height, half : half + width]
            place[:] = _MISSING
            if shown.present[-1, k]:
                place[:] = COLORMAPS[channel](shown.cube[-1, k], bytes=True)[..., :3]
    # (N, C, H, W, 3) -> (N * H, C * W, 3)
    return picture.swapaxes(1, 2).reshape(shape[0] * shape[2], shape[1] * shape[3], 3)


def _forecasts(axes: Axes, samples: Sequence[Shown], *, level: float) -> None:
    low, high = _LOG10_FLUX
    for row, shown in enumerate(samples):
        inside = np.clip([shown.lower, shown.log10_flux, shown.upper, shown.happened], low, high)
        y = row + 0.6
        axes.plot(inside[[0, 2]], [y, y], color=BLUE, linewidth=5, alpha=0.35,
                  solid_capstyle="butt")  # fmt: skip
        axes.plot(inside[1], y, "o", color=BLUE, markersize=6)
        axes.plot(inside[3], y, "|", color=VERMILLION, markersize=18, markeredgewidth=2)
        said = (
            f"{class_of_flux(10.0**shown.log10_flux)}, P({HEADLINE_EVENT}) "
            f"{shown.probability:.0%}; came {class_of_flux(10.0**shown.happened)}"
        )
        axes.text(low + 0.05, row + 0.08, said, va="top", fontsize=SMALL, color=INK)
    axes.set_xlim(low, high)
    axes.set_ylim(len(samples), 0)
    axes.set_yticks(np.arange(len(samples) + 1), [""] * (len(samples) + 1))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.grid(color=LIGHT, linewidth=0.5)
    floors = {letter: np.log10(flux) for letter, flux in CLASS_FLOORS.items() if flux >= 10**low}
    axes.set_xticks(list(floors.values()), [f"{letter}1" for letter in floors])
    axes.tick_params(labelsize=SMALL, length=0, labelcolor=INK)
    axes.set_title(
        f"forecast, interval of {level:.0%} (blue), what came (red)", fontsize=SMALL, color=INK
    )
