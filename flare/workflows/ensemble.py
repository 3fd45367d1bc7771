"""Entry point ``ensemble``: several registered models as one new version."""

import logging
import math
from collections.abc import Sequence

from flare.config import EnsembleConfig
from flare.config.groups import SplitConfig
from flare.errors import ConfigInvalid
from flare.forecast import Forecast
from flare.forecasters.ensemble import EnsembleForecaster, combine, mean_of
from flare.forecasters.postprocessing.fit import calibrate_by_fold
from flare.plots.comparison import skill_panels
from flare.tracking.registry import RegisteredVersion, version_tags
from flare.tracking.runs import Run, start
from flare.tracking.tags import FINGERPRINT_TAG, ON_VALIDATION, OUT_OF_FOLD, SPLIT_TAG
from flare.verification.scorecard import Scorecard
from flare.workflows.evaluation.validation_forecasts import read_scores
from flare.workflows.fitting.cross_validation import log_tuning, on_validation, training_folds
from flare.workflows.fitting.environment import log_environment
from flare.workflows.fitting.out_of_fold import read_out_of_fold
from flare.workflows.fitting.registration import CHOICE_EVENT, CHOICE_SCORE, Trained, register
from flare.workflows.fitting.sample_predictions import log_sample_predictions
from flare.workflows.fitting.scoring import OutOfFoldForecasts, Validated, tuned_and_scored
from flare.workflows.fitting.training_data import TrainingData, marked, training_data
from flare.workflows.prediction.resolve_model import Resolved, resolve

log = logging.getLogger("flare")


def run(config: EnsembleConfig) -> Trained:
    """Find the members, tune their mean on what none of them was fitted on, score, register."""
    with start("ensemble", name=f"ensemble of {config.models}", watch=True) as tracked:
        log_environment(tracked)
        tracked.log_config(config)
        members = _members(config)
        ensemble = combine([one.forecaster for one in members])
        data = training_data(_split_config(config, ensemble), tracked)
        _check_same_split(members, data)
        unseen = _out_of_fold(members, data, config) if config.folds else None
        tuned_on = OUT_OF_FOLD
        if unseen is None:
            tuned_on = ON_VALIDATION
            log.warning(
                "tuned on the validation regions, whose scores then flatter: %s",
                "folds=0" if config.folds == 0 else "a member kept no forecasts out of fold",
            )
            unseen = on_validation(ensemble, data, seed=config.split_seed)
        ready, validated = tuned_and_scored(ensemble, data, unseen, resamples=config.resamples)
        log_tuning(tracked, ready.postprocessing, unseen, data)
        log_sample_predictions(tracked, ready, validated, data)
        _log_members(tracked, members, validated, data)
        return register(
            tracked,
            ready,
            validated,
            data,
            family="ensemble",
            model_name=config.model_name,
            tuned_on=tuned_on,
            settings={"members": ", ".join(one.label for one in members)},
        )


def _members(config: EnsembleConfig) -> list[Resolved]:
    names = [name.strip() for name in config.models.split(",") if name.strip()]
    if len(names) < 2:
        raise ConfigInvalid(
            f"models={config.models!r} names {len(names)} models; give two or more with commas "
            "between, such as models=1,2"
        )
    found = [resolve(name, config.model_name) for name in names]
    for name, one in zip(names, found, strict=True):
        if one.version is None:
            raise ConfigInvalid(
                f"models: of {name} nobody knows which regions it held out; give the number of a "
                "version, an alias or a run id"
            )
    if len({one.digest for one in found}) < len(found):
        raise ConfigInvalid(f"models={config.models} names one model twice; name each once")
    return found


def _split_config(config: EnsembleConfig, ensemble: EnsembleForecaster) -> SplitConfig:
    shared = SplitConfig.model_fields.keys() & type(config).model_fields.keys()
    given = {name: getattr(config, name) for name in shared}
    return SplitConfig(**given, image_size=ensemble.spec.image_size)


def _version(member: Resolved) -> RegisteredVersion:
    assert member.version is not None
    return member.version


def _check_same_split(members: Sequence[Resolved], data: TrainingData) -> None:
    """Raise ConfigInvalid where a member may have learnt from the validation regions."""
    for one in members:
        tags = version_tags(_version(one))
        if tags.get(FINGERPRINT_TAG) != data.pack.fingerprint:
            raise ConfigInvalid(
                f"{one.label} was trained on other data than {data.pack.name}; pass the data_dir "
                "that it was trained on"
            )
        if tags.get(SPLIT_TAG) != data.split.fingerprint:
            raise ConfigInvalid(
                f"{one.label} was trained on split {tags.get(SPLIT_TAG)}, and this one is "
                f"{data.split.fingerprint}; pass the validation_share and split_seed that all "
                "members were trained with"
            )


def _out_of_fold(
    members: Sequence[Resolved], data: TrainingData, config: EnsembleConfig
) -> OutOfFoldForecasts | None:
    """Average what members forecast out of fold, each calibrated fold by fold on its own folds.

    None if a member stored no such forecasts.
    """
    events = members[0].forecaster.spec.events
    rows = data.split.train
    ids = [str(one) for one in data.rows.table.iloc[rows]["id"]]
    calibrated = []
    for one in members:
        stored = read_out_of_fold(_version(one), ids, events)
        if stored is None:
            return None
        forecast, its_folds = stored
        calibrated.append(
            calibrate_by_fold(
                forecast, data.peak_flux[rows], its_folds, one.forecaster.postprocessing
            )
        )
    flux, probability = mean_of(calibrated)
    folds = training_folds(data, config.folds, seed=config.split_seed)
    assert folds is not None
    return OutOfFoldForecasts(rows, folds, Forecast(flux, flux, flux, probability, events))


def _log_members(
    tracked: Run, members: Sequence[Resolved], validated: Validated, data: TrainingData
) -> None:
    """Say who the members are, and what each scored on validation beside all together."""
    for one in members:
        if one.model_id is not None:
            tracked.log_model_input(one.model_id)
    kept = {one.label: read_scores(_version(one)) for one in members}
    cards = {name: card for name, card in kept.items() if card is not None}
    figure = skill_panels({"ensemble": validated.card, **cards}, model="ensemble")
    tracked.log_figure(marked(figure, data.pack), "figures/members.png")
    about = [
        {
            "label": one.label,
            "version": _version(one).version,
            "run_id": _version(one).run_id,
            "digest": one.digest,
            f"validation_{CHOICE_SCORE}": _score(cards.get(one.label)),
        }
        for one in members
    ]
    tracked.log_json({"members": about}, "members.json")


def _score(card: Scorecard | None) -> float | None:
    value = None if card is None else card.value(CHOICE_EVENT, CHOICE_SCORE)
    return None if value is None or math.isnan(value) else value
