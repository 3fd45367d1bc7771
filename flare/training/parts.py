"""Everything that a training changes, and how it goes into a checkpoint and out of one."""

from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from flare.training.averaging import AveragedWeights
from flare.training.checkpoint import State
from flare.training.records import TrainingState


@dataclass(frozen=True)
class TrainingModules:
    """What a training changes, beside its ``Standing``."""

    network: nn.Module
    model: Any  # the network as Fabric calls it: on its device, in its precision, in step
    optimizer: Any
    schedule: torch.optim.lr_scheduler.LambdaLR
    average: AveragedWeights | None
    fabric: Fabric

    def _keepers(self) -> dict[str, Any]:
        keepers = {
            "network": self.network,
            "optimizer": self.optimizer.optimizer,
            "schedule": self.schedule,
            "average": self.average,
            "precision": self.fabric.strategy.precision,
        }
        return {name: keeper for name, keeper in keepers.items() if keeper is not None}

    def state(self, standing: TrainingState) -> State:
        """Return everything that the next step depends on."""
        kept = {name: keeper.state_dict() for name, keeper in self._keepers().items()}
        return {**kept, "standing": standing.state()}

    def restore(self, state: State) -> None:
        """Take up a state."""
        for name, keeper in self._keepers().items():
            keeper.load_state_dict(state[name])

    def swap_average(self) -> None:
        """Exchange the network's weights and their average, if there is one."""
        if self.average is not None:
            self.average.swap()
