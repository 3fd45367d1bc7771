"""Errors of a forecast number, its interval, and its class.

Made for log10 of the peak flux, in dex, and for the peak flux, in W m^-2: errors come in the unit
of what goes in. Arrays are (N,), weights (N,) or (R, N) as in ``inputs``, results () or (R,).
Every function raises VerificationInvalid for no samples, unequal lengths and NaN.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import VerificationInvalid
from flare.goes import CLASS_LETTERS, class_index
from flare.verification.inputs import (
    FloatArray,
    number_array,
    ratio,
    weight_array,
    weighted_mean,
)


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
    return weighted_mean(np.abs(_errors(observed, forecast)), weights)


def root_mean_square_error(
    observed: FloatArray, forecast: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the root of the mean of (forecast - observed)^2. Perfect 0."""
    return np.sqrt(weighted_mean(np.square(_errors(observed, forecast)), weights))


def mean_error(
    observed: FloatArray, forecast: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the mean of forecast - observed: positive for forecasts that are too high (bias)."""
    return weighted_mean(_errors(observed, forecast), weights)


def interval_coverage(
    observed: FloatArray, lower: FloatArray, upper: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the share of observations in lower..upper, ends included.

    Perfect is the level of the interval, not 1.
    """
    inside = (_errors(observed, lower) <= 0) & (_errors(observed, upper) >= 0)
    return weighted_mean(inside.astype(np.float64), weights)


def interval_width(
    lower: FloatArray, upper: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the mean of upper - lower. At equal coverage the smaller is the better."""
    return weighted_mean(_errors(lower, upper), weights)


def class_confusion(observed_flux: FloatArray, forecast_flux: FloatArray) -> NDArray[np.intp]:
    """Count peak fluxes (N,) in W m^-2 by GOES class: (5, 5), observed A B C M X in rows."""
    _errors(observed_flux, forecast_flux)  # for its checks
    classes = class_index(observed_flux), class_index(forecast_flux)
    return class_table(*classes, n_classes=len(CLASS_LETTERS)).astype(np.intp)


def class_table(
    observed: NDArray[np.integer],
    forecast: NDArray[np.integer],
    *,
    n_classes: int,
    weights: ArrayLike | None = None,
) -> FloatArray:
    """Count pairs of classes 0..K-1: (..., K, K) with the observed class in rows."""
    if observed.shape != forecast.shape or observed.ndim != 1 or not len(observed):
        raise VerificationInvalid(
            f"classes have shapes {observed.shape} and {forecast.shape}; wanted (N,), N >= 1"
        )
    counts = weight_array(weights, len(observed))
    pair = np.eye(n_classes**2)[observed * n_classes + forecast]  # (N, K * K)
    table = counts @ pair
    return np.asarray(table.reshape(*table.shape[:-1], n_classes, n_classes))


def gandin_murphy_gerrity_score(table: FloatArray) -> FloatArray:
    """Return the score of a K x K table of ordered classes (GMGS).

    Right forecasts of rare classes count more, and errors by one class less than by two. Perfect
    1, any constant or random forecast 0; for two classes it is the TSS. NaN where a class at
    either end was not observed. Gandin & Murphy 1992,
    doi:10.1175/1520-0493(1992)120<0361:ESSFCF>2.0.CO;2; Gerrity 1992,
    doi:10.1175/1520-0493(1992)120<2709:ANOGAM>2.0.CO;2.

    Parameters
    ----------
    table
        Counts (..., K, K), the observed class in rows, from the weakest to the strongest.
    """
    k = table.shape[-1]
    total = table.sum(axis=(-2, -1))
    below = np.cumsum(table.sum(axis=-1), axis=-1)[..., :-1]  # (..., K - 1) at or below class r
    odds = ratio(total[..., None] - below, below)  # a_r of Gerrity
    inverse = ratio(1.0, odds)
    score = np.zeros(total.shape)
    for i in range(k):
        for j in range(k):
            low, high = min(i, j), max(i, j)
            reward = inverse[..., :low].sum(axis=-1) - (high - low) + odds[..., high:].sum(axis=-1)
            score = score + table[..., i, j] * reward / (k - 1)
    return ratio(score, total)
