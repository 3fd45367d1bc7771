"""All scores of one set of forecasts at once, each with its interval over active regions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.goes import EVENTS, HEADLINE_EVENT, LABEL_SCALES, event_outcomes
from flare.verification.bootstrap import LEVEL
from flare.verification.flux import class_confusion
from flare.verification.inputs import Observations, check_scorable
from flare.verification.probabilistic import ranked_probability_score
from flare.verification.reliability import reliability_table
from flare.verification.resampling import Resampled, scored_events
from flare.verification.scores import FLUX, Score, json_safe

#: The scores that a run has as metrics, and a version as tags.
HEADLINE_SCORES = (
    (HEADLINE_EVENT, "brier_skill_score"),
    (HEADLINE_EVENT, "true_skill_statistic"),
    (HEADLINE_EVENT, "heidke_skill_score"),
    (HEADLINE_EVENT, "roc_area"),
    (FLUX, "log10_flux_mae"),
)


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """The scores of one forecaster on one set of samples.

    ``confusion`` counts classes, (5, 5), observed in rows. ``scale`` is the label scale on which
    the events are meant, ``level`` that of the intervals, ``climatology`` the rates that
    ``brier_skill_score_vs_climatology`` is against, None for none; ``reliability`` are the bins of
    ``reliability_table`` of M1.0, empty where it was not forecast.
    """

    scale: str
    level: float
    n_resamples: int
    n_active_regions: int
    thresholds: dict[str, float]
    climatology: dict[str, float] | None
    confusion: NDArray[np.intp]
    reliability: tuple[dict[str, float], ...]
    scores: tuple[Score, ...]

    def samples(self) -> tuple[int, int, str, float]:
        """Return samples, active regions, scale and level: equal for comparable scorecards."""
        return self.scores[0].n, self.n_active_regions, self.scale, self.level

    @property
    def events(self) -> tuple[str, ...]:
        """The forecast events in their order, without ``"published"``."""
        return tuple(self.thresholds)

    def get(self, event: str, name: str) -> Score:
        """Return one score.

        Raises VerificationInvalid: the scorecard has no score of that name for that event (or
        ``"flux"``).
        """
        for score in self.scores:
            if (score.event, score.name) == (event, name):
                return score
        choices = sorted({score.name for score in self.scores if score.event == event})
        raise VerificationInvalid(
            f"no score {name!r} for {event!r}; "
            f"choose from {choices or list(dict.fromkeys(s.event for s in self.scores))}"
        )

    def value(self, event: str, name: str) -> float:
        """Return the value of one score, as ``get`` does."""
        return self.get(event, name).value

    def as_dict(self) -> dict[str, object]:
        """Return everything as JSON values, an undefined score as None."""
        return {
            **{one.name: getattr(self, one.name) for one in fields(self)},
            "confusion": self.confusion.tolist(),
            "reliability": list(self.reliability),
            "scores": [json_safe(score) for score in self.scores],
        }

    @classmethod
    def of_dict(cls, values: Mapping[str, Any]) -> "Scorecard":
        """Return the scorecard of ``as_dict``'s values; raise KeyError or TypeError for others."""
        scores: list[dict[str, Any]] = [
            {name: math.nan if value is None else value for name, value in score.items()}
            for score in values["scores"]
        ]
        return cls(
            **{
                **values,
                "confusion": np.array(values["confusion"], dtype=np.intp),
                "reliability": tuple(values.get("reliability", ())),  # older files have none
                "scores": tuple(Score(**score) for score in scores),
            }
        )

    def metrics(self, split: str) -> dict[str, float]:
        """Return the headline under MLflow's names: ``split/event/score`` and its interval.

        The ends of an interval end in ``_low`` and ``_high``. Undefined scores are left out.
        """
        known = {(score.event, score.name): score for score in self.scores}
        named: dict[str, float] = {}
        # In their order: MLflow's compare page opens with the first metric it is given.
        for score in (known[one] for one in HEADLINE_SCORES if one in known):
            named |= score.metrics(split)
            if score.event != FLUX:
                named[f"{split}/{score.event}/n_events"] = float(score.n_events)
        return named


