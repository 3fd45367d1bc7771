"""Figures of groups of samples: coverage of the interval by class, errors by missing images."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.errors import VerificationInvalid
from flare.goes import CLASS_LETTERS, class_index
from flare.plots.style import (
    BLUE,
    COLUMN,
    GREY,
    INK,
    LIGHT,
    NORMAL,
    PAGE,
    SMALL,
    VERMILLION,
    caption,
    dress,
    headline,
    new_figure,
    write,
)
from flare.sample import N_PLANES
from flare.verification.bootstrap import LEVEL, Grouped, grouped_means, grouped_shares
from flare.verification.inputs import number_array

#: Parts of the forecasts of which each has its coverage.
_LEVELS = 5


def interval_coverage(
    log10_flux: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    peak_flux: NDArray[np.float64],
    *,
    nominal: float,
    weights: NDArray[np.float64] | None = None,
) -> Figure:
    """Draw the share of labels inside the interval by level of the forecast and by class.

    A calibrated interval has the same share at every level of the forecast, but not in every
    observed class: the largest flares are those that were larger than expected.

    ``log10_flux``, ``lower`` and ``upper`` are log10 of W m^-2 and ``peak_flux`` labels in W m^-2,
    (N,); ``nominal`` is the share that the interval is meant to hold. Bars are over resampled
    active regions with ``weights``, (R, N), and else binomial. Forecasts are divided into five
    parts with equally many samples, fewer where many are the same.

    Raises VerificationInvalid: there are no samples, arrays of other lengths, or NaN.
    """
    shape = np.shape(peak_flux)
    observed = np.log10(number_array("peak_flux", peak_flux, shape))
    forecast, low, high = (
        number_array(name, values, shape)
        for name, values in (("log10_flux", log10_flux), ("lower", lower), ("upper", upper))
    )
    inside = (low <= observed) & (observed <= high)
    by_level, names = _level_groups(forecast)
    by_class = class_index(peak_flux) == np.arange(len(CLASS_LETTERS))[:, None]
    figure = new_figure(PAGE, 3.1)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, groups, labels in (
        (left, by_level, names),
        (right, by_class, ["quiet, A", *CLASS_LETTERS[1:]]),
    ):
        _draw_shares(axes, inside, groups, labels, nominal=nominal, weights=weights)
    dress(left, x="forecast log10 flux", y="labels inside the interval")
    dress(right, x="observed class")
    left.set_ylim(-0.02, 1.06)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=SMALL,
        frameon=False, labelcolor=INK,
    )  # fmt: skip
    headline(figure, "Coverage of the flux interval")
    intervals = "binomial" if weights is None else "over active regions"
    caption(
        figure,
        f"The {100 * nominal:g} % interval holds {100 * inside.mean():.1f} % of "
        f"{len(inside)} labels. "
        f"Bars: {100 * LEVEL:g} % intervals, {intervals}. Below each name: samples.",
    )
    return figure


def _level_groups(forecast: NDArray[np.float64]) -> tuple[NDArray[np.bool_], Sequence[str]]:
    """Return which samples are at which level, (G, N), and the ranges of the levels."""
    edges = np.unique(np.quantile(forecast, np.linspace(0, 1, _LEVELS + 1)))
    index = np.digitize(forecast, edges[1:-1])
    levels = np.unique(index)
    groups = index == levels[:, None]
    spans = [(forecast[group].min(), forecast[group].max()) for group in groups]
    names = [f"{a:.1f} to\n{b:.1f}" if f"{a:.1f}" != f"{b:.1f}" else f"{a:.1f}" for a, b in spans]
    return groups, names


def _draw_shares(
    axes: Axes,
    inside: NDArray[np.bool_],
    groups: NDArray[np.bool_],
    names: Sequence[str],
    *,
    nominal: float,
    weights: NDArray[np.float64] | None,
) -> None:
    measured = grouped_shares(inside, groups, weights=weights)
    whole = float(inside.mean())
    axes.axhline(nominal, color=VERMILLION, linewidth=1, label=f"nominal {nominal:g}")
    axes.axhline(whole, color=GREY, linewidth=0.8, linestyle="--", label=f"all {whole:.3f}")
    x = np.arange(len(groups), dtype=np.float64)
    draw_intervals(axes, x, measured, color=BLUE, label="measured")
    labels = [f"{name}\n({n})" for name, n in zip(names, measured.counts, strict=True)]
    axes.set_xticks(x, labels)
    axes.set_xlim(-0.6, len(groups) - 0.4)


#: First number of missing images of each bin, and one more than the last; wider for rarer numbers.
_MISSING_EDGES = (0, 1, 3, 6, 11, 21, N_PLANES + 1)


def error_against_missing(
    n_missing: NDArray[np.integer],
    flux_error: NDArray[np.float64],
    brier: NDArray[np.float64],
    *,
    event: str,
    weights: NDArray[np.float64] | None = None,
) -> Figure:
    """Draw the error of the flux and of the probability by the number of missing images.

    Samples with more missing images may be of other years and regions than complete ones, so
    differences between bins need not be due to missing images.

    ``n_missing`` of the forty images are missing; ``flux_error`` is the distance of forecast and
    observed log10 flux in dex and ``brier`` the squared distance of probability and outcome, all
    (N,). ``weights`` are of resampled active regions, (R, N), for the intervals.

    Raises VerificationInvalid: there are no samples, arrays of other lengths, NaN, or more missing
    images than there are.
    """
    shape = np.shape(n_missing)
    errors = number_array("flux_error", flux_error, shape), number_array("brier", brier, shape)
    groups = _missing_groups(n_missing)
    figure = new_figure(COLUMN, 4.7)
    upper, middle, lower = figure.subplots(3, 1, sharex=True, height_ratios=[2, 2, 1])
    x = np.arange(len(groups), dtype=np.float64)
    titles = ("flux error (dex)", f"Brier score, {event}")
    for axes, values, y in zip((upper, middle), errors, titles, strict=True):
        measured = grouped_means(values, groups, weights=weights)
        mean = float(values.mean())
        axes.axhline(mean, color=GREY, linewidth=0.8, linestyle="--", label=f"all: {mean:.3g}")
        draw_intervals(axes, x, measured, color=BLUE)
        _label_errors(axes, measured, y)
    _draw_counts(lower, x, groups.sum(axis=1))
    lower.set_xticks(x, _bin_names())
    lower.set_xlim(-0.6, len(groups) - 0.4)
    headline(figure, f"Error by missing images, {len(n_missing)} samples", size=NORMAL)
    intervals = "none" if weights is None else f"{100 * LEVEL:g} % over active regions"
    alone = np.count_nonzero(groups.any(axis=1)) == 1
    nothing = "Nothing to compare: all samples are in one bin. " if alone else ""
    caption(figure, f"{nothing}Intervals: {intervals}.")
    return figure


def _missing_groups(n_missing: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which samples are in which bin, (G, N)."""
    if n_missing.ndim != 1 or n_missing.size == 0:
        raise VerificationInvalid(f"n_missing has shape {n_missing.shape}; wanted (N,), N >= 1")
    if n_missing.min() < _MISSING_EDGES[0] or n_missing.max() >= _MISSING_EDGES[-1]:
        raise VerificationInvalid(
            f"{n_missing.min()} to {n_missing.max()} missing images; wanted {_MISSING_EDGES[0]} to "
            f"{_MISSING_EDGES[-1] - 1}"
        )
    index = np.digitize(n_missing, _MISSING_EDGES[1:-1])
    return np.asarray(index == np.arange(len(_MISSING_EDGES) - 1)[:, None])


