"""Networks on packed rows: train one and keep its best epoch, and others like it on folds."""

import copy
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from tqdm import tqdm

from flare.errors import ConfigInvalid
from flare.forecasters.base import Forecast, ForecasterSpec
from flare.forecasters.neural import NeuralForecaster
from flare.goes import event_outcomes
from flare.models import build
from flare.models.network import Network
from flare.models.normalisation import ChannelNormalisation, fit_normalisation
from flare.seeding import Stream, integer_seed
from flare.training.allocator import keep_freed_memory
from flare.training.batches import Batch, Batches
from flare.training.loop import EpochRecord, fit
from flare.training.losses import build_loss
from flare.workflows.crossval import Rows, out_of_fold
from flare.workflows.data import TrainingData
from flare.workflows.network_settings import NetworkSettings
from flare.workflows.scoring import Unseen, forecast_rows

log = logging.getLogger("flare")


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
    with _seeded(settings):
        begun = _begin(data, data.split.train, settings)
        best_weights, since_best = copy.deepcopy(begun.network.state_dict()), 0
        held = _batches(data, data.split.validation, settings)
        for record in _epochs(begun, data, settings, validation=held):
            if record.best:
                best_weights, since_best = copy.deepcopy(begun.network.state_dict()), 0
            else:
                since_best += 1
            on_epoch(record)
            if since_best >= settings.fit.patience:
                log.info("no lower validation loss for %d epochs: stopped", settings.fit.patience)
                break
    begun.network.load_state_dict(best_weights)
    return _finished(begun, data, settings)


def fold_forecasts(
    data: TrainingData, settings: NetworkSettings, folds: NDArray[np.intp], *, epochs: int
) -> Unseen:
    """Forecast every training row by a network that was trained without its fold.

    Each network has the settings of the one that it stands for, and stops after as many epochs as
    that one has kept: the rows left out must not choose their own.
    """

    def without(known: Rows) -> Callable[[Rows], Forecast]:
        network = _train_for(data, known, settings, epochs=epochs)
        return lambda left: forecast_rows(network, data.rows, left, title="left out")

    log.info("training a network of %d epochs without each fold, to tune on what is new", epochs)
    return out_of_fold(data, without, folds)


def _train_for(
    data: TrainingData, rows: Rows, settings: NetworkSettings, *, epochs: int
) -> NeuralForecaster:
    """Train a network on some rows, the first of all its epochs, with nothing held out."""
    with _seeded(settings):
        begun = _begin(data, rows, settings)
        for record in _epochs(begun, data, settings, validation=None):
            if record.epoch + 1 == epochs:
                break
    return _finished(begun, data, settings)


@dataclass(frozen=True)
class _Begun:
    """A network with its first weights, and the rows it is to be trained on."""

    network: Network
    normalisation: ChannelNormalisation
    rows: Rows
    fabric: Fabric


@contextmanager
def _seeded(settings: NetworkSettings) -> Iterator[None]:
    """Draw weights and dropout from the settings' seed, and leave torch's own stream as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed(settings.seed, Stream.WEIGHTS))
        yield


def _begin(data: TrainingData, rows: Rows, settings: NetworkSettings) -> _Begun:
    normalisation = fit_normalisation(data.rows.cubes, data.rows.present, rows)
    network = build(settings.network)
    network.start_at(*_climatology(data.peak_flux[rows]))
    return _Begun(network, normalisation, rows, _fabric(settings.fit.accelerator))


def _epochs(
    begun: _Begun, data: TrainingData, settings: NetworkSettings, *, validation: Batches | None
) -> Iterator[EpochRecord]:
    return fit(
        begun.network,
        begun.normalisation,
        train=_batches(data, begun.rows, settings),
        validation=validation,
        epochs=settings.fit.epochs,
        learning_rate=settings.fit.learning_rate,
        weight_decay=settings.fit.weight_decay,
        loss=build_loss(settings.aims, data.peak_flux[begun.rows]),
        fabric=begun.fabric,
        progress=_progress(settings.fit.epochs),
    )


def _finished(begun: _Begun, data: TrainingData, settings: NetworkSettings) -> NeuralForecaster:
    begun.network.to("cpu").eval()
    spec = ForecasterSpec(image_size=data.pack.image_size)
    return NeuralForecaster(begun.network, settings.network, begun.normalisation, spec, data.origin)


def _climatology(peak_flux: NDArray[np.float64]) -> tuple[float, list[float]]:
    """Return the median log10 flux and the rate of each event, never quite 0 or 1."""
    happened = event_outcomes(peak_flux).sum(axis=0)
    rates = (happened + 0.5) / (len(peak_flux) + 1)
    return float(np.median(np.log10(peak_flux))), [float(rate) for rate in rates]


def kept(records: Sequence[EpochRecord]) -> EpochRecord:
    """Return the record whose weights ``train_network`` keeps, of the lowest validation loss."""
    return [record for record in records if record.best][-1]


def _batches(data: TrainingData, rows: NDArray[np.intp], settings: NetworkSettings) -> Batches:
    return Batches(
        data.rows.cubes,
        data.rows.present,
        data.peak_flux,
        rows,
        batch_size=settings.fit.batch_size,
        seed=settings.seed,
        mirror=settings.aims.mirror,
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
