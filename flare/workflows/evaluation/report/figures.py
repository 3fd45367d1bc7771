"""The figures of an evaluation, by name, each with a caption."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.goes import HEADLINE_EVENT, LABEL_SCALES, QUIET_FLUX, event_outcomes
from flare.plots.comparison import paired_differences, skill_by_subset, skill_panels
from flare.plots.flux import confusion_matrix, predicted_against_true
from flare.plots.groups import error_against_missing, interval_coverage
from flare.plots.reliability import reliability_diagram
from flare.plots.roc import roc_curve, skill_against_threshold
from flare.sample import N_PLANES
from flare.verification.bootstrap import region_weights
from flare.workflows.evaluation.comparison import FOREST, ORACLE
from flare.workflows.evaluation.report.sections import Reported

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

_SUBSET_SCORES = ("brier_skill_score", "true_skill_statistic")


def figures_of(reported: Reported) -> dict[str, Figure]:
    """Draw all figures of ``CAPTIONS``."""
    comparison = reported.comparison
    cards, label = comparison.scorecards, reported.label
    figures = {
        "skill": skill_panels(cards, model=label),
        **_of_probability(reported),
        **_of_flux(reported),
        "confusion_matrix": confusion_matrix(cards[label].confusion),
        "skill_by_subset": skill_by_subset(
            *(
                {
                    subset: parts[label].get(HEADLINE_EVENT, score)
                    for subset, parts in comparison.subsets.items()
                    if not subset.startswith("class_")
                }
                for score in _SUBSET_SCORES
            ),
            forecaster=label,
        ),
    }
    if comparison.against:
        figures["paired_differences"] = paired_differences(
            *(
                {name: scores[place] for name, scores in comparison.against.items()}
                for place in range(2)
            ),
            model=label,
        )
    return {name: figures[name] for name in CAPTIONS if name in figures}


def _of_probability(reported: Reported) -> Mapping[str, Figure]:
    outcomes, chance, weights = _headline(reported)
    forecasts = reported.comparison.forecasts
    threshold = forecasts[reported.label].thresholds[HEADLINE_EVENT]
    references = {
        name: one.probability[:, one.events.index(HEADLINE_EVENT)]
        for name, one in forecasts.items()
        if name in (FOREST, *list(forecasts)[1:2], ORACLE)
        if name != reported.label
    }
    return {
        "reliability": reliability_diagram(outcomes, chance, event=HEADLINE_EVENT, weights=weights),
        "roc": roc_curve(
            outcomes,
            chance,
            event=HEADLINE_EVENT,
            threshold=threshold,
            name=reported.label,
            references=references,
            weights=weights,
        ),
        "skill_against_threshold": skill_against_threshold(
            outcomes, chance, event=HEADLINE_EVENT, threshold=threshold, weights=weights
        ),
        "error_against_missing_images": error_against_missing(
            N_PLANES - reported.rows.present.sum(axis=(1, 2)),
            np.abs(reported.forecast.log10_flux - np.log10(_labels(reported))),
            np.square(chance - outcomes),
            event=HEADLINE_EVENT,
            weights=weights,
        ),
    }


def _of_flux(reported: Reported) -> Mapping[str, Figure]:
    _, chance, weights = _headline(reported)
    threshold = reported.comparison.forecasts[reported.label].thresholds[HEADLINE_EVENT]
    shift = np.log10(LABEL_SCALES[reported.scale])
    forecast, flux = reported.forecast, _labels(reported)
    ends = (forecast.log10_flux + shift, forecast.lower + shift, forecast.upper + shift)
    scaled = np.where(flux > QUIET_FLUX, flux * LABEL_SCALES[reported.scale], flux)
    return {
        "predicted_against_true": predicted_against_true(
            *ends,
            scaled,
            alarm=chance >= threshold,
            event=HEADLINE_EVENT,
            level=reported.forecaster.spec.interval_level,
        ),
        "interval_coverage": interval_coverage(
            forecast.log10_flux,
            forecast.lower,
            forecast.upper,
            flux,
            nominal=reported.forecaster.spec.interval_level,
            weights=weights,
        ),
    }


def _headline(
    reported: Reported,
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Return outcomes and probabilities of the headline event, (N,), and resamples, (R, N)."""
    regions = reported.rows.table["active_region"].to_numpy(dtype=np.int64)
    return (
        event_outcomes(_labels(reported), (HEADLINE_EVENT,), scale=reported.scale)[:, 0],
        reported.forecast.probability_of(HEADLINE_EVENT),
        region_weights(regions, n_resamples=1000, seed=0),
    )


def _labels(reported: Reported) -> NDArray[np.float64]:
    return reported.rows.table["peak_flux"].to_numpy(dtype=np.float64)
