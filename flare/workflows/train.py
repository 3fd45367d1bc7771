"""Entry point ``train``: the multitask CNN."""

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from flare.config import TrainConfig
from flare.forecasters.network import NetworkForecaster
from flare.goes import HEADLINE_EVENT
from flare.plots.training import training_curve
from flare.tracking.resume import newest_unfinished
from flare.tracking.runs import Run, start
from flare.tracking.store import connect
from flare.tracking.tags import ON_VALIDATION, OUT_OF_FOLD, PRECISION_TAG
from flare.training.processes import fabric_for, part_ways, team
from flare.training.records import EpochRecord
from flare.workflows.fitting.cross_validation import log_tuning, on_validation, training_folds
from flare.workflows.fitting.environment import log_environment
from flare.workflows.fitting.network import kept, prepared, train_network
from flare.workflows.fitting.network_folds import averaged, fold_forecasts, help_with_folds
from flare.workflows.fitting.network_inputs import NetworkInputs
from flare.workflows.fitting.network_settings import NetworkSettings, network_settings
from flare.workflows.fitting.out_of_fold import log_out_of_fold
from flare.workflows.fitting.registration import Trained, register
from flare.workflows.fitting.sample_predictions import log_sample_predictions
from flare.workflows.fitting.scoring import tuned_and_scored
from flare.workflows.fitting.training_data import TrainingData, marked, training_data, training_rows

log = logging.getLogger("flare")


def run(config: TrainConfig) -> Trained:
    """Train, keep the best epoch by cross-entropy, tune out of fold, score, register."""
    settings = network_settings(config, seed=config.seed)
    name = f"{config.architecture} width {config.width}, seed {config.seed}"
    resumed = _to_resume(config)
    with start("train", name=name, watch=True, resume=resumed) as tracked:
        log_environment(tracked)
        tracked.set_tags({PRECISION_TAG: settings.fit.precision})
        if resumed is None:
            tracked.log_config(config)
        data = training_data(config, tracked)
        log.info("%s: computing in %s", config.architecture, settings.fit.precision)
        folds = training_folds(data, config.folds, seed=config.split_seed)
        with team(config.devices * config.num_nodes, follow, config):
            inputs = prepared(data, settings)
            forecaster, best = _trained(tracked, data, inputs, settings)
            if folds is None:
                unseen = on_validation(forecaster, data, seed=config.split_seed)
            else:
                unseen, weights = fold_forecasts(
                    data,
                    settings,
                    folds,
                    epochs=best.epoch + 1,
                    inputs=inputs,
                    checkpoints=_states(tracked),
                )
                if config.average_folds:
                    forecaster = averaged(forecaster, weights)
        ready, validated = tuned_and_scored(forecaster, data, unseen, resamples=config.resamples)
        log_tuning(tracked, ready.postprocessing, unseen, data)
        if config.folds:
            log_out_of_fold(tracked, unseen, data)
        log_sample_predictions(tracked, ready, validated, data)
        tracked.log_metrics({"train/best_epoch": best.epoch + 1})
        trained = register(
            tracked,
            ready,
            validated,
            data,
            family=config.architecture,
            model_name=config.model_name,
            tuned_on=OUT_OF_FOLD if config.folds else ON_VALIDATION,
            settings={"best epoch": best.epoch + 1, "learning rate": config.learning_rate},
        )
        shutil.rmtree(_states(tracked), ignore_errors=True)
        return trained


def follow(config: TrainConfig) -> None:
    """Do the part of a further process: train beside the first one, and leave the rest to it."""
    log.setLevel(logging.ERROR)
    settings = network_settings(config, seed=config.seed)
    try:
        fabric_for(settings.fit)  # waits for the first one, which has the data ready
        data = training_rows(config)
        folds = training_folds(data, config.folds, seed=config.split_seed)
        records: list[EpochRecord] = []
        inputs = prepared(data, settings)
        train_network(
            data, settings, inputs=inputs, on_epoch=records.append, on_resumed=records.extend
        )
        if folds is not None:
            help_with_folds(data, inputs, settings, folds, epochs=kept(records).epoch + 1)
    finally:
        part_ways()


def _to_resume(config: TrainConfig) -> str | None:
    """Return the id of the run that is to go on, None for a new one."""
    if config.resume != "true":
        return config.resume or None
    connect(make=True)
    found = newest_unfinished("train", config.result_parameters())
    told = "going on with run %s" if found else "no unfinished run has these parameters: a new one"
    log.info(told, *([found] if found else []))
    return found


def _states(tracked: Run) -> Path:
    """Return the folder of the states that a stopped training goes on from."""
    return tracked.local / "checkpoints"


def _trained(
    tracked: Run, data: TrainingData, inputs: NetworkInputs, settings: NetworkSettings
) -> tuple[NetworkForecaster, EpochRecord]:
    """Return the trained network and the record of the epoch that it is from."""
    records: list[EpochRecord] = []
    try:
        forecaster = train_network(
            data,
            settings,
            inputs=inputs,
            on_epoch=_reporter(tracked, records),
            on_resumed=records.extend,
            checkpoints=_states(tracked),
        )
    finally:
        if any(record.best for record in records):
            figure = marked(_curve(records), data.pack)
            tracked.log_figure(figure, "figures/training_curve.png")
    return forecaster, kept(records)


def _curve(records: Sequence[EpochRecord]) -> Figure:
    return training_curve(
        [{**vars(record), "epoch": record.epoch + 1} for record in records],
        scores=("brier_skill_score", "roc_area"),
        best_epoch=kept(records).epoch + 1,
    )


def _reporter(tracked: Run, records: list[EpochRecord]) -> Callable[[EpochRecord], None]:
    """Return what is done with each record: keep it, log it, say it."""

    def report(record: EpochRecord) -> None:
        records.append(record)
        tracked.log_metrics(record.metrics(), step=record.epoch + 1)
        if record.epoch % 5 == 4:
            tracked.flush()  # so that a long run can be watched in the UI
        log.info(
            "epoch %2d  train %.3f  validation %.3f  log10-flux MAE %.3f dex  %s BSS %+.3f  "
            "%3.0f samples/s%s",
            record.epoch + 1,
            record.train_loss,
            record.validation_loss,
            record.log10_flux_mae,
            HEADLINE_EVENT,
            record.brier_skill_score,
            record.samples_per_second,
            "  *" if record.best else "",
        )

    return report
