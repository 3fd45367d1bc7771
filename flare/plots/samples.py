"""Figures of images: one sample, samples with their forecasts, and two datasets channel by channel.

Channels have their usual colours. Colours are grey levels; the bars under the columns of one sample
say what those are in DN/s, counts and gauss: a logarithmic channel has a logarithmic bar.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.errors import InputInvalid
from flare.goes import CLASS_FLOORS, HEADLINE_EVENT, class_of_flux
from flare.plots.style import (
    BLUE,
    GREY,
    INK,
    LARGE,
    LIGHT,
    NORMAL,
    SMALL,
    VERMILLION,
    centred,
    new_figure,
)
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

    ``cube`` is uint8 (T, C, H, W) = (4, 10, H, H); images that are not ``present``, bool (T, C),
    are hatched and say "missing".

    Raises InputInvalid: the shapes are not those of a sample.
    """
    cube = cube_of_planes(cube)
    if present.shape != (N_STEPS, N_CHANNELS):
        raise InputInvalid(f"present has shape {present.shape}; wanted {(N_STEPS, N_CHANNELS)}")
    figure = new_figure(12.0, 5.75)
    axes = figure.subplots()
    _draw_mosaic(axes, cube, present, CHANNELS, STEP_NAMES)
    axes.set_aspect("equal")
    axes.tick_params(labelsize=NORMAL)
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


def _draw_mosaic(
    axes: Axes,
    images: NDArray[np.uint8],
    present: NDArray[np.bool_],
    channels: Sequence[str],
    rows: Sequence[str],
) -> None:
    """Draw images (R, K, H, W) of K channels as one picture: many axes take seconds to lay out."""
    picture, (height, width) = _mosaic(images, present, channels), present.shape
    axes.imshow(picture, extent=(0, width, height, 0), aspect="auto")
    for row, column in np.argwhere(~present):
        centred(axes, column + 0.5, row + 0.5, "missing")
    axes.set_xticks(np.arange(width) + 0.5, [channel_title(channel) for channel in channels])
    axes.set_yticks(np.arange(height) + 0.5, rows)
    axes.tick_params(length=0, labelsize=SMALL, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)


def _mosaic(
    images: NDArray[np.uint8], present: NDArray[np.bool_], channels: Sequence[str]
) -> NDArray[np.uint8]:
    """Return images (R, K, H, W) of K channels as one picture, white between them.

    Images that are not ``present``, (R, K), are hatched.
    """
    n_rows, n_columns, height, width = images.shape
    gap = max(1, round(_GAP * width))
    rows, columns = np.mgrid[:height, :width]
    stripes = ((rows + columns) // max(2, width // 12)) % 2 == 0
    hatched = np.where(stripes[..., None], 225, 243).astype(np.uint8).repeat(3, axis=-1)
    picture = np.full((n_rows, n_columns, height + gap, width + gap, 3), 255, dtype=np.uint8)
    half = gap // 2
    for row, column in np.ndindex(n_rows, n_columns):
        image = hatched
        if present[row, column]:
            image = COLORMAPS[channels[column]](images[row, column], bytes=True)[..., :3]
        picture[row, column, half : half + height, half : half + width] = image
    # (R, K, S, S, 3) -> (R * S, K * S, 3)
    return picture.swapaxes(1, 2).reshape(n_rows * (height + gap), n_columns * (width + gap), 3)


#: Hot plasma, the corona, the sunspots and the field.
SHOWN_CHANNELS = ("131", "171", "continuum", "magnetogram")

_LOG10_FLUX = (-8.5, -3.0)  # what the axis of a forecast shows


@dataclass(frozen=True)
class SampleForecast:
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
    observed: float


def sample_predictions(samples: Sequence[SampleForecast], *, level: float) -> Figure:
    """Draw the last images of each sample, its forecast and the observed flux."""
    n = len(samples)
    figure = new_figure(9.0, 0.9 + 1.15 * n)
    left, right = figure.subplots(1, 2, width_ratios=(len(SHOWN_CHANNELS), 3.0))
    columns = [CHANNELS.index(channel) for channel in SHOWN_CHANNELS]
    images = np.stack([one.cube[-1, columns] for one in samples])
    present = np.stack([one.present[-1, columns] for one in samples])
    _draw_mosaic(left, images, present, SHOWN_CHANNELS, [one.title for one in samples])
    _forecasts(right, samples, level=level)
    return figure


def _forecasts(axes: Axes, samples: Sequence[SampleForecast], *, level: float) -> None:
    low, high = _LOG10_FLUX
    for row, sample in enumerate(samples):
        inside = np.clip(
            [sample.lower, sample.log10_flux, sample.upper, sample.observed], low, high
        )
        y = row + 0.6
        axes.plot(inside[[0, 2]], [y, y], color=BLUE, linewidth=5, alpha=0.35,
                  solid_capstyle="butt")  # fmt: skip
        axes.plot(inside[1], y, "o", color=BLUE, markersize=6)
        axes.plot(inside[3], y, "|", color=VERMILLION, markersize=18, markeredgewidth=2)
        text = (
            f"{class_of_flux(10.0**sample.log10_flux)}, P({HEADLINE_EVENT}) "
            f"{sample.probability:.0%}; observed {class_of_flux(10.0**sample.observed)}"
        )
        axes.text(low + 0.05, row + 0.08, text, va="top", fontsize=SMALL, color=INK)
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
        f"forecast, interval of {level:.0%} (blue), observed (red)", fontsize=SMALL, color=INK
    )


