"""Entry point ``train``: the multitask CNN."""

import copy
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

from flare.config import TrainConfig
from flare.errors import ConfigInvalid
from flare.forecasters.base import ForecasterSpec
from flare.forecasters.neural import NeuralForecaster
from flare.goes import EVENTS, HEADLINE_EVENT, event_outcomes
from flare.models import NetworkConfig, build
from flare.models.normalisation import fit_normalisation
from flare.plots.training import training_curve
from flare.seeding import Stream, integer_seed
from flare.tracking.runs import Run, start
from flare.training.allocator import keep_freed_memory
from flare.training.batches import Batch, Batches
from flare.training.loop import EpochRecord, fit
from flare.workflows.data import TrainingData, marked, training_data
from flare.workflows.registering import Trained, register
from flare.workflows.scoring import tuned_and_scored

log = logging.getLogger("flare")


@dataclass(frozen=True)
class NetworkSettings:
    """How a network is made and trained, whoever asks: an entry point or a trial of a search."""

    network: NetworkConfig
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    event_weight: float
    mirror: bool
    patience: int
    accelerator: str = "auto"
    seed: int = 0


def run(config: TrainConfig) -> Trained:
    """Train, keep the best epoch by validation loss, tune, score on validation, register."""
    settings = network_settings(config)
    name = f"{config.architecture} width {config.width}, seed {config.seed}"
    with start("train", name=name) as tracked:
        tracked.log_params(config.model_dump())
        data = training_data(config, tracked)
        records: list[EpochRecord] = []
        try:
            forecaster = train_network(data, settings, on_epoch=_reporter(tracked, records))
        finally:
            if records:
                figure = marked(_curve(records), data.pack)
                tracked.log_figure(figure, "figures/training_curve.png")
        ready, card = tuned_and_scored(forecaster, data, resamples=config.resamples)
        best = kept(records)
        tracked.log_metrics({"train/best_epoch": best.epoch + 1})
        return register(
            tracked,
            ready,
            card,
            data,
            family=config.architecture,
            model_name=config.model_name,
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


def train_network(
    data: TrainingData,
    settings: NetworkSettings,
    *,
    on_epoch: Callable[[EpochRecord], None] = lambda _record: None,
) -> NeuralForecaster:
    """Train a network on the training rows; return the epoch of the lowest validation loss.

    ``on_epoch`` sees every record as it comes; what it raises ends the training.
    """
    keep_freed_memory()
    rows = data.split.train
    normalisation = fit_normalisation(data.rows.cubes, data.rows.present, rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed(settings.seed, Stream.WEIGHTS))
        network = build(settings.network)
        network.start_at(*_climatology(data.peak_flux[rows]))
        fabric = _fabric(settings.accelerator)
        best_weights, since_best = copy.deepcopy(network.state_dict()), 0
        for record in fit(
            network,
            normalisation,
            train=_batches(data, rows, settings),
            validation=_batches(data, data.split.validation, settings),
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            event_weight=settings.event_weight,
            fabric=fabric,
            progress=_progress(settings.epochs),
        ):
            if record.best:
                best_weights, since_best = copy.deepcopy(network.state_dict()), 0
            else:
                since_best += 1
            on_epoch(record)
            if since_best >= settings.patience:
                log.info("no lower validation loss for %d epochs: stopped", settings.patience)
                break
    network.load_state_dict(best_weights)
    network.to("cpu").eval()
    spec = ForecasterSpec(image_size=data.pack.image_size)
    return NeuralForecaster(network, settings.network, normalisation, spec, data.origin)


def _climatology(peak_flux: NDArray[np.float64]) -> tuple[float, list[float]]:
    """Return the median log10 flux and the rate of each event, never quite 0 or 1."""
    happened = event_outcomes(peak_flux).sum(axis=0)
    rates = (happened + 0.5) / (len(peak_flux) + 1)
    return float(np.median(np.log10(peak_flux))), [float(rate) for rate in rates]


def kept(records: Sequence[EpochRecord]) -> EpochRecord:
    """Return the record whose weights ``train_network`` keeps, of the lowest validation loss."""
    return [record for record in records if record.best][-1]


def _curve(records: Sequence[EpochRecord]) -> Figure:
    return training_curve(
        [{**vars(record), "epoch": record.epoch + 1} for record in records],
        scores=("brier_skill_score", "roc_area"),
        kept_epoch=kept(records).epoch + 1,
    )


def _batches(data: TrainingData, rows: NDArray[np.intp], settings: NetworkSettings) -> Batches:
    return Batches(
        data.rows.cubes,
        data.rows.present,
        data.peak_flux,
        rows,
        batch_size=settings.batch_size,
        seed=settings.seed,
        mirror=settings.mirror,
    )


def _fabric(accelerator: str) -> Fabric:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on other hardware
            fabric = Fabric(accelerator=accelerator, devices=1)
    except (RuntimeError, ValueError) as error:
        raise ConfigInvalid(
            f"accelerator={accelerator} is not to be had here ({error}); use accelerator=auto"
        ) from error
    fabric.launch()
    return fabric


def _progress(epochs: int) -> Callable[[Iterable[Batch], int, int], Iterable[Batch]]:
    def wrapped(batches: Iterable[Batch], epoch: int, total: int) -> Iterator[Batch]:
        title = f"epoch {epoch + 1}/{epochs}"
        yield from tqdm(
            batches, desc=title, total=total, unit=" batches", leave=False, disable=None
        )

    return wrapped


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
