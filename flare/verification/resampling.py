"""Scores on resamples of active regions, paired differences, and scores against true probabilities.

Two forecasts are compared with the same weights for both: the interval of the difference is then
free of what both have in common, the regions of the resample.

On synthetic regions the generator knows the probability of each event. The expected value of every
score that is a sum over samples follows from it, free of the chance of the outcomes: a sample with
the true probability p counts as an event with the weight p, and as a non-event with 1 - p.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.goes import LABEL_SCALES, QUIET_FLUX, event_outcomes
from flare.verification.bootstrap import LEVEL, interval, region_weights
from flare.verification.inputs import (
    BoolArray,
    FloatArray,
    Observations,
    check_scorable,
    probability_array,
)
from flare.verification.probabilistic import RANKED_EVENTS
from flare.verification.scores import (
    FLUX,
    PUBLISHED_AS,
    PUBLISHED_EVENT,
    Score,
    class_scores,
    event_scores,
    flux_scores,
)


def scored_events(forecast: Forecast) -> tuple[str, ...]:
    """Return the events of a forecast, ``"published"`` where M1.0 is among them, and ``"flux"``."""
    published = (PUBLISHED_EVENT,) if PUBLISHED_AS in forecast.events else ()
    return (*forecast.events, *published, FLUX)


class Resampled:
    """The whole sample and R resamples of its active regions, the same for all scores.

    ``scale`` is one of ``LABEL_SCALES``; ``climatology`` has the rate of each event in a reference
    sample, or is None.

    Raises VerificationInvalid: a rate is outside 0..1.
    """

    def __init__(
        self,
        observations: Observations,
        *,
        n_resamples: int,
        seed: int,
        scale: str,
        climatology: Mapping[str, float] | None,
    ) -> None:
        self.observations, self.scale = observations, scale
        self.rates = dict(climatology or {})
        for event, rate in self.rates.items():
            self.rates[event] = float(probability_array(f"climatology of {event}", rate, ()))
        resamples = region_weights(observations.active_region, n_resamples=n_resamples, seed=seed)
        # Every sample once, then the resamples: value and interval are then one computation.
        self.weights = np.vstack([np.ones((1, resamples.shape[1])), resamples])

    def values(self, forecast: Forecast, event: str) -> dict[str, FloatArray]:
        """Return the scores of one event or the flux by name, (1 + R,) each."""
        if event == FLUX:
            return self._flux_values(forecast)
        column = PUBLISHED_AS if event == PUBLISHED_EVENT else event
        return event_scores(
            self.outcomes(event),
            forecast.probability_of(column),
            threshold=forecast.thresholds[column],
            weights=self.weights,
            reference_rate=self._rate(event),
        )

    def outcomes(self, event: str) -> BoolArray:
        """Return the outcome of the event for each sample, (N,); for the flux, any flare."""
        flux = self.observations.peak_flux
        if event == FLUX:
            return flux > QUIET_FLUX
        if event == PUBLISHED_EVENT:
            return event_outcomes(flux, (PUBLISHED_AS,), scale="raw")[:, 0]
        return event_outcomes(flux, (event,), scale=self.scale)[:, 0]

    def score(self, event: str, name: str, values: FloatArray, level: float) -> Score:
        """Make a Score of the values on the whole sample and on the resamples, (1 + R,)."""
        low, high = interval(values[1:], level)
        outcomes = self.outcomes(event)
        n_events = int(np.count_nonzero(outcomes))
        return Score(event, name, float(values[0]), low, high, len(outcomes), n_events)

    def _rate(self, event: str) -> float | None:
        if event == PUBLISHED_EVENT and event not in self.rates and self.scale == "raw":
            return self.rates.get(PUBLISHED_AS)  # the same event
        return self.rates.get(event)

    def _flux_values(self, forecast: Forecast) -> dict[str, FloatArray]:
        all_classes = set(RANKED_EVENTS) <= set(forecast.events)
        columns = [forecast.events.index(event) for event in RANKED_EVENTS] if all_classes else []
        return {
            **flux_scores(
                self.observations.peak_flux,
                forecast.log10_flux,
                lower=forecast.lower,
                upper=forecast.upper,
                factor=LABEL_SCALES[self.scale],
                weights=self.weights,
            ),
            **class_scores(
                event_outcomes(self.observations.peak_flux, RANKED_EVENTS, scale=self.scale),
                forecast.probability[:, columns] if all_classes else None,
                weights=self.weights,
            ),
        }


def check_known(event: str, choices: tuple[str, ...]) -> None:
    """Raise VerificationInvalid unless the event is among those that have scores."""
    if event not in choices:
        raise VerificationInvalid(f"no event {event!r}; choose from {list(choices)}")


def paired_differences(
    forecast_a: Forecast,
    forecast_b: Forecast,
    observations: Observations,
    *,
    wanted: Iterable[tuple[str, str]],
    n_resamples: int = 1000,
    seed: int = 0,
    scale: str = "raw",
    level: float = LEVEL,
    climatology: Mapping[str, float] | None = None,
) -> list[Score]:
    """Return how much higher scores of ``forecast_a`` are than those of ``forecast_b``.

    All come from one set of resamples, the same for both, so each interval is that of the
    difference: where it does not hold 0, the two differ. Intervals are of one score each: one of
    twenty differences between equal forecasters is expected to exclude 0.

    ``wanted`` are pairs of an event (a class of both forecasts, ``"published"``, or ``"flux"``) and
    the name of a score as in a Scorecard; the others are those of ``score_forecasts``.

    Returns
    -------
    One Score for each pair, in their order, named ``<score name>_difference``.

    Raises VerificationInvalid: as ``score_forecasts``, or there is no such event or score.
    """
    pairs = list(wanted)
    for forecast in (forecast_a, forecast_b):
        check_scorable(forecast, observations, scale)
        for event, _ in pairs:
            check_known(event, scored_events(forecast))
    resampled = Resampled(
        observations, n_resamples=n_resamples, seed=seed, scale=scale, climatology=climatology
    )
    by_event: dict[str, tuple[dict[str, FloatArray], dict[str, FloatArray]]] = {}
    differences = []
    for event, name in pairs:
        if event not in by_event:
            by_event[event] = (
                resampled.values(forecast_a, event),
                resampled.values(forecast_b, event),
            )
        of_a, of_b = by_event[event]
        if name not in of_a:
            raise VerificationInvalid(f"no score {name!r}; choose from {sorted(of_a)}")
        difference = of_a[name] - of_b[name]
        differences.append(resampled.score(event, f"{name}_difference", difference, level))
    return differences


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
    """Return the expected ``NOISE_FREE_SCORES`` of one event, by name of the forecaster.

    Perfect and no-skill values are those of the scores themselves, but no forecaster can expect a
    Brier skill score of 1: the highest belongs to the true probabilities. Intervals are over active
    regions, from the same resamples for all; ``n_events`` is the expected number, rounded.

    ``truth`` must hold for these samples: for regions that were selected by their labels the
    generator's probabilities are too low, and these scores would be wrong.

    Raises VerificationInvalid: the event has no true probability or was not forecast, or a number
    is not a probability.
    """
    chance = _column(truth.probability, truth.events, event)  # (N,)
    n, n_events = len(chance), round(float(chance.sum()))
    resamples = region_weights(truth.active_region, n_resamples=n_resamples, seed=seed)
    counts = np.vstack([np.ones((1, n)), resamples])  # (1 + R, N)
    weights = np.hstack([counts * chance, counts * (1 - chance)])  # events, then non-events
    outcomes = np.repeat([True, False], n)
    scores = {}
    for name, one in forecasts.items():
        probability = _column(one.probability, one.events, event)
        if probability.shape != chance.shape:
            raise VerificationInvalid(
                f"{name} has {len(probability)} forecasts for {n} true probabilities"
            )
        values = event_scores(
            outcomes, np.tile(probability, 2), threshold=one.thresholds[event], weights=weights
        )
        scores[name] = tuple(
            Score(event, score, float(of[0]), *interval(of[1:], level), n, n_events)
            for score, of in ((score, values[score]) for score in NOISE_FREE_SCORES)
        )
    return scores


def _column(probability: FloatArray, events: Sequence[str], event: str) -> FloatArray:
    if event not in events:
        raise VerificationInvalid(f"no event {event!r}; choose from {list(events)}")
    values = probability[:, list(events).index(event)]
    return probability_array(f"probability of {event}", values, values.shape)
