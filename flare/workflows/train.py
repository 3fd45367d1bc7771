"""Entry point ``train``: the multitask CNN."""

import logging
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from flare.config import TrainConfig
from flare.goes import EVENTS, HEADLINE_EVENT
from flare.models import NetworkConfig
from flare.plots.training import training_curve
from flare.tracking.names import ON_VALIDATION, OUT_OF_FOLD
from flare.tracking.runs import Run, start
from flare.training.loop import EpochRecord
from flare.workflows.crossval import log_tuning, on_validation, training_folds
from flare.workflows.data import marked, training_data
from flare.workflows.environment import log_environment
from flare.workflows.networks import NetworkSettings, fold_forecasts, kept, train_network
from flare.workflows.out_of_fold import log_out_of_fold
from flare.workflows.registering import Trained, register
from flare.workflows.sample_predictions import log_sample_predictions
from flare.workflows.scoring import tuned_and_scored

log = logging.getLogger("flare")


def run(config: TrainConfig) -> Trained:
    """Train, keep the best epoch by validation loss, tune out of fold, score, register."""
    settings = network_settings(config)
    name = f"{config.architecture} width {config.width}, seed {config.seed}"
    with start("train", name=name, watch=True) as tracked:
        log_environment(tracked)
        tracked.log_params(config.model_dump())
        data = training_data(config, tracked)
        folds = training_folds(data, config.folds, seed=config.split_seed)
        records: list[EpochRecord] = []
        try:
            forecaster = train_network(data, settings, on_epoch=_reporter(tracked, records))
        finally:
            if records:
                figure = marked(_curve(records), data.pack)
                tracked.log_figure(figure, "figures/training_curve.png")
        best = kept(records)
        unseen = (
            fold_forecasts(data, settings, folds, epochs=best.epoch + 1)
            if folds is not None
            else on_validation(forecaster, data, seed=config.split_seed)
        )
        ready, validated = tuned_and_scored(forecaster, data, unseen, resamples=config.resamples)
        log_tuning(tracked, ready.tuning, unseen, data)
        if config.folds:
            log_out_of_fold(tracked, unseen, data)
        log_sample_predictions(tracked, ready, validated, data)
        tracked.log_metrics({"train/best_epoch": best.epoch + 1})
        return register(
            tracked,
            ready,
            validated,
            data,
            family=config.architecture,
            model_name=config.model_name,
            tuned_on=OUT_OF_FOLD if config.folds else ON_VALIDATION,
            settings={"best epoch": best.epoch + 1, "learning rate": config.learning_rate},
        )


def network_settings(config: TrainConfig) -> NetworkSettings:
    """Take the settings of the network and its training out of a config."""
    network = NetworkConfig(
        architecture=config.architecture,
        width=config.width,
        hidden=config.hidden,
        dropout=config.dropout,
        n_events=len(EVENTS),
    )
    return NetworkSettings(
        network=network,
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        event_weight=config.event_weight,
        mirror=config.mirror,
        patience=config.patience,
        accelerator=config.accelerator,
        seed=config.seed,
    )


def _curve(records: Sequence[EpochRecord]) -> Figure:
    return training_curve(
        [{**vars(record), "epoch": record.epoch + 1} for record in records],
        scores=("brier_skill_score", "roc_area"),
        kept_epoch=kept(records).epoch + 1,
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
