"""Scores of probabilities: Brier score and skill, ROC area, average precision, ranked probability.

Scores of one event take outcomes (N,) and probabilities (N,). Ranked probability scores are over
ordered classes, A B C M X, given by the K thresholds between them: column k of outcomes and
probabilities, both (N, K), is "at least the class above threshold k". Weights are (N,) or (R, N)
as in ``inputs``; results have shape () or (R,).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import VerificationInvalid
from flare.goes import CLASS_LETTERS
from flare.verification.inputs import (
    BoolArray,
    FloatArray,
    event_arrays,
    outcome_array,
    probability_array,
    ratio,
    weight_array,
    weighted_mean,
)


def brier_score(
    observed: BoolArray, probability: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the mean of (probability - outcome)^2.

    In 0..1, perfect 0. Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    observed, probability, counts = event_arrays(observed, probability, weights)
    return weighted_mean(np.square(probability - observed), counts)


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
    if reference_rate is not None and not 0 <= reference_rate <= 1:
        raise VerificationInvalid(f"a reference rate of {reference_rate} is outside 0..1")
    reference = rate * np.square(1 - constant) + (1 - rate) * np.square(constant)
    return 1 - ratio(brier_score(observed, probability, weights=counts), reference)


@dataclass(frozen=True)
class RankedWeights:
    """Weight of the events and non-events that have each distinct probability, lowest first.

    Both have shape (..., U) for U distinct probabilities, with one row a resample.
    """

    events: FloatArray
    non_events: FloatArray


def rank(
    observed: BoolArray, probability: FloatArray, *, weights: ArrayLike | None = None
) -> RankedWeights:
    """Sort the outcomes by their probability, for scores of the order alone."""
    observed, probability, counts = event_arrays(observed, probability, weights)
    order = np.argsort(probability, kind="stable")
    _, starts = np.unique(probability[order], return_index=True)
    ordered = counts[..., order]
    events = np.add.reduceat(ordered * observed[order], starts, axis=-1)
    return RankedWeights(events, np.add.reduceat(ordered, starts, axis=-1) - events)


def roc_area(
    observed: BoolArray, probability: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the chance that an event was given a higher probability than a non-event (AUC).

    Ties count one half. Perfect 1, no skill 0.5; NaN without events or without non-events. The
    probabilities enter by their order only: Mason & Graham 2002, doi:10.1256/003590002320603584.
    """
    return ranked_roc_area(rank(observed, probability, weights=weights))


def ranked_roc_area(ranked: RankedWeights) -> FloatArray:
    """Return ``roc_area`` of outcomes that are sorted already."""
    events, non_events = ranked.events, ranked.non_events
    below = np.cumsum(non_events, axis=-1) - non_events / 2
    return ratio(np.sum(events * below, axis=-1), events.sum(axis=-1) * non_events.sum(axis=-1))


def average_precision(
    observed: BoolArray, probability: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the mean precision over all events, each at its own probability as threshold (AP).

    The sum over thresholds of precision times the recall gained: the area under the
    precision-recall curve, not interpolated. Perfect 1; no skill, as of any constant, the event
    rate; NaN without events. It looks at the alarms alone, so correct negatives, however many, do
    not raise it. Davis & Goadrich 2006, doi:10.1145/1143844.1143874.
    """
    return ranked_average_precision(rank(observed, probability, weights=weights))


def ranked_average_precision(ranked: RankedWeights) -> FloatArray:
    """Return ``average_precision`` of outcomes that are sorted already."""
    events = ranked.events[..., ::-1]
    hits = np.cumsum(events, axis=-1)
    alarms = hits + np.cumsum(ranked.non_events[..., ::-1], axis=-1)
    # Where nothing of weight is at or above a threshold, no event of weight has it either.
    gained = np.divide(events * hits, alarms, out=np.zeros_like(hits), where=alarms > 0)
    return ratio(gained.sum(axis=-1), events.sum(axis=-1))


#: The thresholds between the GOES classes: the events that these scores need.
RANKED_EVENTS = tuple(f"{letter}1.0" for letter in CLASS_LETTERS[1:])


def ranked_probability_score(
    reached: NDArray[np.bool_], probability: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the sum over the thresholds of (probability - outcome)^2, averaged (RPS).

    The distance of the forecast distribution from the outcome, where M instead of X is a smaller
    error than C. Perfect 0, worst K: it is the sum of the Brier scores of the K events and not
    divided by K, which others do (K is 4 for the GOES classes). Epstein 1969,
    doi:10.1175/1520-0450(1969)008<0985:ASSFPF>2.0.CO;2; Murphy 1971,
    doi:10.1175/1520-0450(1971)010<0155:ANOTRP>2.0.CO;2.

    ``reached`` says whether each threshold was reached, (N, K), from the lowest to the highest;
    ``probability`` is that it would be, (N, K).

    Raises VerificationInvalid: a higher threshold was reached and a lower one was not, or the
    arrays do not fit.
    """
    reached = _reached_array(reached)
    probability = probability_array("probability", probability, reached.shape)
    return weighted_mean(np.square(probability - reached).sum(axis=1), weights)


#: Probability of what happened, so that a certain and wrong forecast costs finitely.
_LOWEST_PROBABILITY = 1e-7


def log_loss(
    reached: NDArray[np.bool_], probability: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the mean over thresholds and samples of -ln P(what happened), in nats.

    Perfect 0; probabilities of what happened count as 1e-7 at least. Good 1952,
    doi:10.1111/j.2517-6161.1952.tb00104.x. Parameters and errors are those of
    ``ranked_probability_score``.
    """
    reached = _reached_array(reached)
    probability = probability_array("probability", probability, reached.shape)
    of_outcome = np.where(reached, probability, 1 - probability)
    losses = -np.log(np.clip(of_outcome, _LOWEST_PROBABILITY, 1)).mean(axis=1)
    return weighted_mean(losses, weights)


def ranked_probability_skill_score(
    reached: NDArray[np.bool_], probability: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the RPS gained over forecasting the class rates of the scored sample (RPSS).

    1 - RPS / RPS of those rates (of each resample, with weights), which no real forecast could
    have known. Perfect 1, the rates 0; NaN where all samples are of one class. Parameters and
    errors are those of ``ranked_probability_score``.
    """
    reached = _reached_array(reached)
    counts = weight_array(weights, len(reached))
    rates = ratio(counts @ reached, counts.sum(axis=-1)[..., None])  # (..., K)
    reference = np.sum(rates * (1 - rates), axis=-1)
    return 1 - ratio(ranked_probability_score(reached, probability, weights=counts), reference)


def _reached_array(reached: NDArray[np.bool_]) -> NDArray[np.bool_]:
    array = np.asarray(reached)
    if array.ndim != 2 or array.size == 0 or array.dtype != np.bool_:
        raise VerificationInvalid(
            f"outcomes are {array.dtype} of shape {array.shape}; wanted booleans (N, K), one "
            "column a threshold"
        )
    if np.any(array[:, 1:] & ~array[:, :-1]):
        raise VerificationInvalid("a threshold was reached without the one before; sort them")
    return array
