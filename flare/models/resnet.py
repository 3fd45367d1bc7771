"""The residual network: three residual stages, shared by all time steps."""

import itertools

import torch
from torch import Tensor, nn

from flare.models.blocks import (
    FRAME_CHANNELS,
    OVERVIEW,
    POOLED,
    TIMES,
    Overview,
    StepEncoder,
    pool,
)


class ResNet(StepEncoder):
    """A stem and three residual stages per time step, pooling, mean and change over the steps.

    Only the stem strides over every second pixel, with a filter of five pixels, which is wide
    enough for a polarity inversion line of two. The stages halve by maximum pooling.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(FRAME_CHANNELS, width, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        maps = [width, width, 2 * width, 4 * width]
        self.stages = nn.Sequential(*(Residual(a, b) for a, b in itertools.pairwise(maps)))
        self.overview = Overview()
        self.size = TIMES * (POOLED * maps[-1] + OVERVIEW)

    def encode(self, frames: Tensor) -> Tensor:
        """Return (B, 8 * width) of frames; the maps are (B, 4 * width, H / 8, W / 8)."""
        return pool(self.stages(self.stem(frames)))


class Residual(nn.Module):
    """Two convolutions with a skip connection; halves the image if the number of maps changes."""

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
        self.skip = nn.Sequential()
        if halved:
            self.skip = nn.Sequential(
                nn.MaxPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H', W') of (B, inputs, H, W)."""
        return torch.relu(self.convolutions(maps) + self.skip(maps))
