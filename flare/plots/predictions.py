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
from flare.plots.style import BLUE, GREY, INK, LIGHT, NORMAL, SMALL, VERMILLION, new_figure
from flare.sample import CHANNELS, Cube, Present, channel_title

#: Hot plasma, the corona, the sunspots and the field.
SHOWN = ("131", "171", "continuum", "magnetogram")

_LOG10_FLUX = (-8.5, -3.0)  # what the axis of a forecast shows


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
    figure = new_figure(9.0, 0.9 + 1.35 * len(samples))
    widths = [*[1.0] * len(SHOWN), 2.8]
    axes = figure.subplots(len(samples), len(widths), width_ratios=widths, squeeze=False)
    for row, shown in enumerate(samples):
        for column, channel in enumerate(SHOWN):
            _image(axes[row, column], shown, channel)
            if row == 0:
                axes[row, column].set_title(channel_title(channel), fontsize=NORMAL, color=INK)
        axes[row, 0].set_ylabel(shown.title, fontsize=SMALL, color=INK)
        _forecast(axes[row, -1], shown, last=row == len(samples) - 1)
    axes[0, -1].set_title(
        f"forecast with its interval of {level:.0%} (blue), what came (red)",
        fontsize=NORMAL, color=INK,
    )  # fmt: skip
    return figure


def _image(axes: Axes, shown: Shown, channel: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    k = CHANNELS.index(channel)
    if shown.present[-1, k]:
        axes.imshow(shown.cube[-1, k], cmap=COLORMAPS[channel], vmin=0, vmax=255)
        return
    height, width = shown.cube.shape[-2:]
    axes.imshow(np.full((height, width), 0.9), cmap="gray", vmin=0, vmax=1)
    axes.text(0.5, 0.5, "missing", transform=axes.transAxes, ha="center", va="center",
              fontsize=SMALL, color=INK)  # fmt: skip


def _forecast(axes: Axes, shown: Shown, *, last: bool) -> None:
    low, high = _LOG10_FLUX
    inside: NDArray[np.float64] = np.clip(
        [shown.lower, shown.log10_flux, shown.upper, shown.happened], low, high
    )
    axes.plot(inside[[0, 2]], [0, 0], color=BLUE, linewidth=5, alpha=0.35, solid_capstyle="butt")
    axes.plot(inside[1], 0, "o", color=BLUE, markersize=6)
    axes.plot(inside[3], 0, "|", color=VERMILLION, markersize=22, markeredgewidth=2)
    axes.set_xlim(low, high)
    axes.set_ylim(-1.0, 1.6)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.grid(color=LIGHT, linewidth=0.5, axis="x")
    floors = {letter: np.log10(flux) for letter, flux in CLASS_FLOORS.items() if flux >= 10**low}
    axes.set_xticks(list(floors.values()), [f"{letter}1" for letter in floors])
    axes.tick_params(labelsize=SMALL, color=GREY, labelcolor=INK, labelbottom=last)
    said = (
        f"{class_of_flux(10.0**shown.log10_flux)}, P({HEADLINE_EVENT}) {shown.probability:.0%}; "
        f"came {class_of_flux(10.0**shown.happened)}"
    )
    axes.text(0.0, 0.98, said, transform=axes.transAxes, va="top", fontsize=NORMAL, color=INK)
