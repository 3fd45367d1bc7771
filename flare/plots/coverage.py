"""Whether the interval of the flux holds what it promises, everywhere."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.goes import CLASS_LETTERS, class_index
from flare.plots.intervals import draw_intervals, grouped_shares
from flare.plots.style import (
    BLUE,
    GREY,
    INK,
    LARGE,
    PAGE,
    SMALL,
    VERMILLION,
    caption,
    dress,
    new_figure,
)
from flare.verification.inputs import number_array


def interval_coverage(
    log10_flux: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    peak_flux: NDArray[np.float64],
    *,
    nominal: float,
    weights: NDArray[np.float64] | None = None,
    n_levels: int = 5,
    level: float = 0.95,
) -> Figure:
    """Draw the share of labels inside the interval by level of the forecast and by class.

    A calibrated interval has the same share at every level of the forecast. By observed class it
    need not: the largest flares are those that were larger than expected.

    Parameters
    ----------
    log10_flux, lower, upper
        The forecast and its interval, log10 of W m^-2, each (N,).
    peak_flux
        Labels in W m^-2, (N,).
    nominal
        The share that the interval is meant to hold.
    weights
        Of resampled active regions, (R, N), for the bars; without them bars are binomial.
    n_levels
        Into how many parts with equally many samples the forecasts are divided: fewer where many
        are the same.
    level
        Of the bars.

    Raises
    ------
    VerificationInvalid
        There are no samples, arrays of other lengths, or NaN.
    """
    shape = np.shape(peak_flux)
    observed = np.log10(number_array("peak_flux", peak_flux, shape))
    forecast, low, high = (
        number_array(name, values, shape)
        for name, values in (("log10_flux", log10_flux), ("lower", lower), ("upper", upper))
    )
    inside = (low <= observed) & (observed <= high)
    by_level, names = _levels(forecast, n_levels)
    by_class = class_index(peak_flux) == np.arange(len(CLASS_LETTERS))[:, None]
    figure = new_figure(PAGE, 3.1)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, groups, labels in (
        (left, by_level, names),
        (right, by_class, ["quiet, A", *CLASS_LETTERS[1:]]),
    ):
        _draw(axes, inside, groups, labels, nominal=nominal, weights=weights, level=level)
    dress(left, x="forecast log10 flux", y="labels inside the interval")
    dress(right, x="observed class")
    left.set_ylim(-0.02, 1.06)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=SMALL,
        frameon=False, labelcolor=INK,
    )  # fmt: skip
    figure.suptitle("Coverage of the flux interval", x=0.01, ha="left", fontsize=LARGE, color=INK)
    drawn = "binomial" if weights is None else "over active regions"
    caption(
        figure,
        f"The {100 * nominal:g} % interval holds {100 * inside.mean():.1f} % of "
        f"{len(inside)} labels. "
        f"Bars: {100 * level:g} % intervals, {drawn}. Below each name: samples.",
    )
    return figure


def _levels(
    forecast: NDArray[np.float64], n_levels: int
) -> tuple[NDArray[np.bool_], Sequence[str]]:
    """Return which samples are at which level, (G, N), and what the levels reach from and to."""
    edges = np.unique(np.quantile(forecast, np.linspace(0, 1, n_levels + 1)))
    index = np.digitize(forecast, edges[1:-1])
    kept = np.unique(index)
    groups = index == kept[:, None]
    spans = [(forecast[group].min(), forecast[group].max()) for group in groups]
    names = [f"{a:.1f} to\n{b:.1f}" if f"{a:.1f}" != f"{b:.1f}" else f"{a:.1f}" for a, b in spans]
    return groups, names


def _draw(
    axes: Axes,
    inside: NDArray[np.bool_],
    groups: NDArray[np.bool_],
    names: Sequence[str],
    *,
    nominal: float,
    weights: NDArray[np.float64] | None,
    level: float,
) -> None:
    found = grouped_shares(inside, groups, weights=weights, level=level)
    whole = float(inside.mean())
    axes.axhline(nominal, color=VERMILLION, linewidth=1, label=f"nominal {nominal:g}")
    axes.axhline(whole, color=GREY, linewidth=0.8, linestyle="--", label=f"all {whole:.3f}")
    x = np.arange(len(groups), dtype=np.float64)
    draw_intervals(axes, x, found, color=BLUE, label="measured")
    labels = [f"{name}\n({n})" for name, n in zip(names, found.counts, strict=True)]
    axes.set_xticks(x, labels)
    axes.set_xlim(-0.6, len(groups) - 0.4)
