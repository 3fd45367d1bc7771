"""Figures of the forecast flux: against the observed flux, and by class."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.errors import VerificationInvalid
from flare.goes import CLASS_FLOORS, CLASS_LETTERS, HEADLINE_EVENT, QUIET_FLUX, event_outcomes
from flare.plots.style import (
    BLUE,
    COLUMN,
    GREY,
    INK,
    NORMAL,
    ORANGE,
    PAGE,
    SMALL,
    VERMILLION,
    caption,
    dress,
    headline,
    legend,
    new_figure,
)
from flare.verification.inputs import number_array, outcome_array

_BOUNDARIES = list(CLASS_FLOORS.values())[1:]  # A has no floor that anything is compared with


@dataclass(frozen=True)
class _Samples:
    """Forecast flux and interval in W m^-2, and the name of the style of each sample; all (N,)."""

    forecast: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    style: NDArray[np.str_]


#: Colour, marker and size by the outcome of a sample; the most frequent are drawn first.
_STYLES = {
    "forecast": (BLUE, "o", 9),
    "correct negative": (GREY, "o", 7),
    "false alarm": (ORANGE, "s", 15),
    "hit": (BLUE, "o", 16),
    "miss": (VERMILLION, "v", 24),
}


def predicted_against_true(
    log10_flux: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    peak_flux: NDArray[np.float64],
    *,
    alarm: NDArray[np.bool_] | None = None,
    event: str = HEADLINE_EVENT,
    level: float | None = None,
) -> Figure:
    """Draw forecast against observed peak flux, log-log, with intervals and class boundaries.

    Quiet samples have no flux on a logarithmic axis; they are in a strip of their own. The caption
    gives the coverage of the interval.

    ``log10_flux``, ``lower`` and ``upper`` are log10 of W m^-2 and ``peak_flux`` labels in W m^-2,
    (N,). With ``alarm``, whether ``event`` was forecast, (N,), hits, misses and false alarms have
    colours and markers of their own.
    """
    shape = np.shape(peak_flux)
    observed = number_array("peak_flux", peak_flux, shape)
    forecast, low, high = (
        10 ** number_array(name, values, shape)
        for name, values in (("log10_flux", log10_flux), ("lower", lower), ("upper", upper))
    )
    samples = _Samples(forecast, low, high, _outcomes(observed, alarm, event))
    quiet, flaring = observed <= QUIET_FLUX, observed > QUIET_FLUX
    figure = new_figure(PAGE, 5.2)
    strip, main = figure.subplots(1, 2, sharey=True, width_ratios=[1, 4.2])
    dress(strip, x=f"quiet, sorted\n({quiet.sum()} samples)", y="forecast peak flux (W m$^{-2}$)")
    dress(main, x=f"observed peak flux (W m$^{{-2}}$)\n({flaring.sum()} samples)")

    # In the order of the forecast, so that the strip reads as their distribution.
    rank = np.argsort(np.argsort(forecast[quiet], kind="stable")) / max(quiet.sum(), 1)
    _with_intervals(strip, rank, samples, quiet)
    strip.set(xticks=[], xlim=(-0.05, 1.05))
    _with_intervals(main, observed[flaring], samples, flaring)

    # At least from A to X, and everything that was observed or forecast.
    span = min([5e-8, *observed[flaring] / 1.5]), max([2e-4, *observed[flaring] * 1.5])
    main.plot(span, span, color=INK, linewidth=0.8, label="forecast = observed")
    main.set(xscale="log", yscale="log", xlim=span)
    main.set_ylim(min([*low, span[0]]) / 1.3, max([*high, span[1]]) * 1.3)
    _mark_classes(strip, main)
    _explain(main, samples, event)
    headline(figure, "Forecast against observed peak flux")
    caption(figure, _coverage(observed, samples, flaring, level))
    return figure


def _outcomes(
    observed: NDArray[np.float64], alarm: NDArray[np.bool_] | None, event: str
) -> NDArray[np.str_]:
    """Return the outcome of each sample by name, (N,)."""
    if alarm is None:
        return np.full(observed.shape, "forecast", dtype="U16")
    forecast = outcome_array("alarm", alarm)
    if forecast.shape != observed.shape:
        raise VerificationInvalid(f"alarm has shape {forecast.shape}; wanted {observed.shape}")
    reached = event_outcomes(observed, (event,))[:, 0]
    return np.where(
        reached,
        np.where(forecast, "hit", "miss"),
        np.where(forecast, "false alarm", "correct negative"),
    )


def _coverage(
    observed: NDArray[np.float64],
    samples: _Samples,
    flaring: NDArray[np.bool_],
    level: float | None,
) -> str:
    inside = (samples.low <= observed) & (observed <= samples.high)
    of_flares = (
        f" and {100 * inside[flaring].mean():.0f} % of those that flare" if flaring.any() else ""
    )
    meant = "interval" if level is None else f"{100 * level:g} % interval"
    return (
        f"Bars: the {meant}. It holds the label of {100 * inside.mean():.0f} % of all "
        f"{len(observed)} samples{of_flares}."
    )


def _explain(main: Axes, samples: _Samples, event: str) -> None:
    """Draw the legend, with the number of samples of each style."""
    names, counts = np.unique(samples.style, return_counts=True)
    number = dict(zip(names.tolist(), counts.tolist(), strict=True))
    if "forecast" not in number:
        for name, (colour, marker, size) in list(_STYLES.items())[1:]:
            main.plot(
                [], [], linestyle="", color=colour, marker=marker, markersize=size**0.5 + 1,
                label=f"{name} of {event} ({number.get(name, 0)})",
            )  # fmt: skip
    legend(main, "upper left")


def confusion_matrix(counts: NDArray[np.intp]) -> Figure:
    """Draw counts of GOES classes, (5, 5) with the observed ones in rows.

    The shade is the share of the row: of the flares of one class, how many were forecast as what.
    """
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    figure = new_figure(COLUMN + 0.7, 3.6)
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
    axes: Axes, x: NDArray[np.float64], samples: _Samples, which: NDArray[np.bool_]
) -> None:
    """Draw some samples at x, style by style."""
    # Hundreds of bars overlap: they fade as their number grows.
    alpha = float(np.clip(30 / max(len(x), 1), 0.06, 0.5))
    for name, (colour, marker, size) in _STYLES.items():
        some = samples.style[which] == name
        if not some.any():
            continue
        forecast, low, high = (
            values[which][some] for values in (samples.forecast, samples.low, samples.high)
        )
        axes.vlines(x[some], low, high, color=colour, alpha=alpha, linewidth=1)
        axes.scatter(
            x[some], forecast, s=size, color=colour, marker=marker, alpha=0.7, linewidths=0
        )


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
