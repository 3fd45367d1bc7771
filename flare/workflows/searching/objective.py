"""What a search optimises: scores of calibrated out-of-fold forecasts of the training regions.

The forecasts are calibrated as those of a registered model are, but each fold by what was fitted on
the others. The validation regions are not used: they are left for comparing versions.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from flare.forecast import Forecast
from flare.forecasters.postprocessing.apply import INTERVAL_LEVEL
from flare.forecasters.postprocessing.fit import calibrate_by_fold, fit_postprocessing
from flare.goes import HEADLINE_EVENT, event_outcomes
from flare.training.state import EpochRecord
from flare.verification.bootstrap import LEVEL
from flare.verification.contingency import best_threshold
from flare.verification.inputs import Observations
from flare.verification.resampling import Resampled, paired_differences
from flare.verification.scores import Score, event_of, info_of, title_of
from flare.workflows.fitting.cross_validation import OutOfFoldForecasts
from flare.workflows.fitting.training_data import TrainingData


@dataclass(frozen=True)
class Objective:
    """A score by its name in a scorecard, of M1.0, or of the flux and all GOES classes."""

    name: str

    @property
    def event(self) -> str:
        """``M1.0`` or ``flux``."""
        return event_of(HEADLINE_EVENT, self.name)

    @property
    def title(self) -> str:
        """The score in words."""
        words = title_of(self.name)
        return f"{self.event} {words}" if self.event == HEADLINE_EVENT else words

    @property
    def lower_is_better(self) -> bool:
        """Whether the score is an error."""
        return info_of(self.name).lower_is_better

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Optuna's word for it."""
        return "minimize" if self.lower_is_better else "maximize"

    def while_training(self, record: EpochRecord) -> float:
        """Return what networks are pruned by: the flux error, or the cross-entropy of the events.

        With the sign that makes it better in the objective's own direction.
        """
        value = record.log10_flux_mae if self.name == "log10_flux_mae" else record.cross_entropy
        return value if self.lower_is_better else -value


def objectives_of(text: str) -> tuple[Objective, ...]:
    """Return the objectives that the parameter ``objective`` names."""
    return tuple(Objective(name) for name in text.split(","))


def calibrated(
    forecasts: OutOfFoldForecasts, data: TrainingData, *, distribution: bool
) -> OutOfFoldForecasts:
    """Calibrate out-of-fold forecasts as registration does, fold by fold.

    ``distribution`` says whether the events are those of one distribution of the peak flux.
    """
    peak_flux = data.peak_flux[forecasts.rows]
    postprocessing = fit_postprocessing(
        forecasts.forecast,
        peak_flux,
        forecasts.folds,
        level=INTERVAL_LEVEL,
        regions=data.active_regions[forecasts.rows],
        distribution=distribution,
    )
    forecast = calibrate_by_fold(forecasts.forecast, peak_flux, forecasts.folds, postprocessing)
    return replace(forecasts, forecast=forecast)


def score(
    forecasts: OutOfFoldForecasts, data: TrainingData, objective: Objective, *, resamples: int = 1
) -> Score:
    """Score calibrated out-of-fold forecasts; the interval is over active regions."""
    resampled = Resampled(
        _observations(forecasts, data),
        n_resamples=resamples,
        seed=0,
        scale="raw",
        climatology=None,
    )
    values = resampled.values(_as_scored(forecasts, data, objective), objective.event)
    return resampled.score(objective.event, objective.name, values[objective.name], LEVEL)


def paired_difference(
    a: OutOfFoldForecasts,
    b: OutOfFoldForecasts,
    data: TrainingData,
    objective: Objective,
    *,
    resamples: int,
) -> Score:
    """Return how much higher the score of ``a`` is than that of ``b``, on the same samples."""
    (difference,) = paired_differences(
        _as_scored(a, data, objective),
        _as_scored(b, data, objective),
        _observations(a, data),
        wanted=[(objective.event, objective.name)],
        n_resamples=resamples,
    )
    return difference


def _observations(forecasts: OutOfFoldForecasts, data: TrainingData) -> Observations:
    return Observations.from_table(data.rows.table.iloc[forecasts.rows])


def _as_scored(forecasts: OutOfFoldForecasts, data: TrainingData, objective: Objective) -> Forecast:
    """Return the forecast; for the TSS, with decisions at thresholds of the other folds."""
    forecast = forecasts.forecast
    if objective.name != "true_skill_statistic":
        return forecast
    column = forecast.events.index(HEADLINE_EVENT)
    outcomes = event_outcomes(data.peak_flux[forecasts.rows], (HEADLINE_EVENT,))[:, 0]
    decisions = forecast.probability.copy()
    for fold in np.unique(forecasts.folds):
        left_out = forecasts.folds == fold
        threshold = best_threshold(outcomes[~left_out], forecast.probability[~left_out, column])
        decisions[left_out, column] = forecast.probability[left_out, column] >= threshold
    return replace(forecast, probability=decisions)
