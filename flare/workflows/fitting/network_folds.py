"""The networks of the folds: their forecasts of what they have not seen, and their mean."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flare.flux_curve import log_rates, probabilities
from flare.forecast import Forecast
from flare.forecasters.network import NetworkForecaster
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.models import build
from flare.models.distribution import RateCurve
from flare.models.mean import NetworkMean
from flare.training.linear_curve import choose_network_share
from flare.training.processes import fabric_for
from flare.workflows.fitting.checkpoints import Fold, FoldsKept, Weights
from flare.workflows.fitting.cross_validation import Rows, out_of_fold
from flare.workflows.fitting.network import checkpoint_of, prepared, train_for
from flare.workflows.fitting.network_inputs import NetworkInputs
from flare.workflows.fitting.network_settings import NetworkSettings
from flare.workflows.fitting.scoring import OutOfFoldForecasts, forecast_rows
from flare.workflows.fitting.training_data import TrainingData

log = logging.getLogger("flare")

_LINEAR = "heads.linear."  # before the names of the linear curve's tensors


@dataclass(frozen=True)
class FoldNetworks:
    """The networks of all folds: their forecasts of the rows left out, and their weights.

    ``forecasts`` are those of the networks alone. ``linear`` is log lambda, (n, E), of the curves
    that are linear in the features, fitted without the fold too; None for networks without one.
    """

    forecasts: OutOfFoldForecasts
    linear: NDArray[np.float64] | None
    weights: list[Weights]


def fold_forecasts(
    data: TrainingData,
    settings: NetworkSettings,
    folds: NDArray[np.intp],
    *,
    epochs: int,
    inputs: NetworkInputs | None = None,
    checkpoints: Path | None = None,
) -> FoldNetworks:
    """Forecast every training row by a network that was trained without its fold.

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
        alone = network.with_network_share(1.0)

        def forecast(left: Rows) -> Forecast:
            made = forecast_rows(alone, data.rows, left, title="left out")
            kept.keep(checkpoint, Fold(made, network.network.state_dict()))
            return made

        return forecast

    log.info("training a network of %d epochs without each fold, to tune on what is new", epochs)
    unseen = out_of_fold(data, without, folds)
    linear = None
    if shared.features is not None and settings.network.n_quantiles == 0:
        linear = np.empty_like(unseen.forecast.probability)
        for fold, own in enumerate(weights):
            left = unseen.folds == fold
            linear[left] = _linear_log_rates(own, shared.features[unseen.rows[left]])
    return FoldNetworks(unseen, linear, weights)


def _linear_log_rates(weights: Weights, features: NDArray[np.float32]) -> NDArray[np.float64]:
    own = {
        name.removeprefix(_LINEAR): value
        for name, value in weights.items()
        if name.startswith(_LINEAR)
    }
    curve = RateCurve(features.shape[1], len(own["increments"]) + 1)
    curve.load_state_dict(own)
    with torch.inference_mode():
        linear: torch.Tensor = curve(torch.from_numpy(features))
    return linear.double().numpy()


def with_linear_curve(
    networks: FoldNetworks, data: TrainingData
) -> tuple[OutOfFoldForecasts, float | None]:
    """Average the networks and their linear curves by the weights of the highest likelihood.

    Returns the forecasts and the networks' weight; None where there is no linear curve. The rows of
    a fold are forecast with the weight that is best for all others; the weight that is returned is
    the best for all rows.
    """
    alone = networks.forecasts
    if networks.linear is None:
        return alone, None
    network, linear = log_rates(alone.forecast.probability), networks.linear  # (n, E)
    labels = np.log10(data.peak_flux[alone.rows])
    mean = np.empty_like(network)
    for fold in range(len(networks.weights)):
        left = alone.folds == fold
        share = choose_network_share(network[~left], linear[~left], labels[~left])
        mean[left] = share * network[left] + (1 - share) * linear[left]
    share = choose_network_share(network, linear, labels)
    log.info("chosen out of fold: network's weight %.1f, linear curve's %.1f", share, 1 - share)
    forecast = PostProcessing(distribution=True).apply(
        np.full(len(mean), np.nan), probabilities(mean), alone.forecast.events
    )
    return replace(alone, forecast=forecast), share


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
