"""The multitask CNN: one small encoder for every time step, and two heads on what it saw."""

import itertools

import torch
from torch import Tensor, nn

from flare.models.blocks import (
    FRAME_CHANNELS,
    OVERVIEW,
    POOLED,
    Overview,
    block,
    encode_steps,
    pool,
)
from flare.models.heads import Heads
from flare.models.network import Network
from flare.sample import N_STEPS


class MultitaskCNN(Network):
    """Three convolution blocks per frame, pooling, one shared layer, heads for flux and events.

    Steps share the weights of the encoder. The shared layer sees all steps, how bright each image
    is, and which were present.
    """

    def __init__(
        self, *, width: int, hidden: int, dropout: float, n_events: int, n_quantiles: int
    ) -> None:
        super().__init__()
        maps = [FRAME_CHANNELS, width, 2 * width, 4 * width]
        self.blocks = nn.Sequential(*(block(a, b) for a, b in itertools.pairwise(maps)))
        self.overview = Overview()
        self.heads = Heads(
            N_STEPS * (POOLED * maps[-1] + OVERVIEW),
            hidden=hidden,
            dropout=dropout,
            n_events=n_events,
            n_quantiles=n_quantiles,
        )

    def forward(self, cubes: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Forecast N samples; see ``Network``."""
        steps = encode_steps(self._encode, cubes, present, training=self.training)
        # steps are (N, T, 8 * width)
        seen = torch.cat([steps, self.overview(cubes, present)], dim=2).flatten(1)
        told: tuple[Tensor, Tensor] = self.heads(seen)
        return told

    def _encode(self, images: Tensor) -> Tensor:
        """Return pooled maps (B, 8 * width) of frames (B, C + 1, H, W)."""
        return pool(self.blocks(images))  # maps are (B, 4 * width, H / 8, W / 8)