@dataclass(frozen=True)
class Row:
    """The newest image of each channel of one sample, uint8 (C, S, S), and which there are, (C,).

    ``title`` is of at most a few words, ``dataset`` the name of the set that it belongs to.
    """

    dataset: str
    title: str
    planes: NDArray[np.uint8]
    present: NDArray[np.bool_]


def side_by_side(rows: Sequence[Row], counts: Mapping[str, NDArray[np.int64]]) -> Figure:
    """Draw samples under one another, and below them the grey levels of each dataset.

    ``counts`` are, by dataset, how many pixels of each channel have each grey level, (C, 256).
    """
    figure = new_figure(13.0, 1.45 * len(rows) + 1.9)
    grid = figure.subplots(len(rows) + 1, N_CHANNELS, squeeze=False)
    for row, line in zip(rows, grid, strict=False):
        _draw_row(row, line)
    for axes, channel in zip(grid[0], CHANNELS, strict=True):
        axes.set_title(channel_title(channel), fontsize=NORMAL, color=INK)
    for column, axes in enumerate(grid[-1]):
        _draw_levels(axes, {name: one[column] for name, one in counts.items()})
    grid[-1, 0].set_ylabel("share of pixels\n(log, from $10^{-4}$)", fontsize=SMALL, color=INK)
    figure.legend(
        *grid[-1, 0].get_legend_handles_labels(), loc="outside lower left", ncols=len(counts),
        fontsize=SMALL, frameon=False, title="grey level", title_fontsize=SMALL,
    )  # fmt: skip
    figure.suptitle(" and ".join(counts), fontsize=LARGE, color=INK)
    return figure


def _draw_row(row: Row, line: NDArray[np.object_]) -> None:
    for axes, channel, plane, there in zip(line, CHANNELS, row.planes, row.present, strict=True):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if there:
            axes.imshow(COLORMAPS[channel](plane, bytes=True))
        else:
            centred(axes, 0.5, 0.5, "missing", color=GREY)
    line[0].set_ylabel(f"{row.dataset}\n{row.title}", fontsize=SMALL, color=INK)


def _draw_levels(axes: Axes, counts: Mapping[str, NDArray[np.int64]]) -> None:
    for (name, one), colour in zip(counts.items(), (BLUE, VERMILLION), strict=False):
        # In steps of four levels: JPEG leaves a comb in single ones.
        binned = one.reshape(-1, 4).sum(axis=1) / max(one.sum(), 1)
        axes.step(np.arange(0, 256, 4), binned, where="post", color=colour, lw=1.1, label=name)
    axes.set(xlim=(0, 256), xticks=[0, 128, 255], yscale="log", ylim=(1e-4, 1), yticks=[])
    axes.minorticks_off()
    axes.tick_params(labelsize=SMALL - 1, color=GREY, labelcolor=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
