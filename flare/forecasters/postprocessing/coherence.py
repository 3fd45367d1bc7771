"""Keep the parts of a forecast from contradicting one another.

Flux, interval and event probabilities all describe one distribution of the peak flux F. Its
quantile at the level q reaches a threshold t exactly where P(F >= t) >= 1 - q. Models issue the
parts from separate heads, and they are calibrated separately, so that an interval may begin above
M1.0 while P(M1.0) is 0.16.

The probabilities are what forecasts are scored and alerts are issued by, so they stay, and the flux
and the ends of its interval are moved, no further than to the nearest threshold, to where the
probabilities allow them to be. The class is then the one that P >= 0.5 gives.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flare.goes import flux_of_class

Floats = NDArray[np.float64]

#: How far below a threshold, in dex, a flux is surely of the weaker class: in 32 bits too.
JUST_BELOW = math.log10(1 - 1e-6)


def quantile_bounds(
    probability: Floats, events: Sequence[str], exceeded: float
) -> tuple[Floats, Floats]:
    """Return between which log10 fluxes a quantile must lie for event probabilities to hold.

    Parameters
    ----------
    probability
        P(event) in 0..1, shape (N, E), never rising from one event to a stronger one.
    events
        Their classes, from weak to strong.
    exceeded
        Probability of a flux above the quantile, in 0..1: one minus its level.

    Returns
    -------
    The lowest and the highest log10 flux in W m^-2, both of shape (N,) and inclusive; infinite
    where no event bounds it.
    """
    thresholds = np.array([math.log10(flux_of_class(event)) for event in events])
    reached = probability >= exceeded
    below = thresholds + JUST_BELOW
    low = np.where(reached, thresholds, -np.inf).max(axis=1, initial=-np.inf)
    high = np.where(reached, np.inf, below).min(axis=1, initial=np.inf)
    return low, high


def made_coherent(
    log10_flux: Floats,
    ends: tuple[Floats, Floats],
    probability: Floats,
    events: Sequence[str],
    *,
    level: float,
) -> tuple[Floats, Floats, Floats]:
    """Return log10 flux, lower and upper end, each (N,), where the probabilities allow them.

    ``level`` is the share of cases that the interval is meant to hold, half of the rest on either
    side; the flux is taken as the median.
    """
    moved = [
        np.clip(values, *quantile_bounds(probability, events, exceeded))
        for values, exceeded in zip(
            (log10_flux, *ends), (0.5, (1 + level) / 2, (1 - level) / 2), strict=True
        )
    ]
    return moved[0], moved[1], moved[2]


def are_coherent(
    log10_flux: Floats,
    ends: tuple[Floats, Floats],
    probability: Floats,
    events: Sequence[str],
    *,
    level: float,
) -> NDArray[np.bool_]:
    """Say of each of N forecasts whether its parts can be of one distribution, shape (N,)."""
    given = (log10_flux, *ends)
    moved = made_coherent(log10_flux, ends, probability, events, level=level)
    same = [now == before for now, before in zip(moved, given, strict=True)]
    return np.asarray(np.logical_and.reduce(same))
