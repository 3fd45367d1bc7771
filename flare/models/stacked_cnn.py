"""The stacked CNN: the images of all time steps as the channels of one picture."""

import torch
from torch import Tensor

from flare.models.blocks import (
    FRAME_CHANNELS,
    OVERVIEW,
    POOLED,
    TIMES,
    Encoder,
    Overview,
    blocks,
    concatenate_channels,
    over_time,
    pool,
)
from flare.sample import MAGNETOGRAM, N_STEPS


class StackedCNN(Encoder):
    """Three convolution blocks on all steps and channels together, and pooling.

    The first convolution sees a pixel at all times, so it can find what changes. Its input has
    four times as many planes as that of an encoder shared between steps, and the blocks have twice
    ``width`` maps.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = blocks(N_STEPS * FRAME_CHANNELS, 2 * width, 4 * width, 8 * width)
        self.overview = Overview()
        self.size = POOLED * 8 * width + TIMES * OVERVIEW

    def forward(self, cubes: Tensor, present: Tensor) -> Tensor:
        """Encode N samples; see ``Encoder``."""
        planes = concatenate_channels(cubes.flatten(1, 2), cubes[:, :, MAGNETOGRAM].abs())
        maps = self.blocks(planes)  # (N, T * (C + 1), H, W) to (N, 8 * width, H / 8, W / 8)
        return torch.cat([pool(maps), over_time(self.overview(cubes, present), present)], dim=1)
