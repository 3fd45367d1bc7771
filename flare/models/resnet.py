"""The residual network: every time step through the same three stages, then all steps together."""

import itertools

import torch
from torch import Tensor, nn

from flare.models.blocks import (
    FRAME_CHANNELS,
    OVERVIEW,
    POOLED,
    TIMES,
    Overview,
    encode_steps,
    over_time,
    pool,
)
from flare.models.heads import HeadOptions, Heads
from flare.models.network import Network


class ResNet(Network):
    """A stem over all channels, three residual stages per frame, pooling, heads on all steps.

    Only the stem works on every second pixel, with a filter of five, wide enough for a polarity
    inversion line of two. Further on what is halved is the maximum.
    """

    def __init__(self, width: int, options: HeadOptions) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(FRAME_CHANNELS, width, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        maps = [width, width, 2 * width, 4 * width]
        self.stages = nn.Sequential(*(Residual(a, b) for a, b in itertools.pairwise(maps)))
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
        return pool(self.stages(self.stem(images)))  # maps are (B, 4 * width, H / 8, W / 8)


class Residual(nn.Module):
    """Two convolutions beside a way past them; it halves the image where there are more maps."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        halved = outputs != inputs
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=1 + halved, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.past = nn.Sequential()
        if halved:
            self.past = nn.Sequential(
                nn.MaxPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H', W') of (B, inputs, H, W)."""
        return torch.relu(self.convolutions(maps) + self.past(maps))
