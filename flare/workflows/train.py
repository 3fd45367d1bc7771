"""Entry point ``train``: a network."""

import logging
import shutil
from pathlib import Path

from flare.config import TrainConfig
from flare.goes import HEADLINE_EVENT
from flare.plots.training import training_curve
from flare.tracking.resume import newest_unfinished
from flare.tracking.run import Run
from flare.tracking.runs import start
from flare.tracking.store import connect
from flare.tracking.tags import ON_VALIDATION, OUT_OF_FOLD, PRECISION_TAG
from flare.training.processes import fabric_for, resolve_precision
from flare.training.state import EpochRecord, best_record
from flare.workflows.fitting.cross_validation import log_out_of_fold, validation_forecasts
from flare.workflows.fitting.environment import log_environment
from flare.workflows.fitting.network_folds import NetworkFit, fit_network
from flare.workflows.fitting.registration import Trained, postprocess_and_register
from flare.workflows.fitting.training_data import (
    TrainingData,
    mark_if_synthetic,
    training_data,
    training_rows,
)

log = logging.getLogger("flare")


def run(config: TrainConfig) -> Trained:
    """Train and cross-validate a network, fit its postprocessing, score and register it."""
    name = f"{config.architecture} width {config.width}, seed {config.seed}"
    resume = _run_to_resume(config)
    with start("train", name=name, watch=True, resume=resume) as tracked:
        log_environment(tracked)
        precision = resolve_precision(config.precision, config.accelerator)
        tracked.set_tags({PRECISION_TAG: precision})
        if resume is None:
            tracked.log_config(config)
        data = training_data(config, tracked)
        log.info("%s: computing in %s", config.architecture, precision)
        fit = _fit_and_log(tracked, data, config)
        best_epoch = fit.best.epoch + 1
        forecasts = fit.out_of_fold
        if forecasts is None:
            forecasts = validation_forecasts(fit.forecaster, data, seed=config.split_seed)
        else:
            log_out_of_fold(tracked, forecasts, data)
        tracked.log_metrics({"train/best_epoch": best_epoch})
        trained = postprocess_and_register(
            tracked,
            fit.forecaster,
            data,
            forecasts,
            family=config.architecture,
            model_name=config.model_name,
            postprocessing_data=OUT_OF_FOLD if config.folds else ON_VALIDATION,
            resamples=config.resamples,
            settings={"best epoch": best_epoch, "learning rate": config.learning_rate},
        )
        shutil.rmtree(_checkpoints(tracked), ignore_errors=True)
        return trained


def run_worker(config: TrainConfig) -> None:
    """Train in step with rank zero, which runs ``run``: the part of every other process."""
    log.setLevel(logging.ERROR)
    fabric_for(config)  # waits until rank zero has prepared the data
    fit_network(training_rows(config), config)


def _run_to_resume(config: TrainConfig) -> str | None:
    """Return the id of the run to resume, None for a new run."""
    if config.resume != "true":
        return config.resume or None
    connect(make=True)
    run_id = newest_unfinished("train", config.result_parameters())
    if run_id is None:
        log.info("no unfinished run has these parameters: starting a new one")
    else:
        log.info("resuming run %s", run_id)
    return run_id


def _checkpoints(tracked: Run) -> Path:
    return tracked.local / "checkpoints"


def _fit_and_log(tracked: Run, data: TrainingData, config: TrainConfig) -> NetworkFit:
    """Fit the network; log its epochs, and the training curve even if the training fails."""
    records: list[EpochRecord] = []

    def log_epoch(record: EpochRecord) -> None:
        records.append(record)
        tracked.log_metrics(record.metrics(), step=record.epoch + 1)
        if record.epoch % 5 == 4:
            tracked.flush()  # so that the UI shows a long run as it goes
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

    try:
        return fit_network(
            data,
            config,
            on_epoch=log_epoch,
            on_resume=records.extend,  # they are logged already
            checkpoints=_checkpoints(tracked),
        )
    finally:
        if any(record.best for record in records):
            figure = training_curve(
                [{**vars(record), "epoch": record.epoch + 1} for record in records],
                scores=("brier_skill_score", "roc_area"),
                best_epoch=best_record(records).epoch + 1,
            )
            figure = mark_if_synthetic(figure, data.pack)
            tracked.log_figure(figure, "figures/training_curve.png")
