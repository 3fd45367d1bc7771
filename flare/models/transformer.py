"""The transformer over time: every step becomes a token, and attention passes over missing ones."""

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
from flare.models.heads import HeadOptions, Heads
from flare.models.network import Network
from flare.sample import N_STEPS

_LAYERS, _ATTENTION_HEADS = 2, 4


class TimeTransformer(Network):
    """The encoder of the CNN for each step, two layers of attention over the steps, and heads.

    A token holds the feature maps of its step, pooled, and how bright each image is. A step
    without images is nobody's key and has no part in the mean; the class token is always there, so
    that attention has something to look at even when everything is missing.
    """

    def __init__(self, width: int, options: HeadOptions) -> None:
        super().__init__()
        maps = [FRAME_CHANNELS, width, 2 * width, 4 * width]
        size = maps[-1]
        self.blocks = nn.Sequential(*(block(a, b) for a, b in itertools.pairwise(maps)))
        self.token = nn.Linear(POOLED * size + OVERVIEW, size)
        self.class_token = nn.Parameter(0.02 * torch.randn(size))
        self.when = nn.Parameter(0.02 * torch.randn(N_STEPS, size))
        self.attention = nn.ModuleList(_attention(size, options.dropout) for _ in range(_LAYERS))
        self.normalisation = nn.LayerNorm(size)
        self.overview = Overview()
        self.heads = Heads(2 * size, options)

    def forward(
        self, cubes: Tensor, present: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Forecast N samples; see ``Network``."""
        there = present.any(dim=2)  # (N, T)
        steps = encode_steps(self._encode, cubes, present, training=self.training)  # (N, T, 2D)
        steps = torch.cat([steps, self.overview(cubes, present)], dim=2)
        tokens = self.token(steps) + self.when  # (N, T, D)
        tokens = torch.cat([self.class_token.expand(tokens.shape[0], 1, -1), tokens], dim=1)
        ignored = nn.functional.pad(~there, (1, 0), value=False)  # (N, 1 + T)
        for layer in self.attention:
            tokens = layer(tokens, src_key_padding_mask=ignored)
        tokens = self.normalisation(tokens)
        told: tuple[Tensor, Tensor] = self.heads(
            torch.cat([tokens[:, 0], _mean(tokens[:, 1:], there)], dim=1), features
        )
        return told

    def _encode(self, images: Tensor) -> Tensor:
        """Return pooled maps (B, 2 * D) of frames (B, C + 1, H, W)."""
        return pool(self.blocks(images))  # maps are (B, D, H / 8, W / 8)


def _attention(size: int, dropout: float) -> nn.Module:
    return nn.TransformerEncoderLayer(
        size, _ATTENTION_HEADS, 2 * size, dropout, batch_first=True, norm_first=True
    )


def _mean(steps: Tensor, there: Tensor) -> Tensor:
    """Return the mean (N, D) of the steps (N, T, D) that are there, 0 if none is."""
    total = steps.masked_fill(~there[..., None], 0).sum(dim=1)
    return total / there.sum(dim=1, keepdim=True).clamp(1)
