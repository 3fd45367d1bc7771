"""Scores against true probabilities instead of outcomes, free of the chance of the outcomes.

On synthetic regions the generator knows the probability of each event. The expected value of every
score that is a sum over samples follows from it: a sample with the true probability p counts as an
event with the weight p, and as a non-event with the weight 1 - p.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.verification.bootstrap import LEVEL, interval, region_weights
from flare.verification.inputs import FloatArray, probability_array
from flare.verification.scores import Score, event_scores

#: The scores that are computed noise-free, the headline first.
NOISE_FREE_SCORES = ("brier_skill_score", "true_skill_statistic", "roc_area")


@dataclass(frozen=True)
class TrueProbabilities:
    """The true probability of each event, (N, E), in 0..1, and the samples' regions, (N,)."""

    probability: FloatArray
    events: tuple[str, ...]
    active_region: NDArray[np.integer]


def noise_free_scores(
    forecasts: Mapping[str, Forecast],
    truth: TrueProbabilities,
    *,
    event: str,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, tuple[Score, ...]]:
    """Return the expected ``NOISE_FREE_SCORES`` of one event for each forecaster.

    Perfect and no-skill values are those of the scores themselves, but no forecaster can expect a
    Brier skill score of 1: the highest belongs to the true probabilities. Intervals are over active
    regions, from the same resamples for all.

    ``truth`` must hold for these samples: for regions that were selected by their labels the
    generator's probabilities are too low, and these scores would be wrong.

    Returns
    -------
    By name of the forecaster; ``n_events`` is the expected number, rounded.

    Raises
    ------
    VerificationInvalid
        The event has no true probability or was not forecast, or a number is not a probability.
    """
    values = _values(forecasts, truth, event, n_resamples=n_resamples, seed=seed)
    n, expected = len(truth.active_region), _column(truth.probability, truth.events, event).sum()
    return {
        name: tuple(
            Score(event, score, float(of[0]), *interval(of[1:], level), n, round(float(expected)))
            for score, of in scores.items()
        )
        for name, scores in values.items()
    }


def _values(
    forecasts: Mapping[str, Forecast],
    truth: TrueProbabilities,
    event: str,
    *,
    n_resamples: int,
    seed: int,
) -> dict[str, dict[str, FloatArray]]:
    """Return each score on the whole sample and on R resamples, (1 + R,), by forecaster."""
    chance = _column(truth.probability, truth.events, event)  # (N,)
    resamples = region_weights(truth.active_region, n_resamples=n_resamples, seed=seed)
    counts = np.vstack([np.ones((1, resamples.shape[1])), resamples])  # (1 + R, N)
    weights = np.hstack([counts * chance, counts * (1 - chance)])  # events, then non-events
    outcomes = np.repeat([True, False], len(chance))
    values = {}
    for name, one in forecasts.items():
        probability = _column(one.probability, one.events, event)
        if probability.shape != chance.shape:
            raise VerificationInvalid(
                f"{name} has {len(probability)} forecasts for {len(chance)} true probabilities"
            )
        scores = event_scores(
            outcomes, np.tile(probability, 2), threshold=one.thresholds[event], weights=weights
        )
        values[name] = {score: scores[score] for score in NOISE_FREE_SCORES}
    return values


def _column(probability: FloatArray, events: Sequence[str], event: str) -> FloatArray:
    if event not in events:
        raise VerificationInvalid(f"no event {event!r}; choose from {list(events)}")
    values = probability[:, list(events).index(event)]
    return probability_array(f"probability of {event}", values, values.shape)
