"""Errors of a forecast number, its interval, and its class.

Made for log10 of the peak flux, in dex, and for the peak flux, in W m^-2: errors come in the unit
of what goes in. Arrays are (N,), weights (N,) or (R, N) as in ``inputs``, results () or (R,).
Every function raises VerificationInvalid for no samples, unequal lengths and NaN.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import VerificationInvalid
from flare.goes import CLASS_LETTERS, class_index
from flare.verification.inputs import FloatArray, number_array, ratio, weight_array


def _mean(values: FloatArray, weights: ArrayLike | None) -> FloatArray:
    counts = weight_array(weights, len(values))
    return ratio(counts @ values, counts.sum(axis=-1))


def _errors(observed: FloatArray, forecast: FloatArray) -> FloatArray:
    """Return forecast - observed, (N,); raise VerificationInvalid where they do not fit."""
    n = np.size(observed)
    if n == 0:
        raise VerificationInvalid("no samples to score; wanted at least one")
    return number_array("forecast", forecast, (n,)) - number_array("observed", observed, (n,))


def mean_absolute_error(
    observed: FloatArray, forecast: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the mean of abs(forecast - observed). Perfect 0."""
    return _mean(np.abs(_errors(observed, forecast)), weights)


def root_mean_square_error(
    observed: FloatArray, forecast: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the root of the mean of (forecast - observed)^2. Perfect 0."""
    return np.sqrt(_mean(np.square(_errors(observed, forecast)), weights))


def mean_error(
    observed: FloatArray, forecast: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the mean of forecast - observed: positive for forecasts that are too high (bias)."""
    return _mean(_errors(observed, forecast), weights)


def interval_coverage(
    observed: FloatArray, lower: FloatArray, upper: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the share of observations in lower..upper, ends included.

    Perfect is the level of the interval, not 1.
    """
    inside = (_errors(observed, lower) <= 0) & (_errors(observed, upper) >= 0)
    return _mean(inside.astype(np.float64), weights)


def interval_width(
    lower: FloatArray, upper: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the mean of upper - lower. At equal coverage the smaller is the better."""
    return _mean(_errors(lower, upper), weights)


def class_confusion(observed_flux: FloatArray, forecast_flux: FloatArray) -> NDArray[np.intp]:
    """Count forecasts by GOES class from peak fluxes (N,) in W m^-2.

    Returns
    -------
    Counts (5, 5): rows are the observed classes A B C M X, columns the forecast ones.
    """
    _errors(observed_flux, forecast_flux)  # for its checks
    n = len(CLASS_LETTERS)
    pairs = class_index(observed_flux) * n + class_index(forecast_flux)
    return np.bincount(pairs, minlength=n * n).reshape(n, n)
