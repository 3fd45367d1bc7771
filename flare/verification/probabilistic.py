"""Scores of probabilities: Brier score and skill, and the area under the ROC curve.

All take outcomes (N,) and probabilities (N,), and weights (N,) or (R, N) as in ``inputs``; they
return shape () or (R,).
"""

import numpy as np
from numpy.typing import ArrayLike

from flare.errors import VerificationInvalid
from flare.verification.inputs import (
    BoolArray,
    FloatArray,
    outcome_array,
    probability_array,
    ratio,
    weight_array,
)


def brier_score(
    observed: BoolArray, probability: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the mean of (probability - outcome)^2.

    In 0..1, perfect 0. Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    observed = outcome_array("observed", observed)
    probability = probability_array("probability", probability, observed.shape)
    counts = weight_array(weights, len(observed))
    return ratio(counts @ np.square(probability - observed), counts.sum(axis=-1))


def brier_skill_score(
    observed: BoolArray,
    probability: FloatArray,
    *,
    reference_rate: float | None = None,
    weights: ArrayLike | None = None,
) -> FloatArray:
    """Return the Brier score gained over forecasting one rate for everything (BSS).

    1 - BS / BS_reference. Perfect 1, the reference 0, worse than the reference negative; NaN where
    the reference is perfect, as without events.

    Parameters
    ----------
    reference_rate
        The constant forecast to compare with, such as the training split's climatology. None for
        the event rate of the scored sample (of each resample, with weights), which no real
        forecast could have known: the stricter of the two.
    """
    observed = outcome_array("observed", observed)
    counts = weight_array(weights, len(observed))
    rate = ratio(counts @ observed, counts.sum(axis=-1))
    constant = rate if reference_rate is None else np.float64(reference_rate)
    if not np.all(np.isnan(constant) | ((constant >= 0) & (constant <= 1))):
        raise VerificationInvalid(f"a reference rate of {reference_rate} is outside 0..1")
    reference = rate * np.square(1 - constant) + (1 - rate) * np.square(constant)
    return 1 - ratio(brier_score(observed, probability, weights=counts), reference)


def roc_area(
    observed: BoolArray, probability: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the chance that an event was given a higher probability than a non-event (AUC).

    Ties count one half. Perfect 1, no skill 0.5; NaN without events or without non-events. The
    probabilities enter by their order only: Mason & Graham 2002, doi:10.1256/003590002320603584.
    """
    observed = outcome_array("observed", observed)
    probability = probability_array("probability", probability, observed.shape)
    counts = weight_array(weights, len(observed))
    order = np.argsort(probability, kind="stable")
    _, starts = np.unique(probability[order], return_index=True)
    ordered = counts[..., order]
    # Weight of events and of all samples at each of the U distinct probabilities: (..., U).
    events = np.add.reduceat(ordered * observed[order], starts, axis=-1)
    non_events = np.add.reduceat(ordered, starts, axis=-1) - events
    below = np.cumsum(non_events, axis=-1) - non_events / 2
    return ratio(np.sum(events * below, axis=-1), events.sum(axis=-1) * non_events.sum(axis=-1))