def _bin_names() -> list[str]:
    pairs = pairwise(_MISSING_EDGES)
    return [str(a) if b == a + 1 else f"{a}\N{EN DASH}{b - 1}" for a, b in pairs]


def _label_errors(axes: Axes, measured: Grouped, y: str) -> None:
    top = max(float(np.nanmax([measured.value, measured.high])), 1e-3)
    axes.set_ylim(-0.05 * top, 1.35 * top)  # room for the legend
    dress(axes, y=y)
    axes.legend(fontsize=SMALL, loc="upper left", frameon=False, labelcolor=INK)


def _draw_counts(axes: Axes, x: NDArray[np.float64], counts: NDArray[np.intp]) -> None:
    axes.bar(x, counts, 0.8, color=LIGHT, edgecolor=GREY, linewidth=0.6)
    for place, count in zip(x, counts, strict=True):
        colour = INK if count else VERMILLION
        write(axes, f"{count}", (place, count), up=1.5, fontsize=SMALL - 1, color=colour)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 6 * counts.max())
    axes.set_yticks([])
    dress(axes, x="missing images of 40", y="samples")
    axes.grid(visible=False)


def draw_intervals(
    axes: Axes, x: NDArray[np.float64], measured: Grouped, *, color: str, label: str | None = None
) -> None:
    """Draw a point for each group that is not empty, and a bar where there is an interval."""
    barred = ~np.isnan(measured.low)
    axes.vlines(x[barred], measured.low[barred], measured.high[barred], color=color, linewidth=1.2)
    some = measured.counts > 0
    axes.plot(
        x[some], measured.value[some], color=color, marker="o", markersize=4.5, linestyle="",
        label=label,
    )  # fmt: skip
