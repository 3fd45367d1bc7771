"""From the parameters of an entry point to what a network's training is told."""

from dataclasses import dataclass, field, fields
from typing import Any

from flare.config.network_groups import NetworkOptions
from flare.goes import EVENTS
from flare.models import NetworkConfig
from flare.training.objective import Objective
from flare.training.precision import chosen_precision
from flare.training.settings import FitSettings


@dataclass(frozen=True)
class NetworkSettings:
    """How a network is made and trained, whoever asks: an entry point or a trial of a search."""

    network: NetworkConfig
    fit: FitSettings
    objective: Objective = field(default_factory=Objective)
    seed: int = 0
    features: bool = True


def network_settings(config: NetworkOptions, *, seed: int) -> NetworkSettings:
    """Take the settings of the network and its training out of a config."""
    return NetworkSettings(_network(config), _fit(config), _aims(config), seed, config.features)


def _network(config: NetworkOptions) -> NetworkConfig:
    return NetworkConfig(
        architecture=config.architecture,
        width=config.width,
        hidden=config.hidden,
        dropout=config.dropout,
        n_events=len(EVENTS),
        n_quantiles=_aims(config).n_quantiles,
    )


def _fit(config: NetworkOptions) -> FitSettings:
    chosen = _of_same_name(config, FitSettings)
    # Here and not where it is computed: the state of a training says in which precision it is.
    chosen["precision"] = chosen_precision(config.precision, config.accelerator)
    return FitSettings(**chosen)


def _aims(config: NetworkOptions) -> Objective:
    return Objective(**_of_same_name(config, Objective))


def _of_same_name(
    config: NetworkOptions, kind: type[FitSettings] | type[Objective]
) -> dict[str, Any]:
    """Take the parameters that a kind of settings has fields for; it has no others."""
    return {one.name: getattr(config, one.name) for one in fields(kind)}
