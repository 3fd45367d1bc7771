"""Two datasets side by side, channel by channel: images, and how often each grey level occurs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.plots.samples import COLORMAPS
from flare.plots.style import BLUE, GREY, INK, LARGE, NORMAL, SMALL, VERMILLION, new_figure
from flare.sample import CHANNELS, N_CHANNELS, channel_title


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

    Parameters
    ----------
    rows
        Samples, in the order in which they are drawn.
    counts
        By dataset how many pixels of each channel have each grey level, (C, 256); two datasets.
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
    figure.suptitle(" beside ".join(counts), fontsize=LARGE, color=INK)
    return figure


def _draw_row(row: Row, line: NDArray[np.object_]) -> None:
    for axes, channel, plane, there in zip(line, CHANNELS, row.planes, row.present, strict=True):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if there:
            axes.imshow(COLORMAPS[channel](plane, bytes=True))
        else:
            axes.text(0.5, 0.5, "missing", ha="center", va="center", fontsize=SMALL, color=GREY)
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
