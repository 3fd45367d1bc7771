"""The validation forecasts of a version: stored with its run, compared on promotion.

Two versions of one dataset are compared on the samples that both were validated on. With the same
split that is all of them; else it is those that neither was trained on.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.tracking.registry import RegisteredVersion, run_text
from flare.tracking.run import Run
from flare.tracking.tags import VALIDATION_SCORES
from flare.verification.inputs import Observations
from flare.verification.resampling import paired_differences
from flare.verification.scorecard import Scorecard, score_forecasts
from flare.verification.scores import Score, info_of

FORECASTS = "validation_forecasts.csv"

#: Resampling a single region gives no interval.
MIN_REGIONS = 2


@dataclass(frozen=True)
class ValidationForecasts:
    """Forecasts of N validation samples; ``ids`` is (N,)."""

    ids: tuple[str, ...]
    forecast: Forecast
    observations: Observations


@dataclass(frozen=True)
class PairedComparison:
    """One score of a candidate and an incumbent on the same samples, and the paired difference.

    The difference is candidate minus incumbent, with its sign turned for errors, so that above 0
    the candidate is the better one.
    """

    candidate: Score
    incumbent: Score
    gain: Score
    n_active_regions: int

    def scores(self) -> dict[str, Score]:
        """Return the scores of both and the difference, by name."""
        return {"candidate": self.candidate, "incumbent": self.incumbent, "gain": self.gain}

    @property
    def worse(self) -> bool:
        """Whether the interval of the difference lies below 0."""
        return bool(self.gain.high < 0)

    @property
    def undefined(self) -> bool:
        """Whether the difference is undefined, as without events."""
        return bool(np.isnan([self.gain.value, self.gain.low, self.gain.high]).any())


def log_validation_forecasts(
    run: Run, card: Scorecard, forecast: Forecast, table: pd.DataFrame
) -> None:
    """Log the validation scores and forecasts to a run.

    ``table`` has the labels of the samples, as ``read_table`` returns them.
    """
    labels = table[["id", "active_region", "peak_flux"]].reset_index(drop=True)
    rows = labels.assign(**forecast.columns())
    run.log_json(card.as_dict(), VALIDATION_SCORES)
    run.log_text(rows.to_csv(index=False), FORECASTS)


def read_validation_forecasts(version: RegisteredVersion) -> ValidationForecasts | None:
    """Return the validation forecasts of a version; None where its run has none."""
    forecasts = run_text(version.run_id, FORECASTS)
    scores = run_text(version.run_id, VALIDATION_SCORES)
    if forecasts is None or scores is None:
        return None
    try:
        rows = pd.read_csv(StringIO(forecasts), dtype={"id": str})
        thresholds = {
            event: float(value) for event, value in json.loads(scores)["thresholds"].items()
        }
        forecast = Forecast.from_columns(rows, thresholds)
        return ValidationForecasts(tuple(rows["id"]), forecast, Observations.from_table(rows))
    except (ValueError, KeyError, TypeError):
        return None


def read_scores(version: RegisteredVersion) -> Scorecard | None:
    """Return the validation scores of a version; None where its run has none."""
    text = run_text(version.run_id, VALIDATION_SCORES)
    with suppress(ValueError, KeyError, TypeError):
        return None if text is None else Scorecard.of_dict(json.loads(text))
    return None


def compare_paired(
    candidate: ValidationForecasts,
    incumbent: ValidationForecasts,
    *,
    event: str,
    score_name: str,
    resamples: int,
) -> PairedComparison:
    """Compare a score on the samples that both have.

    ``event`` is a class that both forecast, or ``"flux"``.

    Raises VerificationInvalid: they have too few active regions in common, disagree about the
    outcomes there, or do not both have the score.
    """
    place = {sample: row for row, sample in enumerate(incumbent.ids)}
    own = np.array([k for k, one in enumerate(candidate.ids) if one in place], dtype=np.intp)
    other = np.array([place[candidate.ids[k]] for k in own], dtype=np.intp)
    observations = candidate.observations.take(own)
    n_regions = len(np.unique(observations.active_region))
    if n_regions < MIN_REGIONS:
        raise VerificationInvalid(
            f"they were validated on {n_regions} active regions in common; at least {MIN_REGIONS} "
            "are needed"
        )
    if not np.array_equal(observations.peak_flux, incumbent.observations.peak_flux[other]):
        raise VerificationInvalid("they were validated against different labels")
    forecasts = candidate.forecast.take(own), incumbent.forecast.take(other)
    settings: dict[str, Any] = {"n_resamples": resamples, "seed": 0}
    (difference,) = paired_differences(
        *forecasts, observations, wanted=[(event, score_name)], **settings
    )
    cards = [score_forecasts(one, observations, **settings) for one in forecasts]
    return PairedComparison(
        cards[0].get(event, score_name),
        cards[1].get(event, score_name),
        _negated(difference) if info_of(score_name).lower_is_better else difference,
        n_regions,
    )


def _negated(score: Score) -> Score:
    return replace(score, value=-score.value, low=-score.high, high=-score.low)
