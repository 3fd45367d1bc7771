"""Figures of what a dataset holds: counts with the published ones, and how labels are distributed.

Bars of a split have its colour; marks in ink are the numbers of the whole SDOBenchmark.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from flare.datasets.sdobenchmark.census import (
    CLASS_NAMES,
    COUNT_NAMES,
    PUBLISHED,
    SplitCensus,
)
from flare.goes import CLASS_FLOORS, CLASS_LETTERS, QUIET_FLUX
from flare.plots.style import (
    GREY,
    INK,
    NORMAL,
    SMALL,
    SPLIT_COLOURS,
    centred,
    dress,
    headline,
    legend,
    new_figure,
    write,
)
from flare.sample import CHANNELS, channel_title

_BIN_DEX = 0.1
_FAINTEST, _BRIGHTEST = -8.0, -3.0  # log10 of W m^-2; the axis grows where labels lie beyond


def census_figure(splits: Mapping[str, SplitCensus]) -> Figure:
    """Draw the counts of each split with the published ones, and the share of missing images."""
    figure = new_figure(4.0 + 3.4 * len(splits), 4.4)
    *counted, missing = figure.subplots(
        1, len(splits) + 1, width_ratios=[*[1.0] * len(splits), 1.15]
    )
    for k, (axes, split) in enumerate(zip(counted, splits.values(), strict=True)):
        _draw_counts(axes, split)
        axes.tick_params(labelleft=k == 0)
    _draw_missing_shares(missing, splits)
    headline(figure, "Census: counts, and those of the whole SDOBenchmark")
    return figure


def _draw_counts(axes: Axes, split: SplitCensus) -> None:
    rows = np.arange(len(COUNT_NAMES))[::-1]
    counts = np.array([split.counts[key] for key in COUNT_NAMES])
    published = np.array([PUBLISHED[split.name][key] for key in COUNT_NAMES])
    dress(axes, title=split.name)
    # Symmetric logarithm: counts range from 0 to thousands.
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.barh(rows, counts, 0.62, color=SPLIT_COLOURS[split.name], label="counted")
    axes.plot(
        published, rows, linestyle="", marker="|", markersize=13, markeredgewidth=1.6,
        color=INK, label="published",
    )  # fmt: skip
    for row, count, wanted in zip(rows, counts, published, strict=True):
        text = f"{count:,}" if count == wanted else f"{count:,} of {wanted:,}"
        ground = {"facecolor": "white", "linewidth": 0, "pad": 0.5}
        place = (max(count, wanted), row)
        write(axes, text, place, xytext=(7, 0), ha="left", va="center", bbox=ground)
    axes.set_xlim(0, 60 * max(*counts, *published))  # room for the numbers
    axes.set_xticks([0, 1, 10, 100, 1000, 10_000], ["0", "1", "10", "100", "1k", "10k"])
    axes.set_yticks(rows, list(COUNT_NAMES.values()), fontsize=NORMAL)
    axes.set_ylim(-0.6, len(COUNT_NAMES) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.minorticks_off()
    axes.set_xlabel("samples, regions", fontsize=NORMAL, color=INK)
    _legend_below(axes)


def _draw_missing_shares(axes: Axes, splits: Mapping[str, SplitCensus]) -> None:
    rows = np.arange(len(CHANNELS))[::-1]
    thick = 0.76 / len(splits)
    largest = 0.0
    for k, split in enumerate(splits.values()):
        share = 100 * (~split.present).mean(axis=(0, 1))  # (C,)
        shift = (k - (len(splits) - 1) / 2) * thick
        axes.barh(rows - shift, share, thick, color=SPLIT_COLOURS[split.name], label=split.name)
        for row, value in zip(rows - shift, share, strict=True):
            text, place = f"{value:.2f}" if value else "0", (value, row)
            write(
                axes, text, place, xytext=(3, -0.5), ha="left", va="center",
                fontsize=SMALL - 1, color=GREY,
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
    axes.legend(
        fontsize=SMALL, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2,
        frameon=False, labelcolor=INK, markerscale=0.6, borderaxespad=0,
    )  # fmt: skip


def label_distributions(splits: Mapping[str, SplitCensus]) -> Figure:
    """Draw the distribution of peak fluxes, the shares of classes and the samples of regions.

    Quiet samples have no flux that could be placed on the axis: their label is a code. They have a
    bar of their own.
    """
    figure = new_figure(9.0, 6.8)
    rows = figure.add_gridspec(2, 1, height_ratios=[1.05, 1])
    upper = rows[0].subgridspec(1, 2, width_ratios=[1, 7])
    quiet = figure.add_subplot(upper[0])
    flux = figure.add_subplot(upper[1], sharey=quiet)
    lower = rows[1].subgridspec(1, 2, width_ratios=[1.25, 1])
    classes, regions = figure.add_subplot(lower[0]), figure.add_subplot(lower[1])
    _draw_flux(quiet, flux, splits)
    _draw_classes(classes, splits)
    _draw_regions(regions, splits)
    headline(figure, "Labels: the largest flare of the region in the next 24 h")
    return figure


def _draw_flux(quiet: Axes, flux: Axes, splits: Mapping[str, SplitCensus]) -> None:
    everything = np.concatenate([_log10_flux(split) for split in splits.values()])
    low = min(_FAINTEST, *np.floor(everything)) if len(everything) else _FAINTEST
    high = max(_BRIGHTEST, *np.ceil(everything)) if len(everything) else _BRIGHTEST
    bins = np.linspace(low, high, round((high - low) / _BIN_DEX) + 1)
    for k, (name, split) in enumerate(splits.items()):
        logs = _log10_flux(split)
        share = 100 * (1 - len(logs) / len(split))
        quiet.bar(k, share, 0.8, color=SPLIT_COLOURS[name], alpha=0.85)
        write(quiet, f"{share:.0f} %", (k, share))
        counts, _ = np.histogram(logs, bins)
        label = f"{name}: {len(logs):,} of {len(split):,} samples flare"
        _draw_stairs(flux, 100 * counts / len(split), bins, name, label)
    dress(quiet, y="share of the split's samples (%)")
    # A share of the quiet is ten times that of a tenth of a decade.
    quiet.set_yscale("symlog", linthresh=1, linscale=0.6)
    quiet.set_yticks([0, 1, 3, 10, 30, 100], ["0", "1", "3", "10", "30", "100"])
    quiet.set(ylim=(0, 130), xlim=(-0.7, len(splits) - 0.3), xticks=[(len(splits) - 1) / 2])
    quiet.set_xticklabels(["quiet"], fontsize=NORMAL)
    quiet.minorticks_off()
    quiet.grid(visible=False, axis="x")
    dress(flux, x="label: log$_{10}$ of the GOES 1-8 Å peak flux (W m$^{-2}$)")
    flux.set_xlim(low, high)
    flux.tick_params(labelleft=False)
    _mark_classes(flux)
    legend(flux, "upper right")


def _draw_stairs(
    axes: Axes, shares: NDArray[np.float64], bins: NDArray[np.float64], split: str, label: str
) -> None:
    colour = SPLIT_COLOURS[split]
    axes.stairs(shares, bins, fill=True, color=colour, alpha=0.3)
    axes.stairs(shares, bins, color=colour, linewidth=1.4, label=label)


def _mark_classes(axes: Axes) -> None:
    """Draw the boundaries of the classes, with the letters above."""
    low, high = axes.get_xlim()
    edges = [low, *np.log10(list(CLASS_FLOORS.values())[1:]), high]
    for boundary in edges[1:-1]:
        axes.axvline(boundary, color=GREY, linewidth=0.8, linestyle=":")
    for letter, start, end in zip(CLASS_LETTERS, edges, edges[1:], strict=False):
        style = {"va": "baseline", "fontsize": NORMAL, "color": GREY}
        middle = (start + end) / 2
        centred(axes, middle, 1.02, letter, transform=axes.get_xaxis_transform(), **style)
    axes.grid(visible=False, axis="x")


def _draw_classes(axes: Axes, splits: Mapping[str, SplitCensus]) -> None:
    places = np.arange(len(CLASS_NAMES))
    wide = 0.8 / len(splits)
    for k, (name, split) in enumerate(splits.items()):
        at = places + (k - (len(splits) - 1) / 2) * wide
        own, published = _shares(split.counts), _shares(PUBLISHED[name])
        close = 0.1 * max(own + published)  # a number needs so much room
        axes.bar(at, own, 0.92 * wide, color=SPLIT_COLOURS[name], alpha=0.85, label=name)
        axes.plot(
            at, published, linestyle="", marker="_", markersize=19, markeredgewidth=1.8,
            color=INK, label="published" if k == len(splits) - 1 else None,
        )  # fmt: skip
        for place, value, wanted in zip(at, own, published, strict=True):
            above = wanted if value <= wanted < value + close else value
            write(axes, f"{value:.1f}", (place, above), up=4, fontsize=SMALL - 1)
    dress(axes, title="Classes", y="share of the split's samples (%)")
    axes.set_xticks(places, list(CLASS_NAMES.values()), fontsize=NORMAL)
    axes.margins(y=0.12)
    axes.grid(visible=False, axis="x")
    legend(axes, "upper right")


def _draw_regions(axes: Axes, splits: Mapping[str, SplitCensus]) -> None:
    sizes = {
        name: np.asarray(split.table["active_region"].value_counts(), dtype=np.int64)
        for name, split in splits.items()
    }
    largest = max(counts.max() for counts in sizes.values())
    step = max(1, -(-largest // 25))
    bins = np.arange(0.5, largest + step + 0.5, step)
    for name, counts in sizes.items():
        noun = "region" if len(counts) == 1 else "regions"
        label = f"{name}: {len(counts):,} {noun}, median {np.median(counts):g}"
        shares = 100 * np.histogram(counts, bins)[0] / len(counts)
        _draw_stairs(axes, shares, bins, name, label)
    dress(
        axes,
        title="Samples of an active region",
        x="samples of the region",
        y="share of the split's regions (%)",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(bins[0], max(bins[-1], 5.5))
    axes.margins(y=0.3)
    axes.set_yticks([share for share in axes.get_yticks() if share <= 100])
    legend(axes, "upper right")


def _log10_flux(split: SplitCensus) -> NDArray[np.float64]:
    flux = split.table["peak_flux"].to_numpy(dtype=np.float64)
    return np.asarray(np.log10(flux[flux > QUIET_FLUX]))


def _shares(counts: Mapping[str, int]) -> list[float]:
    return [100 * counts[key] / counts["samples"] for key in CLASS_NAMES]
