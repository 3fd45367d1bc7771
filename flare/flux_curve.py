"""Convert the probabilities of some events to the distribution of the peak flux.

Flares of at least F arrive at a rate lambda(F), so that P(peak flux >= F) = 1 - exp(-lambda(F)).
Between two events log lambda is linear in log F: a power law, as flare sizes follow
(Wheatland 2004, doi:10.1086/421261). It is extrapolated with the last slope beyond the strongest
event; fluxes below the weakest event are quiet.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flare.goes import QUIET_FLUX, flux_of_class

#: Probabilities are clipped to this distance from 0 and 1 before logarithms are taken.
_EDGE = 1e-15
_STEEPEST = 1e-6  # the least fall of log lambda over the last segment


def log_rates(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log lambda = log(-log(1 - p)) of probabilities 0..1, of any shape."""
    inside = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(-np.log1p(-inside)), dtype=np.float64)


def probabilities(log_rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p = 1 - exp(-lambda) of log lambda, of any shape."""
    return np.asarray(-np.expm1(-np.exp(log_rate)), dtype=np.float64)


def flux_quantiles(
    probability: NDArray[np.float64], events: Sequence[str], levels: Sequence[float]
) -> NDArray[np.float64]:
    """Return quantiles of log10 of the peak flux in W m^-2, (N, Q).

    A quantile that is quiet is log10 of ``QUIET_FLUX``.

    Parameters
    ----------
    probability
        (N, E), not increasing from an event to a stronger one.
    events
        Two or more classes, from weak to strong.
    levels
        Q probabilities, 0 < q < 1, that the peak flux stays below the quantile.
    """
    falling = -log_rates(probability)  # (N, E), rising along the events
    where = np.log10([flux_of_class(event) for event in events])
    quantiles = np.empty((len(probability), len(levels)))
    for column, level in enumerate(levels):
        target = -np.log(-np.log(level))
        upper = np.clip((falling <= target).sum(axis=1), 1, len(events) - 1)  # end of the segment
        low, high = (np.take_along_axis(falling, (upper - k)[:, None], 1)[:, 0] for k in (1, 0))
        share = (target - low) / np.maximum(high - low, _STEEPEST)
        flux = where[upper - 1] + share * (where[upper] - where[upper - 1])
        quantiles[:, column] = np.where(falling[:, 0] > target, np.log10(QUIET_FLUX), flux)
    return quantiles
