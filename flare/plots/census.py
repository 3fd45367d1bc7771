"""What a dataset holds: counts beside the published ones, and what is missing of each channel."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flare.datasets.sdobenchmark.census import SplitCensus
from flare.datasets.sdobenchmark.published import COUNT_NAMES, PUBLISHED
from flare.plots.style import (
    GREY,
    INK,
    LARGE,
    NORMAL,
    SMALL,
    SPLIT_COLOURS,
    dress,
    new_figure,
)
from flare.sample import CHANNELS, channel_title


def census_figure(splits: Mapping[str, SplitCensus]) -> Figure:
    """Draw the counts of each split beside the published ones, and the share of missing images.

    Parameters
    ----------
    splits
        One or both, by name; an empty count is a row without a bar.
    """
    figure = new_figure(4.0 + 3.4 * len(splits), 4.4)
    *counted, missing = figure.subplots(
        1, len(splits) + 1, width_ratios=[*[1.0] * len(splits), 1.15]
    )
    for k, (axes, split) in enumerate(zip(counted, splits.values(), strict=True)):
        _draw_counts(axes, split)
        axes.tick_params(labelleft=k == 0)
    _draw_missing(missing, splits)
    figure.suptitle(
        "Census: counted, beside the whole of SDOBenchmark", x=0.01, ha="left",
        fontsize=LARGE, color=INK,
    )  # fmt: skip
    return figure


def _draw_counts(axes: Axes, split: SplitCensus) -> None:
    rows = np.arange(len(COUNT_NAMES))[::-1]
    counts = np.array([split.counts[key] for key in COUNT_NAMES])
    published = np.array([PUBLISHED[split.name][key] for key in COUNT_NAMES])
    dress(axes, title=split.name)
    # Thousands of samples and a few X flares on one axis, and none at all must have a place too.
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.barh(rows, counts, 0.62, color=SPLIT_COLOURS[split.name], label="counted")
    axes.plot(
        published, rows, linestyle="", marker="|", markersize=13, markeredgewidth=1.6,
        color=INK, label="published",
    )  # fmt: skip
    for row, count, wanted in zip(rows, counts, published, strict=True):
        axes.annotate(
            f"{count:,}" if count == wanted else f"{count:,} of {wanted:,}",
            (max(count, wanted), row), xytext=(7, 0), textcoords="offset points",
            va="center", fontsize=SMALL, color=INK,
            bbox={"facecolor": "white", "linewidth": 0, "pad": 0.5},
        )  # fmt: skip
    axes.set_xlim(0, 60 * max(*counts, *published))  # room for the numbers
    axes.set_xticks([0, 1, 10, 100, 1000, 10_000], ["0", "1", "10", "100", "1k", "10k"])
    axes.set_yticks(rows, list(COUNT_NAMES.values()), fontsize=NORMAL)
    axes.set_ylim(-0.6, len(COUNT_NAMES) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.minorticks_off()
    axes.set_xlabel("samples, regions", fontsize=NORMAL, color=INK)
    _legend_below(axes)


def _draw_missing(axes: Axes, splits: Mapping[str, SplitCensus]) -> None:
    rows = np.arange(len(CHANNELS))[::-1]
    thick = 0.76 / len(splits)
    largest = 0.0
    for k, split in enumerate(splits.values()):
        share = 100 * (~split.present).mean(axis=(0, 1))  # (C,)
        shift = (k - (len(splits) - 1) / 2) * thick
        axes.barh(rows - shift, share, thick, color=SPLIT_COLOURS[split.name], label=split.name)
        for row, value in zip(rows - shift, share, strict=True):
            axes.annotate(
                f"{value:.2f}" if value else "0", (value, row), xytext=(3, -0.5),
                textcoords="offset points", va="center", fontsize=SMALL - 1, color=GREY,
            )  # fmt: skip
        largest = max(largest, float(share.max()))
    dress(axes, title="missing images", x="share of the channel's images (%)")
    axes.set_xlim(0, max(1.18 * largest, 1.0))
    names = [channel_title(channel) for channel in CHANNELS]
    axes.set_yticks(rows, names, fontsize=NORMAL)
    axes.set_ylim(-0.6, len(CHANNELS) - 0.4)
    axes.grid(visible=False, axis="y")
    _legend_below(axes)


def _legend_below(axes: Axes) -> None:
    """Explain what is drawn where no bar can get to it."""
    axes.legend(
        fontsize=SMALL, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2,
        frameon=False, labelcolor=INK, markerscale=0.6, borderaxespad=0,
    )  # fmt: skip
