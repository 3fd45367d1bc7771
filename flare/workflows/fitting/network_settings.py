"""From the parameters of an entry point to what a network's training is told."""

from dataclasses import dataclass, field, fields
from typing import Any

from flare.config.network_groups import Network
from flare.goes import EVENTS
from flare.models import NetworkConfig
from flare.training.aims import Aims
from flare.training.precision import chosen_precision
from flare.training.settings import FitSettings


@dataclass(frozen=True)
class NetworkSettings:
    """How a network is made and trained, whoever asks: an entry point or a trial of a search."""

    network: NetworkConfig
    fit: FitSettings
    aims: Aims = field(default_factory=Aims)
    seed: int = 0
    features: bool = True


def network_settings(config: Network, *, seed: int) -> NetworkSettings:
    """Take the settings of the network and its training out of a config."""
    return NetworkSettings(_network(config), _fit(config), _aims(config), seed, config.features)


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
    chosen = _of_same_name(config, FitSettings)
    # Here and not where it is computed: the state of a training says in which precision it is.
    chosen["precision"] = chosen_precision(config.precision, config.accelerator)
    return FitSettings(**chosen)


def _aims(config: Network) -> Aims:
    return Aims(**_of_same_name(config, Aims))


def _of_same_name(config: Network, kind: type[FitSettings] | type[Aims]) -> dict[str, Any]:
    """Take the parameters that a kind of settings has fields for; it has no others."""
    return {one.name: getattr(config, one.name) for one in fields(kind)}
