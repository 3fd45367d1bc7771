"""The scores of a scorecard: their names, and how each is computed.

A new score is one entry of ``SCORES`` and one line below it, or in ``CONTINGENCY_SCORES`` of
``contingency``. Weights are (R, N) as in ``inputs``; every value is (R,).
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

    def text(self, form: str = ".3f") -> str:
        """Return value and interval as text, with numbers of this form."""
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"

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


@dataclass(frozen=True)
class ScoreInfo:
    """What is known of a score besides its values.

    ``no_skill`` is the value of a forecast without skill, None where there is none. ``in_report``
    gives it a column in the report of an evaluation, in the order of ``SCORES``.
    """

    title: str
    of_flux: bool = False
    lower_is_better: bool = False
    no_skill: float | None = None
    in_report: bool = True


#: Every score that is computed here, by name.
SCORES = {
    "brier_skill_score": ScoreInfo("BSS", no_skill=0.0),
    VS_CLIMATOLOGY: ScoreInfo("BSS against climatology", no_skill=0.0),
    "true_skill_statistic": ScoreInfo("TSS", no_skill=0.0),
    "heidke_skill_score": ScoreInfo("HSS", no_skill=0.0),
    "appleman_skill_score": ScoreInfo("ApSS", no_skill=0.0),
    "roc_area": ScoreInfo("ROC area", no_skill=0.5),
    "average_precision": ScoreInfo("average precision"),
    "probability_of_detection": ScoreInfo("POD"),
    "false_alarm_ratio": ScoreInfo("FAR", lower_is_better=True),
    "f1_score": ScoreInfo("F1"),
    "frequency_bias": ScoreInfo("frequency bias"),
    "expected_calibration_error": ScoreInfo("calibration error", lower_is_better=True),
    "probability_of_false_detection": ScoreInfo("POFD", lower_is_better=True, in_report=False),
    "precision": ScoreInfo("precision", in_report=False),
    "recall": ScoreInfo("recall", in_report=False),
    "accuracy": ScoreInfo("accuracy", in_report=False),
    "gilbert_skill_score": ScoreInfo("ETS", no_skill=0.0, in_report=False),
    "symmetric_extremal_dependence_index": ScoreInfo("SEDI", no_skill=0.0, in_report=False),
    "critical_success_index": ScoreInfo("CSI", in_report=False),
    "true_skill_statistic_at_0.5": ScoreInfo("TSS at 0.5", no_skill=0.0, in_report=False),
    "heidke_skill_score_at_0.5": ScoreInfo("HSS at 0.5", no_skill=0.0, in_report=False),
    "brier_score": ScoreInfo("Brier score", lower_is_better=True, in_report=False),
    "brier_reliability": ScoreInfo("reliability", lower_is_better=True, in_report=False),
    "brier_resolution": ScoreInfo("resolution", in_report=False),
    "brier_uncertainty": ScoreInfo("uncertainty", in_report=False),
    "log10_flux_mae": ScoreInfo("log10-flux MAE (dex)", of_flux=True, lower_is_better=True),
    "log10_flux_mae_floored": ScoreInfo("floored MAE (dex)", of_flux=True, lower_is_better=True),
    "log10_flux_bias": ScoreInfo("log10-flux bias (dex)", of_flux=True, no_skill=0.0),
    "ranked_probability_score": ScoreInfo("RPS", of_flux=True, lower_is_better=True),
    "log_loss": ScoreInfo("log loss", of_flux=True, lower_is_better=True, in_report=False),
    "interval_coverage": ScoreInfo("interval coverage", of_flux=True),
    "interval_width": ScoreInfo("interval width (dex)", of_flux=True, lower_is_better=True),
    "flux_mae": ScoreInfo("flux MAE (W m^-2)", of_flux=True, lower_is_better=True),
    "log10_flux_rmse": ScoreInfo(
        "log10-flux RMSE (dex)", of_flux=True, lower_is_better=True, in_report=False
    ),
    "ranked_probability_skill_score": ScoreInfo(
        "RPSS", of_flux=True, no_skill=0.0, in_report=False
    ),
}


def info_of(score_name: str) -> ScoreInfo:
    """Return what is known of a score; of another name only a title."""
    return SCORES.get(score_name, ScoreInfo(score_name.replace("_", " ")))


def title_of(score_name: str) -> str:
    """Return the short title of a score."""
    return info_of(score_name).title


def event_of(event: str, score_name: str) -> str:
    """Return ``"flux"`` for a score of the flux, and the event for others."""
    return FLUX if info_of(score_name).of_flux else event


def name_of(event: str, score_name: str) -> str:
    """Return the short title of a score with its event, such as ``BSS M1.0``."""
    return title_of(score_name) if event == FLUX else f"{title_of(score_name)} {event}"


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

    ``reached`` are outcomes of ``RANKED_EVENTS`` and ``probability`` those of each, (N, K); None
    where one was not forecast: the scores are then NaN.
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

    ``peak_flux`` are labels in W m^-2; ``log10_flux``, ``lower`` and ``upper`` are on the same
    scale, all (N,). ``factor`` leads to the scale on which ``flux_mae`` is wanted; the other errors
    are in dex, which no factor changes.
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
