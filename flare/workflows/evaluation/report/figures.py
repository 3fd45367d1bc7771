"""The figures of an evaluation, by name, each with a caption."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.datasets.pack.reader import PackedSplit
from flare.forecast import Forecast
from flare.goes import HEADLINE_EVENT, LABEL_SCALES, QUIET_FLUX, event_outcomes
from flare.plots.comparison import paired_differences, skill_by_subset, skill_panels
from flare.plots.flux import confusion_matrix, predicted_against_true
from flare.plots.groups import error_against_missing, interval_coverage
from flare.plots.reliability import reliability_diagram
from flare.plots.roc import roc_curve, skill_against_threshold
from flare.sample import N_PLANES
from flare.verification.bootstrap import region_weights
from flare.workflows.evaluation.comparison import FOREST, ORACLE, Comparison

#: Captions, in the order of the report.
CAPTIONS = {
    "skill": "Scores of the model and the references, with intervals over active regions.",
    "paired_differences": "Differences of the model's scores from those of the others, on the same "
    "resamples of active regions.",
    "reliability": "How often the event happened where it was forecast with some probability, "
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


@dataclass(frozen=True)
class FigureData:
    """The data of the figures: one model on one split."""

    label: str
    forecast: Forecast
    rows: PackedSplit
    comparison: Comparison
    scale: str
    interval_level: float


def figures_of(data: FigureData) -> dict[str, Figure]:
    """Draw all figures of ``CAPTIONS``."""
    comparison = data.comparison
    cards, label = comparison.scorecards, data.label
    figures = {
        "skill": skill_panels(cards, model=label),
        **_of_probability(data),
        **_of_flux(data),
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


def _of_probability(data: FigureData) -> Mapping[str, Figure]:
    happened, chance, weights = _headline(data)
    forecasts = data.comparison.forecasts
    threshold = forecasts[data.label].thresholds[HEADLINE_EVENT]
    references = {
        name: one.probability[:, one.events.index(HEADLINE_EVENT)]
        for name, one in forecasts.items()
        if name in (FOREST, *list(forecasts)[1:2], ORACLE)
        if name != data.label
    }
    return {
        "reliability": reliability_diagram(happened, chance, event=HEADLINE_EVENT, weights=weights),
        "roc": roc_curve(
            happened,
            chance,
            event=HEADLINE_EVENT,
            threshold=threshold,
            name=data.label,
            references=references,
            weights=weights,
        ),
        "skill_against_threshold": skill_against_threshold(
            happened, chance, event=HEADLINE_EVENT, threshold=threshold, weights=weights
        ),
        "error_against_missing_images": error_against_missing(
            N_PLANES - data.rows.present.sum(axis=(1, 2)),
            np.abs(data.forecast.log10_flux - np.log10(_labels(data))),
            np.square(chance - happened),
            event=HEADLINE_EVENT,
            weights=weights,
        ),
    }


def _of_flux(data: FigureData) -> Mapping[str, Figure]:
    _, chance, weights = _headline(data)
    threshold = data.comparison.forecasts[data.label].thresholds[HEADLINE_EVENT]
    shift = np.log10(LABEL_SCALES[data.scale])
    forecast, flux = data.forecast, _labels(data)
    ends = (forecast.log10_flux + shift, forecast.lower + shift, forecast.upper + shift)
    scaled = np.where(flux > QUIET_FLUX, flux * LABEL_SCALES[data.scale], flux)
    return {
        "predicted_against_true": predicted_against_true(
            *ends,
            scaled,
            alarm=chance >= threshold,
            event=HEADLINE_EVENT,
            level=data.interval_level,
        ),
        "interval_coverage": interval_coverage(
            forecast.log10_flux,
            forecast.lower,
            forecast.upper,
            flux,
            nominal=data.interval_level,
            weights=weights,
        ),
    }


def _headline(
    data: FigureData,
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Return outcomes and probabilities of the headline event, (N,), and resamples, (R, N)."""
    regions = data.rows.table["active_region"].to_numpy(dtype=np.int64)
    return (
        event_outcomes(_labels(data), (HEADLINE_EVENT,), scale=data.scale)[:, 0],
        data.forecast.probability_of(HEADLINE_EVENT),
        region_weights(regions, n_resamples=1000, seed=0),
    )


def _labels(data: FigureData) -> NDArray[np.float64]:
    return data.rows.table["peak_flux"].to_numpy(dtype=np.float64)