def score_forecasts(
    forecast: Forecast,
    observations: Observations,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    scale: str = "raw",
    level: float = LEVEL,
    climatology: Mapping[str, float] | None = None,
) -> Scorecard:
    """Compute every score of every event and of the flux.

    Contingency scores are at the forecast's own threshold; TSS and HSS at a probability of 0.5
    are under ``..._at_0.5``. The Brier skill score is against the event rate of these samples.

    Where M1.0 was forecast, it is scored once more as ``"published"``, against labels of at least
    1e-5 W m^-2 as the files have them: published results took the labels at face value. On the
    scale ``raw`` that is M1.0 itself.

    The ranked probability scores need the probabilities of all ``RANKED_EVENTS``, B1.0 to X1.0,
    and are NaN where one was not forecast.

    Parameters
    ----------
    seed
        Of the resampling; the same for all forecasters that are to be compared.
    scale
        One of ``LABEL_SCALES``: on which scale events and classes are meant. Labels and forecast
        fluxes are both multiplied by its factor.
    level
        Of the intervals.
    climatology
        Rates of the events in a reference such as the training split, on the same scale; for
        ``"published"`` under that name, though on the scale ``raw`` M1.0's serves too. Each event
        that has one also gets ``brier_skill_score_vs_climatology``.

    Raises VerificationInvalid: there are no samples, lengths differ, a number is NaN, a probability
    or rate outside 0..1, or an event without a threshold.
    """
    check_scorable(forecast, observations, scale)
    resampled = Resampled(
        observations, n_resamples=n_resamples, seed=seed, scale=scale, climatology=climatology
    )
    scores = [
        resampled.score(event, name, values, level)
        for event in scored_events(forecast)
        for name, values in resampled.values(forecast, event).items()
    ]
    reliability: tuple[dict[str, float], ...] = ()
    if HEADLINE_EVENT in forecast.events:
        reliability = reliability_table(
            resampled.outcomes(HEADLINE_EVENT),
            forecast.probability_of(HEADLINE_EVENT),
            weights=resampled.weights[1:],
            level=level,
        )
    factor = LABEL_SCALES[scale]
    return Scorecard(
        scale=scale,
        level=level,
        n_resamples=n_resamples,
        n_active_regions=len(np.unique(observations.active_region)),
        thresholds={event: float(forecast.thresholds[event]) for event in forecast.events},
        climatology=None if climatology is None else resampled.rates,
        confusion=class_confusion(
            observations.peak_flux * factor, 10**forecast.log10_flux * factor
        ),
        reliability=reliability,
        scores=tuple(scores),
    )


#: Standard deviations, of a probability and in dex, below which forecasts count as constant.
CONSTANT_PROBABILITY, CONSTANT_LOG10_FLUX = 1e-4, 1e-3


def why_not_learned(
    forecast: Forecast, observations: Observations, climatology: Mapping[str, float]
) -> str | None:
    """Return why forecasts are no better than climatology; None where they are better.

    No better means: they are the same for all samples, or their ranked probability score over the
    GOES classes is not below that of the training rates.

    ``climatology`` has the rate of each event among the training samples.
    """
    spread = forecast.probability_of(HEADLINE_EVENT).std()
    dex = forecast.log10_flux.std()
    if spread < CONSTANT_PROBABILITY and dex < CONSTANT_LOG10_FLUX:
        return (
            f"it forecasts the same for all validation samples: standard deviation {spread:.1e} "
            f"of P({HEADLINE_EVENT}) and {dex:.1e} dex of log10 flux"
        )
    reached = event_outcomes(observations.peak_flux, EVENTS)
    columns = [forecast.events.index(event) for event in EVENTS]
    rates = np.tile([climatology[event] for event in EVENTS], (len(reached), 1))
    score = float(ranked_probability_score(reached, forecast.probability[:, columns]))
    reference = float(ranked_probability_score(reached, rates))
    if score < reference:
        return None
    return (
        f"it is not better than climatology on the validation regions: ranked probability score "
        f"{score:.4f}, climatology {reference:.4f}"
    )
