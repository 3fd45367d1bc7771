"""The space-time CNN: convolutions over each image, and after each one over the time steps."""

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
)


class CNN3D(Encoder):
    """Three factorised blocks, (2+1)D, pooled over space and time together.

    Source: Tran et al. 2018, doi:10.1109/CVPR.2018.00675. A step without images is zero for its
    neighbours, as padding is, and does not count in the pooling.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        maps = [FRAME_CHANNELS, width, 2 * width, 4 * width]
        self.space = nn.ModuleList(block(a, b) for a, b in itertools.pairwise(maps))
        self.time = nn.ModuleList(TimeConvolution(b) for b in maps[1:])
        self.overview = Overview()
        self.size = POOLED * maps[-1] + TIMES * OVERVIEW

    def forward(self, cubes: Tensor, present: Tensor) -> Tensor:
        """Encode N samples; see ``Encoder``."""
        there = present.any(dim=2)[:, :, None, None, None].to(cubes.dtype)  # (N, T, 1, 1, 1)
        first, *later = zip(self.space, self.time, strict=True)
        steps = encode_steps(first[0], cubes, present, training=self.training)
        maps = first[1](steps.flatten(0, 1), there)
        for space, time in later:
            maps = time(space(maps), there)
        steps = maps.view(*present.shape[:2], *maps.shape[1:])  # (N, T, K, H / 8, W / 8), >= 0
        steps = steps * there
        n_steps = there.flatten(1).sum(dim=1, keepdim=True).clamp(1)  # (N, 1)
        mean = steps.mean(dim=(3, 4)).sum(dim=1) / n_steps
        overview = over_time(self.overview(cubes, present), present)
        return torch.cat([mean, steps.amax(dim=(1, 3, 4)), overview], dim=1)


class TimeConvolution(nn.Module):
    """A convolution over three time steps, pixel by pixel, added to its input."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(maps, maps, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.normalisation = nn.BatchNorm3d(maps)

    def forward(self, maps: Tensor, there: Tensor) -> Tensor:
        """Return (N * T, K, H, W) of as much; ``there`` (N, T, 1, 1, 1) is 0 for missing steps."""
        steps = maps.view(*there.shape[:2], *maps.shape[1:]) * there
        mixed = self.normalisation(self.convolution(steps.transpose(1, 2)))  # (N, K, T, H, W)
        return torch.relu(steps + mixed.transpose(1, 2)).flatten(0, 1)
