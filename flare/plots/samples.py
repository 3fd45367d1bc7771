"""A sample as people look at it: ten channels in their usual colours, four times, gaps marked."""

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.errors import InputInvalid
from flare.plots.style import GREY, INK, LARGE, NORMAL, SMALL, new_figure
from flare.sample import (
    CHANNELS,
    INPUT_WINDOW_HOURS,
    N_CHANNELS,
    N_STEPS,
    STEP_OFFSETS_MINUTES,
    Cube,
    Present,
    cube_of_planes,
)

#: Colours at grey levels 0, 64, 128, 192 and 255, after the look that SDO's AIA team gave their
#: channels (aia_lct.pro in SolarSoft, as seen in sunpy's sdoaia maps); continuum is our own.
_ANCHORS: dict[str, tuple[str, str, str, str, str]] = {
    "94": ("#000000", "#105940", "#408e80", "#91c6c0", "#ffffff"),
    "131": ("#000000", "#005c5c", "#0fb9b9", "#88ffff", "#ffffff"),
    "171": ("#000000", "#5c4000", "#b98000", "#ffc008", "#ffffff"),
    "193": ("#000000", "#804010", "#b58040", "#ddc091", "#ffffff"),
    "211": ("#000000", "#80405b", "#b5808e", "#ddc0c3", "#ffffff"),
    "304": ("#000000", "#5c0000", "#b90f00", "#ff8808", "#ffffff"),
    "335": ("#000000", "#104080", "#4080b5", "#91c0dd", "#ffffff"),
    "1700": ("#000000", "#804040", "#b58080", "#ddc0c0", "#ffffff"),
    "continuum": ("#000000", "#5a3a18", "#b0773a", "#f0bd7c", "#fff6e8"),
    "magnetogram": ("#000000", "#404040", "#808080", "#c0c0c0", "#ffffff"),
}
COLORMAPS: dict[str, Colormap] = {
    channel: LinearSegmentedColormap.from_list(f"sdo-{channel}", _ANCHORS[channel])
    for channel in CHANNELS
}

_GAP = 0.03  # of an image, between two of them


def sample_grid(cube: Cube, present: Present, *, title: str = "") -> Figure:
    """Draw the forty images of one sample.

    Parameters
    ----------
    cube
        Grey levels, uint8 (T, C, H, W) = (4, 10, H, H).
    present
        Which images there are, bool (T, C); the others are hatched and say "missing".
    title
        Above the grid, such as the active region and the issue time.

    Raises
    ------
    InputInvalid
        The shapes are not those of a sample.
    """
    cube = cube_of_planes(cube)
    if present.shape != (N_STEPS, N_CHANNELS):
        raise InputInvalid(f"present has shape {present.shape}; wanted {(N_STEPS, N_CHANNELS)}")
    figure = new_figure(12.0, 5.3)
    axes = figure.subplots()
    # One picture: forty axes would take seconds to lay out.
    axes.imshow(_mosaic(cube, present), extent=(0, N_CHANNELS, N_STEPS, 0), aspect="equal")
    for step, channel in np.argwhere(~present):
        axes.text(
            channel + 0.5, step + 0.5, "missing", ha="center", va="center",
            fontsize=SMALL, color=INK,
        )  # fmt: skip
    names = [f"{channel} Å" if channel.isdigit() else channel for channel in CHANNELS]
    axes.set_xticks(np.arange(N_CHANNELS) + 0.5, names)
    axes.set_yticks(
        np.arange(N_STEPS) + 0.5, [_before(minutes) for minutes in STEP_OFFSETS_MINUTES]
    )
    axes.tick_params(length=0, labelsize=NORMAL, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("before the forecast window", fontsize=NORMAL, color=INK)
    axes.set_xlabel(
        "AIA: logarithmic grey levels in each channel's colours; magnetogram: black -250 G, "
        "white +250 G",
        fontsize=SMALL,
        color=GREY,
    )
    figure.suptitle(title, fontsize=LARGE, color=INK)
    return figure


def _before(offset_minutes: int) -> str:
    minutes = INPUT_WINDOW_HOURS * 60 - offset_minutes
    return f"{minutes / 60:g} h" if minutes >= 60 else f"{minutes} min"


def _mosaic(cube: Cube, present: Present) -> NDArray[np.uint8]:
    """Return all images as one picture (N_STEPS * S, N_CHANNELS * S, 3), white between them."""
    height, width = cube.shape[-2:]
    gap = max(1, round(_GAP * width))
    rows, columns = np.mgrid[:height, :width]
    stripes = ((rows + columns) // max(2, width // 12)) % 2 == 0
    hatched = np.where(stripes[..., None], 225, 243).astype(np.uint8).repeat(3, axis=-1)
    picture = np.full((N_STEPS, N_CHANNELS, height + gap, width + gap, 3), 255, dtype=np.uint8)
    half = gap // 2
    for step, channel in np.ndindex(N_STEPS, N_CHANNELS):
        image = hatched
        if present[step, channel]:
            image = COLORMAPS[CHANNELS[channel]](cube[step, channel], bytes=True)[..., :3]
        picture[step, channel, half : half + height, half : half + width] = image
    # (T, C, S, S, 3) -> (T * S, C * S, 3)
    return picture.swapaxes(1, 2).reshape(N_STEPS * (height + gap), N_CHANNELS * (width + gap), 3)
