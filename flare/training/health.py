"""Whether a network is alive: how many of its units are active, and the gradients of its heads.

A network whose shared layer is dead has a loss that looks like any other's and forecasts the same
for every sample.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

#: A unit whose output varies by less than this over the samples says nothing of them. The layer's
#: inputs are normalised, so that a unit of use varies by some tenths.
SMALLEST_ACTIVITY = 1e-3


class UnitActivity:
    """Sums over samples of each unit's output, of its square, and of 1: ``sums`` (3, hidden)."""

    def __init__(self, hidden: int) -> None:
        self.sums = torch.zeros(3, hidden, dtype=torch.float64)

    def add(self, outputs: Tensor) -> None:
        """Count the outputs (B, hidden) of a batch in."""
        wide = outputs.detach().double()
        powers = torch.stack([wide, wide.square(), torch.ones_like(wide)])
        self.sums += powers.sum(dim=1).cpu()


def active_share(sums: Tensor) -> float:
    """Return the share of units, 0..1, whose output varies; NaN where there are no sums.

    ``sums`` are those of ``UnitActivity``, of all processes.
    """
    if sums.numel() == 0 or sums[2, 0] == 0:
        return float("nan")
    mean, square = sums[:2] / sums[2]
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    return float((deviation > SMALLEST_ACTIVITY).double().mean())


def heads_of(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers of a network's ``Heads`` by name; empty for a network without any."""
    heads = dict(network.named_children()).get("heads")
    parts = {} if heads is None else dict(heads.named_children())
    return {name: part for name, part in parts.items() if _learns(part)}


def _learns(part: nn.Module) -> bool:
    return any(one.requires_grad for one in part.parameters())


@contextmanager
def watched_units(network: nn.Module) -> Iterator[UnitActivity]:
    """Count the outputs of the shared layer in, inside the block."""
    shared = heads_of(network).get("shared")
    if shared is None:
        yield UnitActivity(0)
        return
    layers = [one for one in shared.modules() if isinstance(one, nn.Linear)]
    activity = UnitActivity(layers[-1].out_features)
    hook = shared.register_forward_hook(lambda _module, _inputs, outputs: activity.add(outputs))
    try:
        yield activity
    finally:
        hook.remove()


def gradient_norms(heads: Mapping[str, nn.Module], device: torch.device) -> Tensor:
    """Return the Euclidean length of the gradient of each part, (len(heads),)."""
    norms = [
        nn.utils.get_total_norm(
            [one.grad for one in part.parameters() if one.grad is not None]
        ).float().to(device)
        for part in heads.values()
    ]  # fmt: skip
    return torch.stack(norms) if norms else torch.zeros(0, device=device)
