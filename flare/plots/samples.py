"""A sample as people look at it: ten channels in their usual colours, four times, gaps marked.

Colours are grey levels, and the bars under the columns say what those are in DN/s, counts and
gauss: a logarithmic channel has a logarithmic bar.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.errors import InputInvalid
from flare.plots.style import GREY, INK, LARGE, NORMAL, SMALL, new_figure
from flare.sample import (
    CHANNELS,
    N_CHANNELS,
    N_STEPS,
    STEP_NAMES,
    Cube,
    Present,
    channel_title,
    channel_unit,
    cube_of_planes,
    grey_levels,
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

#: Where a colour bar has its ticks, in DN/s, counts or gauss: few enough not to touch.
_TICKS: dict[str, tuple[float, ...]] = {
    "94": (0.1, 1, 10, 100),
    "131": (1, 10, 100, 1000),
    "171": (10, 100, 1000),
    "193": (100, 1000),
    "211": (10, 100, 1000),
    "304": (1, 10, 100, 1000),
    "335": (1, 10, 100),
    "1700": (300, 1000, 3000),
    "continuum": (0, 20_000, 40_000),
    "magnetogram": (-200, 0, 200),
}

_GAP = 0.03  # of an image, between two of them
_BAR_GAP, _BAR_HEIGHT = 0.06, 0.09  # of an image, below the last row


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
    figure = new_figure(12.0, 5.75)
    axes = figure.subplots()
    # One picture: forty axes would take seconds to lay out.
    axes.imshow(_mosaic(cube, present), extent=(0, N_CHANNELS, N_STEPS, 0), aspect="equal")
    for step, channel in np.argwhere(~present):
        axes.text(
            channel + 0.5, step + 0.5, "missing", ha="center", va="center",
            fontsize=SMALL, color=INK,
        )  # fmt: skip
    names = [channel_title(channel) for channel in CHANNELS]
    axes.set_xticks(np.arange(N_CHANNELS) + 0.5, names)
    axes.set_yticks(np.arange(N_STEPS) + 0.5, STEP_NAMES)
    axes.tick_params(length=0, labelsize=NORMAL, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("before the forecast window", fontsize=NORMAL, color=INK)
    for column, channel in enumerate(CHANNELS):
        _colour_bar(axes, column, channel)
    figure.suptitle(title, fontsize=LARGE, color=INK)
    return figure


def _colour_bar(axes: Axes, column: int, channel: str) -> None:
    """Draw a channel's colours under its column, with ticks in physical units."""
    left, width = (column + _GAP) / N_CHANNELS, (1 - 2 * _GAP) / N_CHANNELS
    top, height = -_BAR_GAP / N_STEPS, _BAR_HEIGHT / N_STEPS
    bar = axes.inset_axes((left, top - height, width, height))
    levels = np.arange(256, dtype=np.uint8)[None]  # (1, 256)
    bar.imshow(levels, cmap=COLORMAPS[channel], aspect="auto", extent=(0, 255, 0, 1))
    values = _TICKS[channel]
    places = [float(grey_levels(np.array(value), channel)) for value in values]
    bar.set_xticks(places, [_number(value) for value in values])
    bar.set_yticks([])
    bar.tick_params(labelsize=SMALL - 1, length=2.5, pad=1.5, color=GREY, labelcolor=INK)
    bar.spines[:].set(color=GREY, linewidth=0.5)
    bar.set_xlabel(channel_unit(channel), fontsize=SMALL - 1, color=GREY, labelpad=1.5)


def _number(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}".replace("-", "\N{MINUS SIGN}")


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
