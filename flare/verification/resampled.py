"""One set of resamples of active regions, and any score of any event on all of them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.goes import LABEL_SCALES, QUIET_FLUX, event_outcomes
from flare.verification.bootstrap import interval, region_weights
from flare.verification.inputs import BoolArray, FloatArray, Observations, probability_array
from flare.verification.named_scores import class_scores, event_scores, flux_scores
from flare.verification.ranked import RANKED_EVENTS

#: Where a score belongs that is no event's.
FLUX = "flux"

#: The event of the published results on SDOBenchmark: a label of at least 1e-5 W m^-2 as the files
#: have it, on whatever scale the others are meant. Scored with what was issued for M1.0.
PUBLISHED_EVENT = "published"
_ISSUED_AS = "M1.0"


@dataclass(frozen=True)
class Score:
    """One score with its interval; NaN where it is undefined.

    ``event`` is a class, ``"published"``, or ``"flux"`` for errors of the forecast flux and scores
    over all classes, where ``n_events`` counts the samples that are not quiet.
    """

    event: str
    name: str
    value: float
    low: float
    high: float
    n: int
    n_events: int

    def metrics(self, split: str, *, of: str = "") -> dict[str, float]:
        """Return value and interval as ``split/event/score``, ``..._low`` and ``..._high``.

        What is undefined is left out. The name of the forecaster or subset that it is ``of``
        comes last; it is empty for a run's own model on all samples.
        """
        end = f"/{of}" if of else ""
        path = f"{split}/{self.event}/{self.name}"
        named = {path: self.value, f"{path}_low": self.low, f"{path}_high": self.high}
        return {f"{name}{end}": value for name, value in named.items() if not math.isnan(value)}


def json_safe(score: Score) -> dict[str, object]:
    """Return a score as JSON values, an undefined number as None."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in asdict(score).items()
    }


def scored_events(issued: Forecast) -> tuple[str, ...]:
    """Return all that has scores: the issued events, ``"published"`` with M1.0, and ``"flux"``."""
    published = (PUBLISHED_EVENT,) if _ISSUED_AS in issued.events else ()
    return (*issued.events, *published, FLUX)


class Resampled:
    """The whole sample and R resamples of its active regions, drawn once for all scores.

    Parameters
    ----------
    scale
        One of ``LABEL_SCALES``.
    climatology
        Rate of each event in a reference sample, or None.

    Raises
    ------
    VerificationInvalid
        A rate is outside 0..1.
    """

    def __init__(
        self,
        observed: Observations,
        *,
        n_resamples: int,
        seed: int,
        scale: str,
        climatology: Mapping[str, float] | None,
    ) -> None:
        self.observed, self.scale = observed, scale
        self.rates = dict(climatology or {})
        for event, rate in self.rates.items():
            self.rates[event] = float(probability_array(f"climatology of {event}", rate, ()))
        drawn = region_weights(observed.active_region, n_resamples=n_resamples, seed=seed)
        # Every sample once, then the resamples: value and interval are then one computation.
        self.weights = np.vstack([np.ones((1, drawn.shape[1])), drawn])

    def values(self, issued: Forecast, event: str) -> dict[str, FloatArray]:
        """Return the scores of one event or the flux by name, (1 + R,) each."""
        if event == FLUX:
            return self._flux_values(issued)
        issued_as = _ISSUED_AS if event == PUBLISHED_EVENT else event
        return event_scores(
            self.counted(event),
            issued.probability[:, issued.events.index(issued_as)],
            threshold=issued.thresholds[issued_as],
            weights=self.weights,
            reference_rate=self._rate(event),
        )

    def counted(self, event: str) -> BoolArray:
        """Say for each sample whether the event happened, (N,); for the flux, any flare."""
        flux = self.observed.peak_flux
        if event == FLUX:
            return flux > QUIET_FLUX
        if event == PUBLISHED_EVENT:
            return event_outcomes(flux, (_ISSUED_AS,), scale="raw")[:, 0]
        return event_outcomes(flux, (event,), scale=self.scale)[:, 0]

    def score(self, event: str, name: str, values: FloatArray, level: float) -> Score:
        """Make a Score of the values on the whole sample and on the resamples, (1 + R,)."""
        low, high = interval(values[1:], level)
        counted = self.counted(event)
        n_events = int(np.count_nonzero(counted))
        return Score(event, name, float(values[0]), low, high, len(counted), n_events)

    def _rate(self, event: str) -> float | None:
        if event == PUBLISHED_EVENT and event not in self.rates and self.scale == "raw":
            return self.rates.get(_ISSUED_AS)  # the same event
        return self.rates.get(event)

    def _flux_values(self, issued: Forecast) -> dict[str, FloatArray]:
        all_classes = set(RANKED_EVENTS) <= set(issued.events)
        columns = [issued.events.index(event) for event in RANKED_EVENTS] if all_classes else []
        return {
            **flux_scores(
                self.observed.peak_flux,
                issued.log10_flux,
                lower=issued.lower,
                upper=issued.upper,
                factor=LABEL_SCALES[self.scale],
                weights=self.weights,
            ),
            **class_scores(
                event_outcomes(self.observed.peak_flux, RANKED_EVENTS, scale=self.scale),
                issued.probability[:, columns] if all_classes else None,
                weights=self.weights,
            ),
        }


def check_known(event: str, choices: tuple[str, ...]) -> None:
    """Raise VerificationInvalid unless the event is among those that have scores."""
    if event not in choices:
        raise VerificationInvalid(f"no event {event!r}; choose from {list(choices)}")
