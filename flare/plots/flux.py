"""Figures of the forecast flux: against what happened, and class by class."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.goes import CLASS_FLOORS, CLASS_LETTERS, QUIET_FLUX
from flare.plots.style import (
    BLUE,
    GREY,
    INK,
    LARGE,
    NORMAL,
    SMALL,
    VERMILLION,
    dress,
    legend,
    new_figure,
)
from flare.verification.inputs import number_array

_BOUNDARIES = list(CLASS_FLOORS.values())[1:]  # A has no floor that anything is compared with


def predicted_against_true(
    log10_flux: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    peak_flux: NDArray[np.float64],
) -> Figure:
    """Draw forecast against observed peak flux, log-log, with intervals and class boundaries.

    Quiet samples have no flux that could be placed on the axis: their label is a code. They stand
    side by side in a strip of their own.

    Parameters
    ----------
    log10_flux, lower, upper
        The forecast and its interval, log10 of W m^-2, each (N,).
    peak_flux
        Labels in W m^-2, (N,).
    """
    shape = np.shape(peak_flux)
    observed = number_array("peak_flux", peak_flux, shape)
    forecast, low, high = (
        10 ** number_array(name, values, shape)
        for name, values in (("log10_flux", log10_flux), ("lower", lower), ("upper", upper))
    )
    quiet, flaring = observed <= QUIET_FLUX, observed > QUIET_FLUX
    figure = new_figure(7.0, 5.6)
    strip, main = figure.subplots(1, 2, sharey=True, width_ratios=[1, 4.2])
    dress(strip, x=f"quiet, sorted\n({quiet.sum()} samples)", y="forecast peak flux (W m$^{-2}$)")
    dress(main, x=f"observed peak flux (W m$^{{-2}}$)\n({flaring.sum()} samples)")

    # Side by side in the order of the forecast, so that the strip reads as their distribution.
    rank = np.argsort(np.argsort(forecast[quiet])) / max(quiet.sum(), 1)
    _with_intervals(strip, rank, forecast[quiet], low[quiet], high[quiet])
    strip.set(xticks=[], xlim=(-0.05, 1.05))
    _with_intervals(main, observed[flaring], forecast[flaring], low[flaring], high[flaring])

    # At least from A to X, and everything that was observed or forecast.
    span = min([5e-8, *observed[flaring] / 1.5]), max([2e-4, *observed[flaring] * 1.5])
    main.plot(span, span, color=INK, linewidth=0.8, label="forecast = observed")
    main.set(xscale="log", yscale="log", xlim=span)
    main.set_ylim(min(low.min(), span[0]) / 1.3, max(high.max(), span[1]) * 1.3)
    _mark_classes(strip, main)
    legend(main, "lower right")
    title = "Forecast against observed peak flux"
    figure.suptitle(title, x=0.01, ha="left", fontsize=LARGE, color=INK)
    return figure


def confusion_matrix(counts: NDArray[np.intp]) -> Figure:
    """Draw counts of GOES classes, (5, 5) with the observed ones in rows.

    The shade is the share of the row: of the flares of one class, how many were forecast as what.
    """
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    figure = new_figure(5.0, 4.6)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.55 else INK if count else GREY
        weight = "bold" if row == column else "normal"
        axes.text(
            column, row, f"{count}", ha="center", va="center", color=colour,
            fontsize=NORMAL, fontweight=weight,
        )  # fmt: skip
    dress(axes, title="Classes, in samples", x="forecast class", y="observed class (samples)")
    axes.grid(visible=False)
    axes.set_xticks(range(len(CLASS_LETTERS)), CLASS_LETTERS)
    # Quiet samples are in the lowest class, and are most of it.
    names = ["quiet, A", *CLASS_LETTERS[1:]]
    labels = [f"{name} ({n})" for name, n in zip(names, totals, strict=True)]
    axes.set_yticks(range(len(CLASS_LETTERS)), labels)
    bar = figure.colorbar(image, shrink=0.8)
    bar.set_label("share of the observed class", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def _with_intervals(
    axes: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> None:
    # Hundreds of bars lie over each other: they must fade as their number grows.
    alpha = float(np.clip(30 / max(len(x), 1), 0.06, 0.5))
    axes.vlines(x, low, high, color=BLUE, alpha=alpha, linewidth=1)
    axes.scatter(x, y, s=9, color=BLUE, alpha=0.6, linewidths=0)


def _mark_classes(strip: Axes, main: Axes) -> None:
    """Draw the class boundaries, with the letters above and to the right of the main axes."""
    for axes in (strip, main):
        axes.grid(visible=False)
        for flux in _BOUNDARIES:
            axes.axhline(flux, color=GREY, linewidth=0.6, linestyle=":")
    for flux in _BOUNDARIES:
        main.axvline(flux, color=GREY, linewidth=0.6, linestyle=":")
    decades = [*CLASS_FLOORS.values(), 1e-3]
    for axis, (start, end) in (("x", main.get_xlim()), ("y", main.get_ylim())):
        for letter, floor, ceiling in zip(CLASS_LETTERS, decades, decades[1:], strict=False):
            # The geometric middle of what is visible of the class.
            bottom, top = max(floor, start), min(ceiling if letter != "X" else end, end)
            if bottom >= top:
                continue
            place = (bottom * top) ** 0.5
            at, transform = (place, 1.02), main.get_xaxis_transform()
            if axis == "y":
                at, transform = (1.02, place), main.get_yaxis_transform()
            main.text(
                at[0], at[1], letter, transform=transform, ha="center", va="center",
                fontsize=NORMAL, color=VERMILLION,
            )  # fmt: skip
