"""The multitask CNN: one small encoder for every time step, and two heads on what it saw."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flare.models.network import Network
from flare.sample import MAGNETOGRAM, N_CHANNELS, N_STEPS

#: What the flux head adds to, in log10 W m^-2: an untrained network forecasts about B1, not X10000.
TYPICAL_LOG10_FLUX = -7.0


class MultitaskCNN(Network):
    """Three convolution blocks per frame, pooling, one shared layer, heads for flux and events.

    The encoder sees the ten channels of a time step, and the magnetogram once more without its
    sign: how much field there is says more about flares than which polarity it has. Steps share
    its weights. The shared layer sees all steps and which images were present.
    """

    def __init__(self, *, width: int, hidden: int, dropout: float, n_events: int) -> None:
        super().__init__()
        maps = [N_CHANNELS + 1, width, 2 * width, 4 * width]
        self.blocks = nn.Sequential(*(_block(a, b) for a, b in itertools.pairwise(maps)))
        seen = N_STEPS * 2 * maps[-1] + N_STEPS * N_CHANNELS
        self.shared = nn.Sequential(
            nn.Linear(seen, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)
        )
        self.flux_head = nn.Linear(hidden, 1)
        self.event_head = nn.Linear(hidden, n_events)

    @torch.no_grad()
    def start_at(self, log10_flux: float, probabilities: Sequence[float]) -> None:
        """Set the biases of both heads; see ``Network``."""
        self.flux_head.bias.fill_(log10_flux - TYPICAL_LOG10_FLUX)
        self.event_head.bias.copy_(torch.logit(torch.tensor(probabilities)))

    def forward(self, cubes: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Forecast N samples.

        Parameters
        ----------
        cubes
            float (N, T, C, H, W), normalised per channel, zero where an image is missing.
        present
            bool (N, T, C).

        Returns
        -------
        log10 of the peak flux in W m^-2, shape (N,), and event logits, shape (N, E).
        """
        n, steps = cubes.shape[:2]
        frames = cubes.flatten(0, 1)  # (N * T, C, H, W)
        unsigned = frames[:, MAGNETOGRAM : MAGNETOGRAM + 1].abs()
        frames = torch.cat([frames, unsigned], dim=1)
        frames = frames.contiguous(memory_format=torch.channels_last)
        maps = self.blocks(frames)  # (N * T, 4 * width, H / 8, W / 8)
        pooled = torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)
        pooled = (
            pooled * present.any(dim=2).flatten()[:, None]
        )  # a step without images says nothing
        seen = torch.cat([pooled.view(n, steps, -1).flatten(1), present.flatten(1).float()], dim=1)
        shared = self.shared(seen)  # (N, hidden)
        return self.flux_head(shared)[:, 0] + TYPICAL_LOG10_FLUX, self.event_head(shared)


def _block(inputs: int, outputs: int) -> nn.Module:
    # ReLU after pooling is the same function as before it, on a quarter of the pixels.
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    )
