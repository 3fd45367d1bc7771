"""The transformer over time: every step is a token, and attention skips missing steps."""

import torch
from torch import Tensor, nn

from flare.models.blocks import (
    FRAME_CHANNELS,
    OVERVIEW,
    POOLED,
    Overview,
    StepEncoder,
    blocks,
    pool,
)
from flare.sample import N_STEPS

_LAYERS, _ATTENTION_HEADS = 2, 4


class TimeTransformer(StepEncoder):
    """The convolution blocks of the CNN for each step, and two layers of attention over the steps.

    A token holds the pooled feature maps of its step and the overview of its images. A step
    without images is masked as a key and does not count in the mean; the class token is always
    present, so attention is defined even if every image is missing.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        dim = 4 * width  # D
        self.blocks = blocks(FRAME_CHANNELS, width, 2 * width, dim)
        self.token = nn.Linear(POOLED * dim + OVERVIEW, dim)
        self.class_token = nn.Parameter(0.02 * torch.randn(dim))
        self.position = nn.Parameter(0.02 * torch.randn(N_STEPS, dim))
        self.attention = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, _ATTENTION_HEADS, 2 * dim, dropout, batch_first=True, norm_first=True
            )
            for _ in range(_LAYERS)
        )
        self.normalisation = nn.LayerNorm(dim)
        self.overview = Overview()
        self.size = 2 * dim

    def forward(self, cubes: Tensor, present: Tensor) -> Tensor:
        """Encode N samples; see ``Encoder``."""
        there = present.any(dim=2)  # (N, T)
        tokens = self.token(self.steps(cubes, present)) + self.position  # (N, T, D)
        tokens = torch.cat([self.class_token.expand(tokens.shape[0], 1, -1), tokens], dim=1)
        ignored = nn.functional.pad(~there, (1, 0), value=False)  # (N, 1 + T)
        for layer in self.attention:
            tokens = layer(tokens, src_key_padding_mask=ignored)
        tokens = self.normalisation(tokens)
        total = tokens[:, 1:].masked_fill(~there[..., None], 0).sum(dim=1)
        mean = total / there.sum(dim=1, keepdim=True).clamp(1)
        return torch.cat([tokens[:, 0], mean], dim=1)

    def encode(self, frames: Tensor) -> Tensor:
        """Return (B, 2 * D) of frames; the maps are (B, D, H / 8, W / 8)."""
        return pool(self.blocks(frames))
