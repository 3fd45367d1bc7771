"""Consistent, optimal and reproducible reliability (CORP): scores split by isotonic regression.

The recalibrated probabilities are the isotonic regression of the outcomes on the forecasts: no
bins to choose. A score is then miscalibration - discrimination + uncertainty, exactly.
Dimitriadis, Gneiting & Jordan 2021, doi:10.1073/pnas.2016191118. Murphy diagrams: Ehm, Gneiting,
Jordan & Krueger 2016, doi:10.1111/rssb.12154.

Outcomes are booleans (N,), probabilities (N,), weights (N,) or (R, N) as in ``inputs``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from flare.verification.inputs import (
    BoolArray,
    FloatArray,
    event_arrays,
    ratio,
)
from flare.verification.probabilistic import RankedWeights, rank

#: Loss of a probability where the event happens, and where it does not, by the name of the score.
Losses = tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]


def _minus_log(values: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(values))


LOSSES: dict[str, Losses] = {
    "brier": (lambda p: np.square(1 - p), np.square),
    "log": (_minus_log, lambda p: _minus_log(1 - p)),
    # A probability of exactly one half is half a miss and half a false alarm.
    "misclassification": (
        lambda p: (1 - np.sign(p - 0.5)) / 2,
        lambda p: (1 + np.sign(p - 0.5)) / 2,
    ),
}


@dataclass(frozen=True)
class CorpParts:
    """A mean score, miscalibration - discrimination + uncertainty, and these parts, () or (R,).

    ``miscalibration`` (perfect 0) is what recalibration would gain; ``discrimination`` (no skill
    0) what recalibrated forecasts gain on the event rate; ``uncertainty`` is the score of that
    rate. Infinite where a certain forecast was wrong and the score is the logarithmic one.
    """

    score: FloatArray
    miscalibration: FloatArray
    discrimination: FloatArray
    uncertainty: FloatArray


def corp_decomposition(
    observed: BoolArray, probability: FloatArray, *, weights: ArrayLike | None = None
) -> dict[str, CorpParts]:
    """Split the Brier score, the logarithmic score and the misclassification rate into parts.

    They are by the name of the score in ``LOSSES``.
    """
    observed, probability, counts = event_arrays(observed, probability, weights)
    ranked = rank(observed, probability, weights=counts)
    values = np.unique(probability)
    recalibrated = _recalibrated(ranked)
    rate = ratio(ranked.events.sum(axis=-1), counts.sum(axis=-1))[..., None]
    parts = {}
    for name, losses in LOSSES.items():
        score, best, constant = (
            _mean_loss(losses, ranked, p) for p in (values, recalibrated, rate)
        )
        parts[name] = CorpParts(score, score - best, constant - best, constant)
    return parts


def recalibrated_probability(observed: BoolArray, probability: FloatArray) -> FloatArray:
    """Return the recalibrated probability of each forecast, (N,): the curve of a CORP diagram."""
    observed, probability, _ = event_arrays(observed, probability)
    curve = _recalibrated(rank(observed, probability))
    return np.asarray(curve[np.unique(probability, return_inverse=True)[1]])


def murphy_curve(
    observed: BoolArray,
    probability: FloatArray,
    thresholds: FloatArray,
    *,
    weights: ArrayLike | None = None,
) -> FloatArray:
    """Return the mean elementary score at each threshold, (..., K): a Murphy diagram.

    At threshold t a miss costs 2 (1 - t) and a false alarm 2 t, for a user who acts where the
    probability is above t. Perfect 0. The integral over t is the Brier score; a forecaster whose
    curve is the lower everywhere is better whatever the score.
    """
    observed, probability, counts = event_arrays(observed, probability, weights)
    acts = probability[:, None] > thresholds
    cost = np.where(
        observed[:, None], 2 * (1 - thresholds) * ~acts, 2 * thresholds * acts
    )  # (N, K)
    return ratio(counts @ cost, counts.sum(axis=-1)[..., None])


def _recalibrated(ranked: RankedWeights) -> FloatArray:
    """Return the isotonic regression of the frequency at each distinct probability, (..., U)."""
    total = ranked.events + ranked.non_events
    rows = np.atleast_2d(total)
    fitted = np.zeros_like(rows)
    for events, n, result in zip(np.atleast_2d(ranked.events), rows, fitted, strict=True):
        some = n > 0
        if some.any():
            result[some] = isotonic_regression(events[some] / n[some], weights=n[some]).x
    return fitted.reshape(total.shape)


def _mean_loss(losses: Losses, ranked: RankedWeights, probability: FloatArray) -> FloatArray:
    """Return the mean loss of probabilities (U,), (..., U) or (..., 1)."""
    of_event, of_non_event = (loss(probability) for loss in losses)
    total = _weighted(ranked.events, of_event) + _weighted(ranked.non_events, of_non_event)
    return ratio(total, (ranked.events + ranked.non_events).sum(axis=-1))


def _weighted(weights: FloatArray, loss: FloatArray) -> FloatArray:
    """Sum weight * loss, where a weight of 0 takes an infinite loss away."""
    finite = np.isfinite(loss)
    if finite.all():
        return np.asarray((weights * loss).sum(axis=-1))
    finite_part = (weights * np.where(finite, loss, 0)).sum(axis=-1)
    infinite = np.where(finite, 0, weights).sum(axis=-1) > 0
    return np.asarray(np.where(infinite, np.inf, finite_part))
