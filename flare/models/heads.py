"""What ends every network: one shared layer, then log10 flux and event logits."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: What the flux head adds to, in log10 W m^-2: an untrained network forecasts about B1, not X10000.
TYPICAL_LOG10_FLUX = -7.0

#: How far the outer of three quantiles begin from the middle one, in dex.
_FIRST_REACH = 1.0

#: Factor on the first weights of the layers that forecasts come from.
_FIRST_SCALE = 0.1


def small_linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer with a tenth of the usual weights and no bias.

    A network that ends in it starts near the constant forecast that its biases are set to.
    """
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.mul_(_FIRST_SCALE)
        layer.bias.zero_()
    return layer


class Heads(nn.Module):
    """A shared layer of normalised inputs with dropout, and a linear head each for flux and events.

    With three quantiles the flux head gives the middle one and how far below and above it the
    others lie, so that they cannot cross.
    """

    def __init__(
        self, seen: int, *, hidden: int, dropout: float, n_events: int, n_quantiles: int
    ) -> None:
        super().__init__()
        if n_quantiles not in (1, 3):
            raise ValueError(f"{n_quantiles} quantiles of the flux; there can be 1 or 3")
        # Without the LayerNorm and with a ReLU every unit dies on a mostly quiet set: the constant
        # gradient of an L1 loss drives all of them below 0 within two epochs.
        self.shared = nn.Sequential(
            nn.LayerNorm(seen), nn.Linear(seen, hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.flux_head = small_linear(hidden, n_quantiles)
        self.event_head = small_linear(hidden, n_events)

    @torch.no_grad()
    def start_at(self, log10_flux: float, probabilities: Sequence[float]) -> None:
        """Set the biases of both heads; see ``Network``."""
        # softplus(0.54) = 1: the outer quantiles begin a dex away.
        reach = torch.log(torch.expm1(torch.tensor(_FIRST_REACH)))
        self.flux_head.bias.fill_(float(reach))
        self.flux_head.bias[0] = log10_flux - TYPICAL_LOG10_FLUX
        self.event_head.bias.copy_(torch.logit(torch.tensor(probabilities)))

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return log10 flux (N, Q) with the quantiles rising, and event logits (N, E)."""
        shared = self.shared(seen)  # (N, hidden)
        flux = self.flux_head(shared)
        middle = flux[:, :1] + TYPICAL_LOG10_FLUX
        if flux.shape[1] == 3:
            reach = nn.functional.softplus(flux[:, 1:])
            middle = torch.cat([middle - reach[:, :1], middle, middle + reach[:, 1:]], dim=1)
        return middle, self.event_head(shared)
