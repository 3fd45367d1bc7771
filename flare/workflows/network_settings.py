"""From the parameters of an entry point to what a network's training is told."""

from dataclasses import dataclass, field

from flare.goes import EVENTS
from flare.models import NetworkConfig
from flare.network_parameters import Network
from flare.training.aims import Aims
from flare.training.settings import FitSettings


@dataclass(frozen=True)
class NetworkSettings:
    """How a network is made and trained, whoever asks: an entry point or a trial of a search."""

    network: NetworkConfig
    fit: FitSettings
    aims: Aims = field(default_factory=Aims)
    seed: int = 0


def network_settings(config: Network, *, seed: int) -> NetworkSettings:
    """Take the settings of the network and its training out of a config."""
    return NetworkSettings(_network(config), _fit(config), _aims(config), seed)


def _network(config: Network) -> NetworkConfig:
    return NetworkConfig(
        architecture=config.architecture,
        width=config.width,
        hidden=config.hidden,
        dropout=config.dropout,
        n_events=len(EVENTS),
        n_quantiles=_aims(config).n_quantiles,
    )


def _fit(config: Network) -> FitSettings:
    return FitSettings(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        patience=config.patience,
        accumulate=config.accumulate,
        clip=config.clip,
        warmup=config.warmup,
        ema=config.ema,
        accelerator=config.accelerator,
        devices=config.devices,
        num_nodes=config.num_nodes,
        strategy=config.strategy,
        precision=config.precision,
        checkpoint_steps=config.checkpoint_steps,
    )


def _aims(config: Network) -> Aims:
    return Aims(
        flux_loss=config.flux_loss,
        label_floor=config.label_floor,
        event_loss=config.event_loss,
        event_weight=config.event_weight,
        event_balance=config.event_balance,
        focal_gamma=config.focal_gamma,
        sampling=config.sampling,
        mirror=config.mirror,
        shift=config.shift,
        drift=config.drift,
        drop=config.drop,
    )
