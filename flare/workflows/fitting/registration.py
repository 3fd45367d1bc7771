"""Register a trained forecaster: log its scores and samples, tag, describe and package it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.forecast import Forecast
from flare.forecasters.base import Forecaster
from flare.forecasters.training_inputs import TrainingInputs, fit_training_inputs
from flare.goes import HEADLINE_EVENT
from flare.plots.samples import SampleForecast, sample_predictions
from flare.sample import Cube
from flare.tracking.packaging import package
from flare.tracking.registry import RegisteredVersion, describe_version
from flare.tracking.run import ModelScores, Run, now
from flare.tracking.runs import git_tags
from flare.tracking.tags import (
    DATA_TAG,
    FINGERPRINT_TAG,
    KIND_TAG,
    LEARNED_TAG,
    MODEL_CARD,
    NOT_LEARNED_REASON_TAG,
    POSTPROCESSING_TAG,
    SCORE_TABLE,
    SPLIT_TAG,
    SYNTHETIC_TAG,
)
from flare.verification.scorecard import Scorecard
from flare.verification.scores import FLUX
from flare.verification.table import markdown_table, score_rows
from flare.workflows.fitting.cross_validation import (
    OutOfFoldForecasts,
    Validated,
    log_postprocessing,
    postprocess_and_score,
)
from flare.workflows.fitting.model_card import TAGGED_SCORES, description_of, model_card, score_tags
from flare.workflows.fitting.training_data import TrainingData, mark_if_synthetic
from flare.workflows.fitting.validation_forecasts import log_validation_forecasts

#: The score that versions are compared by; higher is better.
CHOICE_EVENT, CHOICE_SCORE = HEADLINE_EVENT, TAGGED_SCORES[0]
CHOICE_TAG = f"flare.validation_{CHOICE_SCORE}"

#: The scores in the description of a run: event and name.
_DESCRIBED = (
    (CHOICE_EVENT, "brier_skill_score"),
    (CHOICE_EVENT, "true_skill_statistic"),
    (CHOICE_EVENT, "roc_area"),
    (FLUX, "log10_flux_mae"),
)


@dataclass(frozen=True)
class Trained:
    """A registered forecaster and its validation scores.

    ``not_learned`` is the reason why it is no better than climatology there; None if it is better.
    """

    forecaster: Forecaster
    version: RegisteredVersion
    validation: Scorecard
    not_learned: str | None = None

    def lines(self) -> list[str]:
        """Return the lines for the terminal."""
        score = self.validation.get(CHOICE_EVENT, CHOICE_SCORE)
        synthetic = "synthetic " if self.forecaster.origin.synthetic else ""
        version = self.version
        lines = [
            f"{version.name} version {version.version} ({version.kind}), run {version.run_id}",
            f"{synthetic}validation {CHOICE_EVENT} BSS {score.text()}, {score.n} samples with "
            f"{score.n_events} events",
            f"score it on the test split: mlflow run . -e evaluate -P model={version.version}",
        ]
        if self.not_learned is not None:
            lines.append(f"version {version.version} has learned nothing: {self.not_learned}")
        return lines


def postprocess_and_register(
    run: Run,
    forecaster: Forecaster,
    data: TrainingData,
    forecasts: OutOfFoldForecasts,
    *,
    family: str,
    model_name: str,
    postprocessing_data: str,
    resamples: int,
    settings: Mapping[str, object],
) -> Trained:
    """Fit the postprocessing of a forecaster, score it on validation, log it, and register it.

    ``family`` is ``forest``, ``ensemble``, or the architecture of a network;
    ``postprocessing_data``, a value of ``POSTPROCESSING_TAG``, says of which rows the ``forecasts``
    are.
    """
    ready, validated = postprocess_and_score(forecaster, data, forecasts, resamples=resamples)
    ready = replace(ready, training_inputs=_training_inputs(data, validated.forecast))
    log_postprocessing(run, ready.postprocessing, forecasts, data)
    log_sample_predictions(run, ready, validated, data)
    tags = {
        KIND_TAG: family,
        DATA_TAG: data.pack.name,
        FINGERPRINT_TAG: data.pack.fingerprint,
        SPLIT_TAG: data.split.fingerprint,
        SYNTHETIC_TAG: str(data.pack.synthetic).lower(),
        POSTPROCESSING_TAG: postprocessing_data,
        LEARNED_TAG: "true" if validated.not_learned is None else "false",
    }
    if validated.not_learned is not None:
        tags[NOT_LEARNED_REASON_TAG] = validated.not_learned
    scores = _log_validation(run, validated, data, family)
    run.set_tags(tags)
    version = package(
        run,
        ready,
        example=_example(data),
        family=family,
        model_name=model_name,
        tags={**tags, **score_tags(validated.card, "validation")},
        scores=scores,
    )
    run.describe(_description(version, validated.card, data, settings))
    card = model_card(
        ready,
        label=f"{version.name} version {version.version}",
        tags=tags,
        run_id=run.id,
        commit=git_tags().get("mlflow.source.git.commit"),
        validation=validated.card,
    )
    run.log_text(card, MODEL_CARD)
    describe_version(version.name, version.version, description_of(card))
    return Trained(ready, version, validated.card, validated.not_learned)


def _training_inputs(data: TrainingData, forecast: Forecast) -> TrainingInputs:
    """Describe the training rows, and the forecasts of the validation rows."""
    rows = data.split.train
    return fit_training_inputs(
        data.plane_sums[rows],
        np.asarray(data.rows.present[rows]),
        {event: forecast.probability_of(event) for event in forecast.events},
        size=data.pack.image_size,
    )


def _log_validation(run: Run, validated: Validated, data: TrainingData, family: str) -> ModelScores:
    """Log the validation scores and forecasts; return the scores of the model."""
    card = validated.card
    scores = ModelScores(card.metrics("validation"), run.inputs["validation"], now())
    run.log_scores(scores)
    rows = score_rows(card.scores, split="validation", forecaster=family)
    run.log_table(pd.DataFrame(rows), SCORE_TABLE)
    table = data.rows.table.iloc[data.split.validation]
    log_validation_forecasts(run, card, validated.forecast, table)
    return scores


def _example(data: TrainingData) -> Cube:
    """Return the first validation sample with the most images present."""
    rows = data.split.validation
    row = rows[np.argmax(data.rows.present[rows].sum(axis=(1, 2)))]
    return np.array(data.rows.cubes[row])


def _description(
    version: RegisteredVersion,
    validation: Scorecard,
    data: TrainingData,
    settings: Mapping[str, object],
) -> str:
    kind = "SYNTHETIC data: says nothing about the real Sun" if data.pack.synthetic else "real data"
    rows = [
        [one.event, one.name, f"{one.value:.3f}", f"{one.low:.3f} .. {one.high:.3f}"]
        for one in (validation.get(*wanted) for wanted in _DESCRIBED)
    ]
    table = markdown_table(["validation", "score", "value", "95 % interval"], rows)
    chosen = ", ".join(f"{key} {value}" for key, value in settings.items())
    return (
        f"**{version.kind}** registered as {version.name} version {version.version}. "
        f"{data.pack.name} ({kind}), {len(data.split.train)} training and "
        f"{len(data.split.validation)} validation samples, split by active region.\n\n"
        f"{chosen}\n\n"
        f"{table}\n"
    )


#: Artifacts: a few validation samples with their forecasts.
SAMPLE_FIGURE, SAMPLE_TABLE = "figures/sample_predictions.png", "sample_predictions.csv"

_SHOWN = 6


def log_sample_predictions(
    run: Run, forecaster: Forecaster, validated: Validated, data: TrainingData
) -> None:
    """Log a few validation samples of all strengths with their forecasts.

    The choice depends on the labels alone, so two runs on the same split show the same samples.
    """
    peak_flux = data.peak_flux[data.split.validation]
    chosen = spread(peak_flux, _SHOWN)
    samples = [_shown(int(place), validated.forecast, data) for place in chosen]
    figure = sample_predictions(samples, level=forecaster.spec.interval_level)
    run.log_figure(mark_if_synthetic(figure, data.pack), SAMPLE_FIGURE)
    run.log_text(_sample_table(chosen, validated.forecast, data).to_csv(index=False), SAMPLE_TABLE)


def spread(peak_flux: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Return the places of the strongest, the weakest and some between, strongest first."""
    order = np.argsort(-peak_flux, kind="stable")
    places = np.linspace(0, len(order) - 1, min(n, len(order)))
    return order[np.round(places).astype(np.intp)]


def _shown(place: int, forecast: Forecast, data: TrainingData) -> SampleForecast:
    row = int(data.split.validation[place])
    label = data.rows.table.iloc[row]
    event = forecast.events.index(HEADLINE_EVENT)
    return SampleForecast(
        title=f"AR {int(label['active_region'])}\n{label['end']:%Y-%m-%d}",
        cube=np.asarray(data.rows.cubes[row]),
        present=np.asarray(data.rows.present[row]),
        log10_flux=float(forecast.log10_flux[place]),
        lower=float(forecast.lower[place]),
        upper=float(forecast.upper[place]),
        probability=float(forecast.probability[place, event]),
        observed=float(np.log10(label["peak_flux"])),
    )


def _sample_table(chosen: NDArray[np.intp], forecast: Forecast, data: TrainingData) -> pd.DataFrame:
    rows = data.split.validation[chosen]
    labels = data.rows.table.iloc[rows][["id", "active_region", "peak_flux"]]
    return labels.reset_index(drop=True).assign(**forecast.take(chosen).columns())
