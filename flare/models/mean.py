"""Several networks of one kind as one: the mean of their forecasts."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NetworkMean(nn.Module):
    """The mean of the log10 flux and of the event logits of its members.

    Means of logits that do not rise from an event to a stronger one do not rise either.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(
        self, cubes: Tensor, present: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Forecast N samples; see ``Network``."""
        flux, logits = zip(*(one(cubes, present, features) for one in self.members), strict=True)
        return torch.stack(flux).mean(dim=0), torch.stack(logits).mean(dim=0)
