"""What a network is to learn: losses, sampling and augmentation by their names."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Aims:
    """The parameters of ``flare.network_parameters.Aims``."""

    event_weight: float = 1.0
    mirror: bool = True
