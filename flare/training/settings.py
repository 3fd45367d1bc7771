"""What ``fit`` is told of how to fit weights."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FitSettings:
    """Epochs, steps and where they are taken; see ``flare.network_parameters.Fit``."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int
    accelerator: str = "auto"
