"""How much worse forecasts are where images are missing."""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.errors import VerificationInvalid
from flare.plots.intervals import Grouped, draw_intervals, grouped_means
from flare.plots.style import (
    BLUE,
    COLUMN,
    GREY,
    INK,
    LIGHT,
    NORMAL,
    SMALL,
    VERMILLION,
    caption,
    dress,
    new_figure,
)
from flare.sample import N_PLANES
from flare.verification.inputs import number_array

#: First number of missing images of each bin, and one more than the last: complete samples stand
#: alone, and the bins widen as there are fewer samples to fill them.
MISSING_EDGES = (0, 1, 3, 6, 11, 21, N_PLANES + 1)


def error_against_missing(
    n_missing: NDArray[np.integer],
    flux_error: NDArray[np.float64],
    brier: NDArray[np.float64],
    *,
    event: str,
    weights: NDArray[np.float64] | None = None,
    edges: tuple[int, ...] = MISSING_EDGES,
    level: float = 0.95,
) -> Figure:
    """Draw the error of the flux and of the probability by the number of missing images.

    Samples with more missing images may be of other years and regions than complete ones, so what
    differs between bins need not be what missing images do.

    Parameters
    ----------
    n_missing
        How many of the forty images of each sample are missing, (N,).
    flux_error
        Distance of forecast and observed log10 flux in dex, (N,).
    brier
        Squared distance of probability and outcome of the event, (N,); its mean is the Brier score.
    weights
        Of resampled active regions, (R, N), for the intervals; none without.
    edges
        Rising numbers: the first of each bin, and one more than the last.

    Raises
    ------
    VerificationInvalid
        There are no samples, arrays of other lengths, NaN, or a number outside the edges.
    """
    shape = np.shape(n_missing)
    errors = number_array("flux_error", flux_error, shape), number_array("brier", brier, shape)
    groups = _groups(n_missing, edges)
    figure = new_figure(COLUMN, 4.7)
    upper, middle, lower = figure.subplots(3, 1, sharex=True, height_ratios=[2, 2, 1])
    x = np.arange(len(groups), dtype=np.float64)
    titles = ("flux error (dex)", f"Brier score, {event}")
    for axes, values, y in zip((upper, middle), errors, titles, strict=True):
        found = grouped_means(values, groups, weights=weights, level=level)
        mean = float(values.mean())
        axes.axhline(mean, color=GREY, linewidth=0.8, linestyle="--", label=f"all: {mean:.3g}")
        draw_intervals(axes, x, found, color=BLUE)
        _finish(axes, found, y)
    _draw_counts(lower, x, groups.sum(axis=1))
    lower.set_xticks(x, _names(edges))
    lower.set_xlim(-0.6, len(groups) - 0.4)
    title = f"Error by missing images, {len(n_missing)} samples"
    figure.suptitle(title, x=0.01, ha="left", fontsize=NORMAL, color=INK)
    drawn = "none" if weights is None else f"{100 * level:g} % over active regions"
    alone = np.count_nonzero(groups.any(axis=1)) == 1
    nothing = "Nothing to compare: all samples are in one bin. " if alone else ""
    caption(figure, f"{nothing}Intervals: {drawn}.")
    return figure


def _groups(n_missing: NDArray[np.integer], edges: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which samples are in which bin, (G, N)."""
    if n_missing.ndim != 1 or n_missing.size == 0:
        raise VerificationInvalid(f"n_missing has shape {n_missing.shape}; wanted (N,), N >= 1")
    if n_missing.min() < edges[0] or n_missing.max() >= edges[-1]:
        raise VerificationInvalid(
            f"{n_missing.min()} to {n_missing.max()} missing images; wanted {edges[0]} to "
            f"{edges[-1] - 1}"
        )
    index = np.digitize(n_missing, edges[1:-1])
    return np.asarray(index == np.arange(len(edges) - 1)[:, None])


def _names(edges: tuple[int, ...]) -> list[str]:
    pairs = pairwise(edges)
    return [str(a) if b == a + 1 else f"{a}\N{EN DASH}{b - 1}" for a, b in pairs]


def _finish(axes: Axes, found: Grouped, y: str) -> None:
    top = max(float(np.nanmax([found.value, found.high])), 1e-3)
    axes.set_ylim(-0.05 * top, 1.35 * top)  # room for the legend
    dress(axes, y=y)
    axes.legend(fontsize=SMALL, loc="upper left", frameon=False, labelcolor=INK)


def _draw_counts(axes: Axes, x: NDArray[np.float64], counts: NDArray[np.intp]) -> None:
    axes.bar(x, counts, 0.8, color=LIGHT, edgecolor=GREY, linewidth=0.6)
    for place, count in zip(x, counts, strict=True):
        axes.annotate(
            f"{count}", (place, count), xytext=(0, 1.5), textcoords="offset points", ha="center",
            fontsize=SMALL - 1, color=INK if count else VERMILLION,
        )  # fmt: skip
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 6 * counts.max())
    axes.set_yticks([])
    dress(axes, x="missing images of 40", y="samples")
    axes.grid(visible=False)
