"""The networks of the folds: their forecasts of what they have not seen, and their mean."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare.forecast import Forecast
from flare.forecasters.network import NetworkForecaster
from flare.models import build
from flare.models.mean import NetworkMean
from flare.training.processes import fabric_for
from flare.workflows.fitting.checkpoints import Fold, FoldsKept, Weights
from flare.workflows.fitting.cross_validation import Rows, out_of_fold
from flare.workflows.fitting.network import checkpoint_of, prepared, train_for
from flare.workflows.fitting.network_inputs import NetworkInputs
from flare.workflows.fitting.network_settings import NetworkSettings
from flare.workflows.fitting.scoring import OutOfFoldForecasts, forecast_rows
from flare.workflows.fitting.training_data import TrainingData

log = logging.getLogger("flare")


def fold_forecasts(
    data: TrainingData,
    settings: NetworkSettings,
    folds: NDArray[np.intp],
    *,
    epochs: int,
    inputs: NetworkInputs | None = None,
    checkpoints: Path | None = None,
) -> tuple[OutOfFoldForecasts, list[Weights]]:
    """Forecast every training row by a network that was trained without its fold.

    Returns the forecasts, and the weights of the networks.

    Each network has the settings of the one that it stands for, and stops after as many epochs as
    that one has kept: the rows left out must not choose their own. With ``checkpoints``, forecasts
    that lie there are taken from there.
    """
    kept, weights = FoldsKept(checkpoints), []
    shared = prepared(data, settings) if inputs is None else inputs

    def without(known: Rows) -> Callable[[Rows], Forecast]:
        checkpoint = checkpoint_of(checkpoints, f"fold-{epochs}", data, known, settings)
        done = kept.find(checkpoint)
        if _agreed(settings, done=done is not None):
            assert done is not None
            weights.append(done.weights)
            return lambda _left: done.forecast
        network = train_for(data, shared, known, settings, checkpoint, epochs=epochs)
        weights.append(network.network.state_dict())

        def forecast(left: Rows) -> Forecast:
            made = forecast_rows(network, data.rows, left, title="left out")
            kept.keep(checkpoint, Fold(made, network.network.state_dict()))
            return made

        return forecast

    log.info("training a network of %d epochs without each fold, to tune on what is new", epochs)
    return out_of_fold(data, without, folds), weights


def averaged(forecaster: NetworkForecaster, weights: Sequence[Weights]) -> NetworkForecaster:
    """Return the mean of a network and of others like it, given their weights."""
    others = [build(forecaster.config) for _ in weights]
    for network, own in zip(others, weights, strict=True):
        network.load_state_dict(own)
    return replace(
        forecaster,
        network=NetworkMean([forecaster.network, *others]).eval(),
        config=replace(forecaster.config, members=1 + len(others)),
    )


def help_with_folds(
    data: TrainingData,
    inputs: NetworkInputs,
    settings: NetworkSettings,
    folds: NDArray[np.intp],
    *,
    epochs: int,
) -> None:
    """Do the part of a further process in ``fold_forecasts``: train, and forecast nothing."""
    for fold in range(int(folds.max()) + 1):
        if not _agreed(settings, done=False):
            rows = data.split.train[folds != fold]
            train_for(data, inputs, rows, settings, None, epochs=epochs)


def _agreed(settings: NetworkSettings, *, done: bool) -> bool:
    """Return what the first process says of whether a network is needed no more."""
    return bool(fabric_for(settings.fit).broadcast(done))
