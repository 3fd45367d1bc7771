"""The end of every training: tags, description, package, register."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flare.forecasters.base import Forecaster
from flare.goes import HEADLINE_EVENT
from flare.sample import Cube
from flare.tracking.packaging import package
from flare.tracking.registry import RegisteredVersion, describe_version
from flare.tracking.runs import ModelScores, Run, git_tags, now
from flare.tracking.tags import (
    DATA_TAG,
    FINGERPRINT_TAG,
    KIND_TAG,
    LEARNED_TAG,
    MODEL_CARD,
    NOT_LEARNED_REASON_TAG,
    SPLIT_TAG,
    SYNTHETIC_TAG,
    TUNED_TAG,
)
from flare.verification.scorecard import Scorecard
from flare.workflows.evaluation.model_card import (
    TAGGED_SCORES,
    description_of,
    model_card,
    score_tags,
)
from flare.workflows.evaluation.validation_forecasts import log_validation_forecasts
from flare.workflows.fitting.score_table import log_scores, score_rows
from flare.workflows.fitting.scoring import Validated
from flare.workflows.fitting.training_data import TrainingData

#: What versions are compared by; higher is better.
CHOICE_EVENT, CHOICE_SCORE = HEADLINE_EVENT, TAGGED_SCORES[0]
CHOICE_TAG = f"flare.validation_{CHOICE_SCORE}"


@dataclass(frozen=True)
class Trained:
    """A registered forecaster and what it scored on validation.

    ``not_learned`` says why it is worth no more than climatology there; None where it is.
    """

    forecaster: Forecaster
    version: RegisteredVersion
    validation: Scorecard
    not_learned: str | None = None

    def lines(self) -> list[str]:
        """Return what to tell the user."""
        score = self.validation.get(CHOICE_EVENT, CHOICE_SCORE)
        synthetic = "synthetic " if self.forecaster.origin.synthetic else ""
        learned_nothing = (
            []
            if self.not_learned is None
            else [f"version {self.version.version} has learned nothing: {self.not_learned}"]
        )
        return [
            f"{self.version.name} version {self.version.version} ({self.version.kind}), "
            f"run {self.version.run_id}",
            f"{synthetic}validation {CHOICE_EVENT} BSS {score.value:.3f} "
            f"[{score.low:.3f}, {score.high:.3f}], {score.n} samples with {score.n_events} events",
            f"score it on the test split: mlflow run . -e evaluate -P model={self.version.version}",
            *learned_nothing,
        ]


def register(
    run: Run,
    forecaster: Forecaster,
    validated: Validated,
    data: TrainingData,
    *,
    family: str,
    model_name: str,
    tuned_on: str,
    settings: Mapping[str, object],
) -> Trained:
    """Log the validation scores and the model with a run, and register a version of it.

    ``family`` is what people call it: ``forest``, or the architecture of a network; ``tuned_on``
    is a value of ``TUNED_TAG``.
    """
    validation = validated.card
    scores = ModelScores(validation.metrics("validation"), run.inputs["validation"], now())
    run.log_scores(scores)
    log_scores(run, score_rows(validation.scores, split="validation", forecaster=family))
    log_validation_forecasts(
        run, validation, validated.forecast, data.rows.table.iloc[data.split.validation]
    )
    tags = {
        KIND_TAG: family,
        DATA_TAG: data.pack.name,
        FINGERPRINT_TAG: data.pack.fingerprint,
        SPLIT_TAG: data.split.fingerprint,
        SYNTHETIC_TAG: str(data.pack.synthetic).lower(),
        TUNED_TAG: tuned_on,
        LEARNED_TAG: "true" if validated.not_learned is None else "false",
    }
    if validated.not_learned is not None:
        tags[NOT_LEARNED_REASON_TAG] = validated.not_learned
    run.set_tags(tags)
    version = package(
        run,
        forecaster,
        example=_example(data),
        family=family,
        model_name=model_name,
        tags={**tags, **score_tags(validation, "validation")},
        scores=scores,
    )
    run.describe(_description(version, validation, data, settings))
    card = model_card(
        forecaster,
        label=f"{version.name} version {version.version}",
        tags=tags,
        run_id=run.id,
        commit=git_tags().get("mlflow.source.git.commit"),
        validation=validation,
    )
    run.log_text(card, MODEL_CARD)
    describe_version(version.name, version.version, description_of(card))
    return Trained(forecaster, version, validation, validated.not_learned)


def _example(data: TrainingData) -> Cube:
    """Take the validation sample with the most images present, the first of several."""
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
    rows = "\n".join(
        f"| {event} | {name} | {score.value:.3f} | {score.low:.3f} .. {score.high:.3f} |"
        for event, name in (
            (CHOICE_EVENT, "brier_skill_score"),
            (CHOICE_EVENT, "true_skill_statistic"),
            (CHOICE_EVENT, "roc_area"),
            ("flux", "log10_flux_mae"),
        )
        for score in [validation.get(event, name)]
    )
    chosen = ", ".join(f"{key} {value}" for key, value in settings.items())
    return (
        f"**{version.kind}** registered as {version.name} version {version.version}. "
        f"{data.pack.name} ({kind}), {len(data.split.train)} training and "
        f"{len(data.split.validation)} validation samples, apart by active region.\n\n"
        f"{chosen}\n\n"
        f"| validation | score | value | 95 % interval |\n|---|---|---|---|\n{rows}\n"
    )
