"""The multitask CNN: one small encoder for every time step, and two heads on what it saw."""

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
    encode_steps,
    over_time,
    pool,
)
from flare.models.heads import HeadOptions, Heads
from flare.models.network import Network


class MultitaskCNN(Network):
    """Three convolution blocks per frame, pooling, one shared layer, heads for flux and events.

    Steps share the weights of the encoder. The shared layer sees all steps, how bright each image
    is, and which were present.
    """

    def __init__(self, width: int, options: HeadOptions) -> None:
        super().__init__()
        maps = [FRAME_CHANNELS, width, 2 * width, 4 * width]
        self.blocks = nn.Sequential(*(block(a, b) for a, b in itertools.pairwise(maps)))
        self.overview = Overview()
        self.heads = Heads(TIMES * (POOLED * maps[-1] + OVERVIEW), options)

    def forward(
        self, cubes: Tensor, present: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Forecast N samples; see ``Network``."""
        steps = encode_steps(self._encode, cubes, present, training=self.training)
        # steps are (N, T, 8 * width)
        steps = torch.cat([steps, self.overview(cubes, present)], dim=2)
        seen = over_time(steps, present)
        told: tuple[Tensor, Tensor] = self.heads(seen, features)
        return told

    def _encode(self, images: Tensor) -> Tensor:
        """Return pooled maps (B, 8 * width) of frames (B, C + 1, H, W)."""
        return pool(self.blocks(images))  # maps are (B, 4 * width, H / 8, W / 8)
