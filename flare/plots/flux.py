"""Figures of the forecast flux: against the observed flux, by class, and its interval."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.goes import CLASS_FLOORS, CLASS_LETTERS, QUIET_FLUX, class_index, event_outcomes
from flare.plots.reliability import draw_intervals
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
    centred,
    dress,
    headline,
    label_bar,
    legend,
    new_figure,
)
from flare.verification.bootstrap import LEVEL, grouped_shares

_Floats = NDArray[np.float64]

_BOUNDARIES = list(CLASS_FLOORS.values())[1:]  # A has no floor that anything is compared with

#: Quiet samples are in the lowest class, and are most of it.
_CLASS_NAMES = ["quiet, A", *CLASS_LETTERS[1:]]

#: Colour, marker and size by the outcome of a sample; the most frequent are drawn first.
_STYLES = {
    "correct negative": (GREY, "o", 7),
    "false alarm": (ORANGE, "s", 15),
    "hit": (BLUE, "o", 16),
    "miss": (VERMILLION, "v", 24),
}

#: Parts of the forecasts of which each has its coverage.
_LEVELS = 5


def predicted_against_true(
    log10_flux: _Floats,
    lower: _Floats,
    upper: _Floats,
    peak_flux: _Floats,
    *,
    alarm: NDArray[np.bool_],
    event: str,
    level: float,
) -> Figure:
    """Draw forecast against observed peak flux, log-log, with intervals and class boundaries.

    Quiet samples have no flux on a logarithmic axis; they are in a strip of their own. The caption
    gives the coverage of the interval.

    ``log10_flux``, ``lower`` and ``upper`` are log10 of W m^-2 and ``peak_flux`` labels in W m^-2,
    (N,). ``alarm`` is whether ``event`` was forecast, (N,): hits, misses and false alarms have
    colours and markers of their own. ``level`` is that of the interval.
    """
    forecasts = 10 ** np.stack([log10_flux, lower, upper])  # (3, N)
    reached = event_outcomes(peak_flux, (event,))[:, 0]
    outcome = np.where(
        reached,
        np.where(alarm, "hit", "miss"),
        np.where(alarm, "false alarm", "correct negative"),
    )
    quiet, flaring = peak_flux <= QUIET_FLUX, peak_flux > QUIET_FLUX
    observed = peak_flux[flaring]
    figure = new_figure(PAGE, 5.2)
    strip, main = figure.subplots(1, 2, sharey=True, width_ratios=[1, 4.2])
    dress(strip, x=f"quiet, sorted\n({quiet.sum()} samples)", y="forecast peak flux (W m$^{-2}$)")
    dress(main, x=f"observed peak flux (W m$^{{-2}}$)\n({flaring.sum()} samples)")
    # In the order of the forecast, so that the strip reads as their distribution.
    order = np.argsort(forecasts[0, quiet], kind="stable")
    rank = np.argsort(order) / max(quiet.sum(), 1)
    _with_intervals(strip, rank, forecasts[:, quiet], outcome[quiet])
    strip.set(xticks=[], xlim=(-0.05, 1.05))
    _with_intervals(main, observed, forecasts[:, flaring], outcome[flaring])
    # At least from A to X, and everything that was observed or forecast.
    span = min([5e-8, *observed / 1.5]), max([2e-4, *observed * 1.5])
    main.plot(span, span, color=INK, linewidth=0.8, label="forecast = observed")
    main.set(xscale="log", yscale="log", xlim=span)
    main.set_ylim(min([*forecasts[1], span[0]]) / 1.3, max([*forecasts[2], span[1]]) * 1.3)
    _mark_classes(strip, main)
    for name, (colour, marker, size) in _STYLES.items():
        main.plot(
            [], [], linestyle="", color=colour, marker=marker, markersize=size**0.5 + 1,
            label=f"{name} of {event} ({np.count_nonzero(outcome == name)})",
        )  # fmt: skip
    legend(main, "upper left")
    headline(figure, "Forecast against observed peak flux")
    inside = (forecasts[1] <= peak_flux) & (peak_flux <= forecasts[2])
    of_flares = ""
    if flaring.any():
        of_flares = f" and {100 * inside[flaring].mean():.0f} % of those that flare"
    caption(
        figure,
        f"Bars: the {100 * level:g} % interval. It holds the label of {100 * inside.mean():.0f} % "
        f"of all {len(inside)} samples{of_flares}.",
    )
    return figure


def _with_intervals(axes: Axes, x: _Floats, forecasts: _Floats, outcome: NDArray[np.str_]) -> None:
    """Draw forecast, lower and upper end of n samples, (3, n), at x, outcome by outcome."""
    # Hundreds of bars overlap: they fade as their number grows.
    alpha = float(np.clip(30 / max(len(x), 1), 0.06, 0.5))
    for name, (colour, marker, size) in _STYLES.items():
        some = outcome == name
        if not some.any():
            continue
        forecast, low, high = forecasts[:, some]
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
            style = {"transform": transform, "fontsize": NORMAL, "color": VERMILLION}
            centred(main, at[0], at[1], letter, **style)


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
        style = {"color": colour, "fontsize": NORMAL, "fontweight": weight}
        centred(axes, column, row, f"{count}", **style)
    dress(axes, title="Classes, in samples", x="forecast class", y="observed class (samples)")
    axes.grid(visible=False)
    axes.set_xticks(range(len(CLASS_LETTERS)), CLASS_LETTERS)
    labels = [f"{name} ({n})" for name, n in zip(_CLASS_NAMES, totals, strict=True)]
    axes.set_yticks(range(len(CLASS_LETTERS)), labels)
    label_bar(figure.colorbar(image, shrink=0.8), "share of the observed class")
    return figure


def interval_coverage(
    log10_flux: _Floats,
    lower: _Floats,
    upper: _Floats,
    peak_flux: _Floats,
    *,
    nominal: float,
    weights: _Floats,
) -> Figure:
    """Draw the share of labels inside the interval by level of the forecast and by class.

    A calibrated interval has the same share at every level of the forecast, but not in every
    observed class: the largest flares are those that were larger than expected.

    ``log10_flux``, ``lower`` and ``upper`` are log10 of W m^-2 and ``peak_flux`` labels in W m^-2,
    (N,); ``nominal`` is the share that the interval is meant to hold. Bars are over resampled
    active regions with ``weights``, (R, N). Forecasts are divided into five parts with equally many
    samples, fewer where many are the same.
    """
    observed = np.log10(peak_flux)
    inside = (lower <= observed) & (observed <= upper)
    by_level, names = _level_groups(log10_flux)
    by_class = class_index(peak_flux) == np.arange(len(CLASS_LETTERS))[:, None]
    figure = new_figure(PAGE, 3.1)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, groups, labels in ((left, by_level, names), (right, by_class, _CLASS_NAMES)):
        measured = grouped_shares(inside, groups, weights=weights)
        whole = float(inside.mean())
        axes.axhline(nominal, color=VERMILLION, linewidth=1, label=f"nominal {nominal:g}")
        axes.axhline(whole, color=GREY, linewidth=0.8, linestyle="--", label=f"all {whole:.3f}")
        x = np.arange(len(groups), dtype=np.float64)
        draw_intervals(axes, x, measured, label="measured")
        counts = measured.counts
        axes.set_xticks(x, [f"{name}\n({n})" for name, n in zip(labels, counts, strict=True)])
        axes.set_xlim(-0.6, len(groups) - 0.4)
    dress(left, x="forecast log10 flux", y="labels inside the interval")
    dress(right, x="observed class")
    left.set_ylim(-0.02, 1.06)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=SMALL,
        frameon=False, labelcolor=INK,
    )  # fmt: skip
    headline(figure, "Coverage of the flux interval")
    caption(
        figure,
        f"The {100 * nominal:g} % interval holds {100 * inside.mean():.1f} % of "
        f"{len(inside)} labels. "
        f"Bars: {100 * LEVEL:g} % intervals, over active regions. Below each name: samples.",
    )
    return figure


def _level_groups(forecast: _Floats) -> tuple[NDArray[np.bool_], Sequence[str]]:
    """Return which samples are at which level, (G, N), and the ranges of the levels."""
    edges = np.unique(np.quantile(forecast, np.linspace(0, 1, _LEVELS + 1)))
    index = np.digitize(forecast, edges[1:-1])
    groups = index == np.unique(index)[:, None]
    spans = [(forecast[group].min(), forecast[group].max()) for group in groups]
    names = [f"{a:.1f} to\n{b:.1f}" if f"{a:.1f}" != f"{b:.1f}" else f"{a:.1f}" for a, b in spans]
    return groups, names
