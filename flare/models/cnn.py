"""The multitask CNN: one small encoder for every time step, and two heads on what it saw."""

import itertools

import torch
from torch import Tensor, nn

from flare.models.heads import Heads
from flare.models.network import Network
from flare.sample import MAGNETOGRAM, N_CHANNELS, N_STEPS


class MultitaskCNN(Network):
    """Three convolution blocks per frame, pooling, one shared layer, heads for flux and events.

    The encoder sees the ten channels of a time step, and the magnetogram once more without its
    sign: how much field there is says more about flares than which polarity it has. Steps share
    its weights. The shared layer sees all steps and which images were present.
    """

    def __init__(
        self, *, width: int, hidden: int, dropout: float, n_events: int, n_quantiles: int
    ) -> None:
        super().__init__()
        maps = [N_CHANNELS + 1, width, 2 * width, 4 * width]
        self.blocks = nn.Sequential(*(_block(a, b) for a, b in itertools.pairwise(maps)))
        seen = N_STEPS * 2 * maps[-1] + N_STEPS * N_CHANNELS
        self.heads = Heads(
            seen, hidden=hidden, dropout=dropout, n_events=n_events, n_quantiles=n_quantiles
        )

    def forward(self, cubes: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Forecast N samples; see ``Network``."""
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
        told: tuple[Tensor, Tensor] = self.heads(seen)
        return told


def _block(inputs: int, outputs: int) -> nn.Module:
    # ReLU after pooling is the same function as before it, on a quarter of the pixels.
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    )
