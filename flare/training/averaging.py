"""Weights averaged over the steps of a training: less noise than those of any one step."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class AveragedWeights:
    """The exponential moving average of a network's parameters and of batch normalisation's.

    After step t (from 0) the average moves by ``1 - min(decay, (1 + t) / (10 + t))`` of the way to
    the network's weights, so that the first ones are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay, self._step = decay, 0
        self._live = {
            name: value for name, value in network.state_dict().items() if value.is_floating_point()
        }
        self._average = {name: value.clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's weights into the average."""
        share = 1 - min(self._decay, (1 + self._step) / (10 + self._step))
        torch._foreach_lerp_(list(self._average.values()), list(self._live.values()), share)
        self._step += 1

    @torch.no_grad()
    def swap(self) -> None:
        """Let the network and the average change places."""
        for live, average in zip(self._live.values(), self._average.values(), strict=True):
            before = live.clone()
            live.copy_(average)
            average.copy_(before)

    def state_dict(self) -> dict[str, object]:
        """Return what a checkpoint keeps."""
        return {"step": self._step, "weights": self._average}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Take up what a checkpoint kept."""
        step, weights = state["step"], state["weights"]
        assert isinstance(step, int)
        assert isinstance(weights, dict)
        self._step = step
        for name, average in self._average.items():
            value = weights[name]
            assert isinstance(value, Tensor)
            average.copy_(value)
