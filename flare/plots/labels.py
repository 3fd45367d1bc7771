"""How the labels of a dataset are distributed: peak flux, classes, samples of a region."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from flare.datasets.sdobenchmark.census import CLASS_NAMES, PUBLISHED, SplitCensus
from flare.goes import CLASS_FLOORS, CLASS_LETTERS, QUIET_FLUX
from flare.plots.style import (
    GREY,
    INK,
    NORMAL,
    SMALL,
    SPLIT_COLOURS,
    dress,
    headline,
    legend,
    new_figure,
    write,
)

_BIN_DEX = 0.1
_FAINTEST, _BRIGHTEST = -8.0, -3.0  # log10 of W m^-2; the axis grows where labels lie beyond


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
        logs, colour = _log10_flux(split), SPLIT_COLOURS[name]
        share = 100 * (1 - len(logs) / len(split))
        quiet.bar(k, share, 0.8, color=colour, alpha=0.85)
        write(quiet, f"{share:.0f} %", (k, share))
        counts, _ = np.histogram(logs, bins)
        shares = 100 * counts / len(split)
        label = f"{name}: {len(logs):,} of {len(split):,} samples flare"
        flux.stairs(shares, bins, fill=True, color=colour, alpha=0.3)
        flux.stairs(shares, bins, color=colour, linewidth=1.4, label=label)
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


def _mark_classes(axes: Axes) -> None:
    """Draw the boundaries of the classes, with the letters above."""
    low, high = axes.get_xlim()
    edges = [low, *np.log10(list(CLASS_FLOORS.values())[1:]), high]
    for boundary in edges[1:-1]:
        axes.axvline(boundary, color=GREY, linewidth=0.8, linestyle=":")
    for letter, start, end in zip(CLASS_LETTERS, edges, edges[1:], strict=False):
        axes.text(
            (start + end) / 2, 1.02, letter, transform=axes.get_xaxis_transform(),
            ha="center", fontsize=NORMAL, color=GREY,
        )  # fmt: skip
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
    sizes = {name: _samples_by_region(split) for name, split in splits.items()}
    largest = max(counts.max() for counts in sizes.values())
    step = max(1, -(-largest // 25))
    bins = np.arange(0.5, largest + step + 0.5, step)
    for name, counts in sizes.items():
        noun = "region" if len(counts) == 1 else "regions"
        label = f"{name}: {len(counts):,} {noun}, median {np.median(counts):g}"
        shares = 100 * np.histogram(counts, bins)[0] / len(counts)
        axes.stairs(shares, bins, fill=True, color=SPLIT_COLOURS[name], alpha=0.3)
        axes.stairs(shares, bins, color=SPLIT_COLOURS[name], linewidth=1.4, label=label)
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


def _samples_by_region(split: SplitCensus) -> NDArray[np.int64]:
    return np.asarray(split.table["active_region"].value_counts(), dtype=np.int64)
