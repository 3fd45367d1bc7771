"""What ``fit`` is told of how to fit weights."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FitSettings:
    """Epochs, steps and where they are taken; see ``flare.config.network_groups.Fit``."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int = 10_000
    accumulate: int = 1
    clip: float = 1.0
    warmup: float = 0.05
    ema: float = 0.0
    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"
    checkpoint_steps: int = 0
