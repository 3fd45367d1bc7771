"""The CNN: one small encoder, shared by all time steps."""

import itertools

import torch
from torch import Tensor, nn

from flare.models.blocks import (
    FRAME_CHANNELS,
    OVERVIEW,
    POOLED,
    TIMES,
    Encoder,
    Overview,
    block,
    encode_steps,
    over_time,
    pool,
)


class CNN(Encoder):
    """Three convolution blocks per time step, pooling, and mean and change over the steps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        maps = [FRAME_CHANNELS, width, 2 * width, 4 * width]
        self.blocks = nn.Sequential(*(block(a, b) for a, b in itertools.pairwise(maps)))
        self.overview = Overview()
        self.size = TIMES * (POOLED * maps[-1] + OVERVIEW)

    def forward(self, cubes: Tensor, present: Tensor) -> Tensor:
        """Encode N samples; see ``Encoder``."""
        steps = encode_steps(self._encode, cubes, present, training=self.training)
        steps = torch.cat([steps, self.overview(cubes, present)], dim=2)  # (N, T, 8 * width + 40)
        return over_time(steps, present)

    def _encode(self, frames: Tensor) -> Tensor:
        return pool(self.blocks(frames))  # maps are (B, 4 * width, H / 8, W / 8)
