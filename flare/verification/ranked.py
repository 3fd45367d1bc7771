"""Scores of a whole distribution over ordered classes: A, B, C, M, X at once.

Classes are given by K thresholds between them: column k of outcomes and probabilities, both
(N, K), is "at least the class above threshold k". Weights are (N,) or (R, N) as in ``inputs``.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import VerificationInvalid
from flare.goes import CLASS_LETTERS
from flare.verification.inputs import FloatArray, probability_array, ratio, weight_array

#: The thresholds between the GOES classes: the events that must be issued for these scores.
RANKED_EVENTS = tuple(f"{letter}1.0" for letter in CLASS_LETTERS[1:])


def ranked_probability_score(
    reached: NDArray[np.bool_], probability: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the sum over the thresholds of (probability - outcome)^2, averaged (RPS).

    How far the forecast distribution is from what happened, where M instead of X is a smaller
    error than C. Perfect 0, worst K: it is the sum of the Brier scores of the K events and not
    divided by K, which others do (K is 4 for the GOES classes). Epstein 1969,
    doi:10.1175/1520-0450(1969)008<0985:ASSFPF>2.0.CO;2; Murphy 1971,
    doi:10.1175/1520-0450(1971)010<0155:ANOTRP>2.0.CO;2.

    Parameters
    ----------
    reached
        Whether each threshold was reached, (N, K), from the lowest to the highest.
    probability
        That it would be, (N, K).

    Raises
    ------
    VerificationInvalid
        A higher threshold was reached and a lower one was not, or the arrays do not fit.
    """
    reached = _checked(reached)
    probability = probability_array("probability", probability, reached.shape)
    counts = weight_array(weights, len(reached))
    squares = np.square(probability - reached).sum(axis=1)
    return ratio(counts @ squares, counts.sum(axis=-1))


def ranked_probability_skill_score(
    reached: NDArray[np.bool_], probability: FloatArray, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the RPS gained over forecasting the class rates of the scored sample (RPSS).

    1 - RPS / RPS of those rates (of each resample, with weights), which no real forecast could
    have known. Perfect 1, the rates 0; NaN where all samples are of one class. Parameters and
    errors are those of ``ranked_probability_score``.
    """
    reached = _checked(reached)
    counts = weight_array(weights, len(reached))
    rates = ratio(counts @ reached, counts.sum(axis=-1)[..., None])  # (..., K)
    reference = np.sum(rates * (1 - rates), axis=-1)
    return 1 - ratio(ranked_probability_score(reached, probability, weights=counts), reference)


def _checked(reached: NDArray[np.bool_]) -> NDArray[np.bool_]:
    array = np.asarray(reached)
    if array.ndim != 2 or array.size == 0 or array.dtype != np.bool_:
        raise VerificationInvalid(
            f"outcomes are {array.dtype} of shape {array.shape}; wanted booleans (N, K), one "
            "column a threshold"
        )
    if np.any(array[:, 1:] & ~array[:, :-1]):
        raise VerificationInvalid("a threshold was reached without the one before; sort them")
    return array
