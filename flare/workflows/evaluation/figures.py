"""The figures of an evaluation, by name, each with a caption."""

import numpy as np
from matplotlib.figure import Figure

from flare.goes import HEADLINE_EVENT, LABEL_SCALES, QUIET_FLUX, event_outcomes
from flare.plots.comparison import paired_differences, skill_by_subset, skill_panels
from flare.plots.flux import confusion_matrix, interval_coverage, predicted_against_true
from flare.plots.reliability import error_against_missing, reliability_diagram
from flare.plots.roc import roc_curve, skill_against_threshold
from flare.sample import N_PLANES
from flare.verification.bootstrap import region_weights
from flare.workflows.evaluation.comparison import FOREST, ORACLE, Comparison
from flare.workflows.evaluation.report import Evaluation
from flare.workflows.evaluation.report_page import ReportFigure

#: Captions, in the order of the report.
CAPTIONS = {
    "skill": "Scores of the model and the references, with intervals over active regions.",
    "paired_differences": "Differences of the model's scores from those of the others, on the same "
    "resamples of active regions.",
    "reliability": "Observed frequency of the event by forecast probability, "
    "and how many forecasts there were of each.",
    "roc": "Events and non-events that are alarms, at every threshold; the mark is the model's "
    "decision threshold.",
    "skill_against_threshold": "TSS and HSS at every threshold. The line is the model's "
    "decision threshold; it was not chosen on these samples.",
    "predicted_against_true": "Forecast against observed peak flux, with the forecast interval and "
    "the boundaries of the classes.",
    "interval_coverage": "The share of labels inside the forecast interval.",
    "confusion_matrix": "Observed GOES classes, and those of the forecast flux.",
    "skill_by_subset": "The model's scores on subsets of the samples.",
    "error_against_missing_images": "Errors by the number of images that a sample lacks.",
}


def figures_of(evaluation: Evaluation) -> dict[str, ReportFigure]:
    """Draw all figures of ``CAPTIONS``."""
    comparison = evaluation.comparison
    card = comparison.scorecards[comparison.model]
    figures = {
        "skill": skill_panels(comparison.scorecards, model=comparison.model),
        "confusion_matrix": confusion_matrix(card.confusion),
        **_of_differences(comparison),
        **_of_forecasts(evaluation),
    }
    return {
        name: ReportFigure(figures[name], name.replace("_", " "), caption)
        for name, caption in CAPTIONS.items()
    }


def _of_differences(comparison: Comparison) -> dict[str, Figure]:
    model = comparison.model
    differences = [
        {name: scores[place] for name, scores in comparison.against.items()} for place in range(2)
    ]
    of_subsets = [
        {
            subset: cards[model].get(HEADLINE_EVENT, score)
            for subset, cards in comparison.subsets.items()
            if not subset.startswith("class_")
        }
        for score in ("brier_skill_score", "true_skill_statistic")
    ]
    return {
        "paired_differences": paired_differences(*differences, model=model),
        "skill_by_subset": skill_by_subset(*of_subsets, forecaster=model),
    }


def _of_forecasts(evaluation: Evaluation) -> dict[str, Figure]:
    """Draw the headline event's probabilities, and the flux."""
    table, own = evaluation.rows.table, evaluation.forecast
    forecasts, model = evaluation.comparison.forecasts, evaluation.comparison.model
    flux = table["peak_flux"].to_numpy(dtype=np.float64)
    outcomes = event_outcomes(flux, (HEADLINE_EVENT,), scale=evaluation.scale)[:, 0]
    chance = own.probability_of(HEADLINE_EVENT)
    threshold = own.thresholds[HEADLINE_EVENT]
    regions = table["active_region"].to_numpy(dtype=np.int64)
    weights = region_weights(regions, n_resamples=1000, seed=0)
    second = list(forecasts)[1]  # the model to compare with, or else the first reference
    shown = [name for name in forecasts if name in (second, FOREST, ORACLE)]
    references = {name: forecasts[name].probability_of(HEADLINE_EVENT) for name in shown}
    scale = LABEL_SCALES[evaluation.scale]
    shift = np.log10(scale)
    level = evaluation.forecaster.spec.interval_level
    return {
        "reliability": reliability_diagram(outcomes, chance, event=HEADLINE_EVENT, weights=weights),
        "roc": roc_curve(
            outcomes,
            chance,
            event=HEADLINE_EVENT,
            threshold=threshold,
            name=model,
            references=references,
            weights=weights,
        ),
        "skill_against_threshold": skill_against_threshold(
            outcomes, chance, event=HEADLINE_EVENT, threshold=threshold, weights=weights
        ),
        "error_against_missing_images": error_against_missing(
            N_PLANES - evaluation.rows.present.sum(axis=(1, 2)),
            np.abs(own.log10_flux - np.log10(flux)),
            np.square(chance - outcomes),
            event=HEADLINE_EVENT,
            weights=weights,
        ),
        "predicted_against_true": predicted_against_true(
            own.log10_flux + shift,
            own.lower + shift,
            own.upper + shift,
            np.where(flux > QUIET_FLUX, flux * scale, flux),
            alarm=chance >= threshold,
            event=HEADLINE_EVENT,
            level=level,
        ),
        "interval_coverage": interval_coverage(
            own.log10_flux, own.lower, own.upper, flux, nominal=level, weights=weights
        ),
    }
