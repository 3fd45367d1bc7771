"""Fit a network and cross-validate it: the part of ``train`` that every process takes part in."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare.config import TrainConfig
from flare.config.network_groups import (
    ArchitectureOptions,
    NetworkOptions,
    ObjectiveOptions,
    OptimizerOptions,
)
from flare.files import atomic_file
from flare.forecast import Forecast
from flare.forecasters.network import NetworkForecaster
from flare.models import NetworkMean, build
from flare.training.processes import fabric_for, process_group, resolve_precision
from flare.training.state import Checkpoint, EpochRecord
from flare.workflows.fitting.cross_validation import (
    OutOfFoldForecasts,
    Rows,
    cross_validate,
    forecast_rows,
    training_folds,
)
from flare.workflows.fitting.network import (
    NetworkInputs,
    prepare_inputs,
    train_network,
    trainer_of,
)
from flare.workflows.fitting.training_data import TrainingData

#: The weights of a network by name.
Weights = dict[str, Tensor]
#: Forecasts of the rows of a fold, and the weights of the network trained without them.
Fold = tuple[Forecast, Weights]

#: The arrays of a forecast in the file of a fold.
_ARRAYS = ("log10_flux", "lower", "upper", "probability")
_WEIGHT = "weight/"  # before the names of tensors in the file of a fold


@dataclass(frozen=True)
class NetworkFit:
    """A network, the record of its best epoch, and out-of-fold forecasts; None without folds."""

    forecaster: NetworkForecaster
    best: EpochRecord
    out_of_fold: OutOfFoldForecasts | None = None


def fit_network(
    data: TrainingData,
    config: TrainConfig,
    *,
    on_epoch: Callable[[EpochRecord], None] = lambda _record: None,
    on_resume: Callable[[Sequence[EpochRecord]], None] = lambda _records: None,
    checkpoints: Path | None = None,
) -> NetworkFit:
    """Train a network, and a network without each fold; all processes call this together.

    Only rank zero passes ``on_epoch``, ``on_resume`` and ``checkpoints``; see ``train_network``.
    """
    folds = training_folds(data, config.folds, seed=config.split_seed)
    with process_group(config):
        inputs = prepare_inputs(data, config)
        checkpoint = checkpoint_for(checkpoints, "network", data, data.split.train, config)
        forecaster, best = train_network(
            data, config, inputs, on_epoch=on_epoch, on_resume=on_resume, checkpoint=checkpoint
        )
        if folds is None:
            return NetworkFit(forecaster, best)
        out_of_fold, weights = cross_validate_network(
            data, config, inputs, folds, epochs=best.epoch + 1, checkpoints=checkpoints
        )
    if config.average_folds:
        forecaster = _average(forecaster, weights)
    return NetworkFit(forecaster, best, out_of_fold)


def cross_validate_network(
    data: TrainingData,
    options: NetworkOptions,
    inputs: NetworkInputs,
    folds: NDArray[np.intp],
    *,
    epochs: int,
    checkpoints: Path | None = None,
) -> tuple[OutOfFoldForecasts, list[Weights]]:
    """Forecast every training row by a network that was trained without its fold.

    Each network is trained like the final one and for as many epochs as its best: the rows of the
    fold must not choose the epoch. Folds with a file in ``checkpoints`` are read.

    Returns
    -------
    The forecasts, and the weights of the networks.
    """
    fabric = fabric_for(options)
    weights = []

    def fit_and_forecast(known: Rows, left_out: Rows) -> Forecast:
        checkpoint = checkpoint_for(checkpoints, f"fold-{epochs}", data, known, options)
        fold = fabric.broadcast(_load_fold(checkpoint))
        if fold is None:
            with trainer_of(data, inputs, options) as trainer:
                training = trainer.set_up(known, checkpoint=checkpoint)
                with closing(training.fit()) as records:
                    while len(training.records) < epochs:  # the first of its schedule
                        next(records)
            network = trainer.forecaster(training, known)
            if fabric.is_global_zero:
                forecast = forecast_rows(network, data.rows, left_out, title="out of fold")
                fold = forecast, network.network.state_dict()
            fold = fabric.broadcast(fold)
            assert fold is not None
            _save_fold(checkpoint, fold)
        weights.append(fold[1])
        return fold[0]

    return cross_validate(data, fit_and_forecast, folds), weights


def _average(forecaster: NetworkForecaster, weights: Sequence[Weights]) -> NetworkForecaster:
    """Return the mean of a network and of others with the same config, given their weights."""
    others = [build(forecaster.config) for _ in weights]
    for network, own in zip(others, weights, strict=True):
        network.load_state_dict(own)
    return replace(
        forecaster,
        network=NetworkMean([forecaster.network, *others]).eval(),
        config=replace(forecaster.config, members=1 + len(others)),
    )


#: Options that do not change the result of a training.
_NO_RESULT = {"average_folds", "checkpoint_steps"}


def checkpoint_for(
    folder: Path | None, name: str, data: TrainingData, rows: Rows, options: NetworkOptions
) -> Checkpoint | None:
    """Return the checkpoint of a training on some rows; None without a folder.

    Its identity is every option that can change the result, the pack, and the samples.
    """
    if folder is None:
        return None
    groups = (ArchitectureOptions, OptimizerOptions, ObjectiveOptions)
    names = {name for group in groups for name in group.model_fields} - _NO_RESULT
    identity = {name: str(getattr(options, name)) for name in sorted(names)}
    labels = np.ascontiguousarray(data.peak_flux[rows])
    samples = hashlib.sha256(np.asarray(rows, dtype=np.int64).tobytes() + labels.tobytes())
    identity |= {
        "seed": str(options.seed),
        "precision": resolve_precision(options.precision, options.accelerator),
        "data": data.pack.pack_fingerprint,
        "samples": samples.hexdigest(),
    }
    stem = name if name == "network" else f"{name}-{identity['samples'][:8]}"
    return Checkpoint(folder / f"{stem}.pt", identity)


def _load_fold(checkpoint: Checkpoint | None) -> Fold | None:
    """Return a finished fold, None if it is not finished or of another training."""
    if checkpoint is None or not _fold_file(checkpoint).is_file():
        return None
    with np.load(_fold_file(checkpoint), allow_pickle=False) as saved:
        if str(saved["identity"]) != _identity(checkpoint):
            return None
        events = tuple(str(event) for event in saved["events"])
        forecast = Forecast(**{name: saved[name] for name in _ARRAYS}, events=events)
        weights = {
            name.removeprefix(_WEIGHT): torch.from_numpy(saved[name])
            for name in saved.files
            if name.startswith(_WEIGHT)
        }
    return forecast, weights


def _save_fold(checkpoint: Checkpoint | None, fold: Fold) -> None:
    """Write a finished fold, and delete the checkpoint of its training."""
    if checkpoint is None:
        return
    forecast, weights = fold
    arrays = {name: np.asarray(getattr(forecast, name)) for name in (*_ARRAYS, "events")}
    arrays["identity"] = np.asarray(_identity(checkpoint))
    arrays |= {f"{_WEIGHT}{name}": value.numpy() for name, value in weights.items()}
    with atomic_file(_fold_file(checkpoint), durable=True) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    checkpoint.remove()


def _fold_file(checkpoint: Checkpoint) -> Path:
    return checkpoint.path.with_suffix(".npz")


def _identity(checkpoint: Checkpoint) -> str:
    return str(sorted(checkpoint.identity.items()))
