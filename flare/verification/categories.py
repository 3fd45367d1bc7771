"""The score of forecasts of ordered classes that rewards what is rare: Gandin-Murphy-Gerrity."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import VerificationInvalid
from flare.verification.inputs import FloatArray, ratio, weight_array


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
