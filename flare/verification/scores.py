"""The scores of a scorecard: their names, and how each is computed.

A new score is one line here, or in ``CONTINGENCY_SCORES`` of ``contingency``. Weights are (R, N) as
in ``inputs``; every value is (R,).
"""

import math
from dataclasses import asdict, dataclass

import numpy as np

from flare.verification.contingency import (
    CONTINGENCY_SCORES,
    contingency_table,
    heidke_skill_score,
    true_skill_statistic,
)
from flare.verification.flux import (
    interval_coverage,
    interval_width,
    mean_absolute_error,
    mean_error,
    root_mean_square_error,
)
from flare.verification.inputs import BoolArray, FloatArray
from flare.verification.probabilistic import (
    brier_score,
    brier_skill_score,
    log_loss,
    rank,
    ranked_average_precision,
    ranked_probability_score,
    ranked_probability_skill_score,
    ranked_roc_area,
)
from flare.verification.reliability import brier_decomposition, expected_calibration_error

#: In place of an event, for scores of the flux and of all classes.
FLUX = "flux"

#: The event of the published results on SDOBenchmark: a label of at least 1e-5 W m^-2 as the files
#: have it, whatever the scale of the others. Scored with the forecast of ``PUBLISHED_AS``.
PUBLISHED_EVENT = "published"
PUBLISHED_AS = "M1.0"


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

        Undefined values are left out. ``of`` is the forecaster or subset, written last; empty for
        a run's own model on all samples.
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


#: In W m^-2. Below it SDOBenchmark's labels have only quiet, at 1e-9: two empty decades that every
#: error in dex would count. The floored error raises all lower fluxes to B1.0.
FLUX_FLOOR = 1e-7

#: The Brier skill score against a rate known beforehand, such as the training split's.
VS_CLIMATOLOGY = "brier_skill_score_vs_climatology"

#: Short titles of scores, where the name is too long.
TITLES = {
    "brier_skill_score": "BSS",
    "true_skill_statistic": "TSS",
    "true_skill_statistic_at_0.5": "TSS at 0.5",
    "heidke_skill_score": "HSS",
    "heidke_skill_score_at_0.5": "HSS at 0.5",
    "roc_area": "ROC area",
    "ranked_probability_score": "RPS",
    "log10_flux_mae": "log10-flux MAE (dex)",
    "log10_flux_mae_floored": "floored MAE (dex)",
    "log10_flux_rmse": "log10-flux RMSE (dex)",
    "log10_flux_bias": "log10-flux bias (dex)",
    "flux_mae": "flux MAE (W m$^{-2}$)",
}

#: Errors: a forecaster is better the lower they are.
LOWER_IS_BETTER = frozenset(
    {
        "brier_score",
        "expected_calibration_error",
        "false_alarm_ratio",
        "flux_mae",
        "interval_width",
        "log10_flux_mae",
        "log10_flux_mae_floored",
        "log10_flux_rmse",
        "log_loss",
        "probability_of_false_detection",
        "ranked_probability_score",
    }
)


def title_of(score_name: str) -> str:
    """Return the short title of a score."""
    return TITLES.get(score_name, score_name.replace("_", " "))


def event_scores(
    observed: BoolArray,
    probability: FloatArray,
    *,
    threshold: float,
    weights: FloatArray,
    reference_rate: float | None = None,
) -> dict[str, FloatArray]:
    """Return every score of one event from outcomes (N,) and probabilities (N,).

    Of the five parts of the Brier score the three of Murphy 1973 are included; the rest comes from
    forecasts that differ within a bin. ``brier_skill_score_vs_climatology`` needs a
    ``reference_rate``.
    """
    table = contingency_table(observed, probability >= threshold, weights=weights)
    at_half = contingency_table(observed, probability >= 0.5, weights=weights)
    parts = brier_decomposition(observed, probability, weights=weights)
    ranked = rank(observed, probability, weights=weights)
    named = {
        **{name: score(table) for name, score in CONTINGENCY_SCORES.items()},
        "true_skill_statistic_at_0.5": true_skill_statistic(at_half),
        "heidke_skill_score_at_0.5": heidke_skill_score(at_half),
        "brier_score": brier_score(observed, probability, weights=weights),
        "brier_skill_score": brier_skill_score(observed, probability, weights=weights),
        "brier_reliability": parts.reliability,
        "brier_resolution": parts.resolution,
        "brier_uncertainty": parts.uncertainty,
        "roc_area": ranked_roc_area(ranked),
        "average_precision": ranked_average_precision(ranked),
        "expected_calibration_error": expected_calibration_error(
            observed, probability, weights=weights
        ),
    }
    if reference_rate is not None:
        named[VS_CLIMATOLOGY] = brier_skill_score(
            observed, probability, reference_rate=reference_rate, weights=weights
        )
    return named


def class_scores(
    reached: BoolArray, probability: FloatArray | None, *, weights: FloatArray
) -> dict[str, FloatArray]:
    """Return the scores over all GOES classes at once.

    Parameters
    ----------
    reached
        Outcomes of ``RANKED_EVENTS``, (N, K).
    probability
        Of each of them, (N, K). None where one was not forecast: the scores are then NaN.
    """
    if probability is None:
        undefined = np.full(len(weights), np.nan)
        names = "ranked_probability_score", "ranked_probability_skill_score", "log_loss"
        return dict.fromkeys(names, undefined)
    return {
        "ranked_probability_score": ranked_probability_score(reached, probability, weights=weights),
        "ranked_probability_skill_score": ranked_probability_skill_score(
            reached, probability, weights=weights
        ),
        "log_loss": log_loss(reached, probability, weights=weights),
    }


def flux_scores(
    peak_flux: FloatArray,
    log10_flux: FloatArray,
    *,
    lower: FloatArray,
    upper: FloatArray,
    factor: float,
    weights: FloatArray,
) -> dict[str, FloatArray]:
    """Return every score of the forecast flux.

    Parameters
    ----------
    peak_flux
        Labels in W m^-2, (N,).
    log10_flux, lower, upper
        The forecast and its interval on the same scale, (N,).
    factor
        To the scale on which ``flux_mae`` is wanted, in W m^-2; the other errors are in dex, which
        no factor changes.
    """
    truth, floor = np.log10(peak_flux), np.log10(FLUX_FLOOR / factor)
    floored = np.maximum(truth, floor), np.maximum(log10_flux, floor)
    fluxes = peak_flux * factor, 10**log10_flux * factor
    return {
        "log10_flux_mae": mean_absolute_error(truth, log10_flux, weights=weights),
        "log10_flux_mae_floored": mean_absolute_error(*floored, weights=weights),
        "log10_flux_rmse": root_mean_square_error(truth, log10_flux, weights=weights),
        "log10_flux_bias": mean_error(truth, log10_flux, weights=weights),
        "flux_mae": mean_absolute_error(*fluxes, weights=weights),
        "interval_coverage": interval_coverage(truth, lower, upper, weights=weights),
        "interval_width": interval_width(lower, upper, weights=weights),
    }
