"""The CNN that takes all images at once: 40 planes as the channels of one picture."""

import itertools

import torch
from torch import Tensor, nn

from flare.models.blocks import (
    FRAME_CHANNELS,
    OVERVIEW,
    POOLED,
    TIMES,
    Overview,
    block,
    over_time,
    pool,
    side_by_side,
)
from flare.models.heads import HeadOptions, Heads
from flare.models.network import Network
from flare.sample import MAGNETOGRAM, N_STEPS


class StackedCNN(Network):
    """Three convolution blocks on all steps and channels together, pooling, heads.

    The first convolution sees the same pixel at all times, so that it can tell what changed. It
    sees four times as much as one that is shared between steps, and has twice ``width`` maps.
    """

    def __init__(self, width: int, options: HeadOptions) -> None:
        super().__init__()
        maps = [N_STEPS * FRAME_CHANNELS, 2 * width, 4 * width, 8 * width]
        self.blocks = nn.Sequential(*(block(a, b) for a, b in itertools.pairwise(maps)))
        self.overview = Overview()
        self.heads = Heads(POOLED * maps[-1] + TIMES * OVERVIEW, options)

    def forward(
        self, cubes: Tensor, present: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Forecast N samples; see ``Network``."""
        planes = side_by_side(cubes.flatten(1, 2), cubes[:, :, MAGNETOGRAM].abs())
        maps = self.blocks(planes)  # (N, T * (C + 1), H, W) to (N, 8 * width, H / 8, W / 8)
        seen = torch.cat([pool(maps), over_time(self.overview(cubes, present), present)], dim=1)
        told: tuple[Tensor, Tensor] = self.heads(seen, features)
        return told
