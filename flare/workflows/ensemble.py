"""Entry point ``ensemble``: the mean of several registered models."""

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
from flare.tracking.run import Run
from flare.tracking.runs import start
from flare.tracking.tags import FINGERPRINT_TAG, ON_VALIDATION, OUT_OF_FOLD, SPLIT_TAG
from flare.verification.scorecard import Scorecard
from flare.workflows.fitting.cross_validation import (
    OutOfFoldForecasts,
    read_out_of_fold,
    training_folds,
    validation_forecasts,
)
from flare.workflows.fitting.environment import log_environment
from flare.workflows.fitting.registration import (
    CHOICE_EVENT,
    CHOICE_SCORE,
    Trained,
    postprocess_and_register,
)
from flare.workflows.fitting.training_data import TrainingData, mark_if_synthetic, training_data
from flare.workflows.fitting.validation_forecasts import read_scores
from flare.workflows.prediction.resolve_model import Resolved, resolve

log = logging.getLogger("flare")


def run(config: EnsembleConfig) -> Trained:
    """Average the members, fit the postprocessing of the mean, score and register it."""
    with start("ensemble", name=f"ensemble of {config.models}", watch=True) as tracked:
        log_environment(tracked)
        tracked.log_config(config)
        members = _members(config)
        ensemble = combine([one.forecaster for one in members])
        data = training_data(_split_config(config, ensemble), tracked)
        _check_same_split(members, data)
        forecasts = _out_of_fold(members, data, config) if config.folds else None
        postprocessing_data = OUT_OF_FOLD
        if forecasts is None:
            postprocessing_data = ON_VALIDATION
            log.warning(
                "postprocessing is fitted on validation, whose scores are then optimistic: %s",
                "folds=0" if config.folds == 0 else "a member has no out-of-fold forecasts",
            )
            forecasts = validation_forecasts(ensemble, data, seed=config.split_seed)
        cards = _log_members(tracked, members)
        trained = postprocess_and_register(
            tracked,
            ensemble,
            data,
            forecasts,
            family="ensemble",
            model_name=config.model_name,
            postprocessing_data=postprocessing_data,
            resamples=config.resamples,
            settings={"members": ", ".join(one.label for one in members)},
        )
        figure = skill_panels({"ensemble": trained.validation, **cards}, model="ensemble")
        tracked.log_figure(mark_if_synthetic(figure, data.pack), "figures/members.png")
        return trained


def _members(config: EnsembleConfig) -> list[Resolved]:
    names = [name.strip() for name in config.models.split(",") if name.strip()]
    if len(names) < 2:
        raise ConfigInvalid(
            f"models={config.models!r} has {len(names)} models; give two or more, separated by "
            "commas, such as models=1,2"
        )
    members = [resolve(name, config.model_name) for name in names]
    for name, one in zip(names, members, strict=True):
        if one.version is None:
            raise ConfigInvalid(
                f"models: the validation regions of {name} are unknown; give a version number, an "
                "alias or a run id"
            )
    if len({one.digest for one in members}) < len(members):
        raise ConfigInvalid(f"models={config.models} has a model twice; give each once")
    return members


def _split_config(config: EnsembleConfig, ensemble: EnsembleForecaster) -> SplitConfig:
    shared = SplitConfig.model_fields.keys() & type(config).model_fields.keys()
    values = {name: getattr(config, name) for name in shared}
    return SplitConfig(**values, image_size=ensemble.spec.image_size)


def _version(member: Resolved) -> RegisteredVersion:
    assert member.version is not None
    return member.version


def _check_same_split(members: Sequence[Resolved], data: TrainingData) -> None:
    """Raise ConfigInvalid if a member may have been fitted on the validation regions."""
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
    """Average the members' out-of-fold forecasts, each calibrated on its own folds.

    None if a member has no such forecasts.
    """
    events = members[0].forecaster.spec.events
    rows = data.split.train
    ids = [str(one) for one in data.rows.table.iloc[rows]["id"]]
    calibrated = []
    for one in members:
        stored = read_out_of_fold(_version(one).run_id, ids, events)
        if stored is None:
            return None
        forecast, own_folds = stored
        calibrated.append(
            calibrate_by_fold(
                forecast, data.peak_flux[rows], own_folds, one.forecaster.postprocessing
            )
        )
    flux, probability = mean_of(calibrated)
    folds = training_folds(data, config.folds, seed=config.split_seed)
    assert folds is not None
    return OutOfFoldForecasts(rows, folds, Forecast(flux, flux, flux, probability, events))


def _log_members(tracked: Run, members: Sequence[Resolved]) -> dict[str, Scorecard]:
    """Log the members; return their validation scores by their labels, where they are stored."""
    cards, about = {}, []
    for one in members:
        version = _version(one)
        if one.model_id is not None:
            tracked.log_model_input(one.model_id)
        value, card = math.nan, read_scores(version)
        if card is not None:
            cards[one.label] = card
            value = card.value(CHOICE_EVENT, CHOICE_SCORE)
        about.append(
            {
                "label": one.label,
                "version": version.version,
                "run_id": version.run_id,
                "digest": one.digest,
                f"validation_{CHOICE_SCORE}": None if math.isnan(value) else value,
            }
        )
    tracked.log_json({"members": about}, "members.json")
    return cards
