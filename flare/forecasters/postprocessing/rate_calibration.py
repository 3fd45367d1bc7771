"""Fit one map of a whole distribution: log lambda' = offset + slope log lambda for all events.

Calibrating each event on its own would take the events of one distribution apart.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from flare.flux_curve import log_rates, probabilities
from flare.forecasters.postprocessing.calibration import RATE, Calibration
from flare.forecasters.postprocessing.choose_calibration import standard_error

#: Probabilities stay so far from 0 and 1.
_FLOOR = 1e-9
#: With fewer samples that reach the weakest event, or fewer that do not, nothing is fitted.
_FEWEST = 10
#: How strongly slope and offset are held to 1 and 0, as a number of samples.
_PRIOR = 5.0
_LEAST_SLOPE = 0.1

_Floats = NDArray[np.float64]


def choose_rate_calibration(
    probability: _Floats,
    outcomes: NDArray[np.bool_],
    folds: NDArray[np.integer],
    *,
    regions: NDArray[np.integer] | None = None,
) -> Calibration:
    """Return the map fitted on all samples, or none where it gains nothing on folds left out.

    A gain is a lower negative log-likelihood of the class, by more than one standard error.

    Parameters
    ----------
    probability, outcomes
        Out-of-fold forecasts of the events of a distribution, and whether each happened, (N, E).
    folds, regions
        As in ``choose_calibration``.
    """
    happened = outcomes[:, 0]
    if min(np.count_nonzero(happened), np.count_nonzero(~happened)) < _FEWEST:
        return Calibration()
    rates, classes = log_rates(probability), outcomes.sum(axis=1)
    gain = np.zeros(len(classes))
    for fold in np.unique(folds):
        left = folds == fold
        if not 0 < happened[~left].mean() < 1:
            return Calibration()
        slope, offset = _fit(rates[~left], classes[~left])
        before = _surprise(rates[left], classes[left])
        gain[left] = before - _surprise(slope * rates[left] + offset, classes[left])
    if not gain.mean() > standard_error(gain, regions):
        return Calibration()
    slope, offset = _fit(rates, classes)
    return Calibration(RATE, {"slope": (slope,), "offset": (offset,), "floor": (_FLOOR,)})


def cross_rate_calibrated(
    probability: _Floats, outcomes: NDArray[np.bool_], folds: NDArray[np.integer]
) -> _Floats:
    """Map the forecasts (N, E) of each fold by what was fitted on all the others."""
    rates, classes = log_rates(probability), outcomes.sum(axis=1)
    mapped = rates.copy()
    for fold in np.unique(folds):
        left = folds == fold
        if not left.all():
            slope, offset = _fit(rates[~left], classes[~left])
            mapped[left] = slope * rates[left] + offset
    return probabilities(mapped)


def _fit(rates: _Floats, classes: NDArray[np.intp]) -> tuple[float, float]:
    """Return slope and offset of the highest likelihood, held weakly to 1 and 0."""

    def cost(given: _Floats) -> float:
        held = _PRIOR * (np.log(max(given[0], _LEAST_SLOPE)) ** 2 + given[1] ** 2)
        return float(_surprise(given[0] * rates + given[1], classes).sum() + held)

    fitted = minimize(
        cost, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[(_LEAST_SLOPE, 10.0), (-10.0, 10.0)]
    )
    return float(fitted.x[0]), float(fitted.x[1])


def _surprise(rates: _Floats, classes: NDArray[np.intp]) -> _Floats:
    """Return -log P(class), (N,), where class k of 0..E reached k of the E events."""
    rate = np.exp(np.clip(rates, -50, 4))
    edges = np.pad(rate, [(0, 0), (1, 1)], constant_values=((0, 0), (np.inf, 0)))
    rows = np.arange(len(classes))
    below, above = edges[rows, classes], edges[rows, classes + 1]
    chance = np.exp(-above) * -np.expm1(above - below)
    return np.asarray(-np.log(np.maximum(chance, _FLOOR)), dtype=np.float64)
