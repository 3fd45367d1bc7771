"""The encoder of every architecture: from images and their mask to one vector a sample."""

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
    StepEncoder,
    block,
    blocks,
    concatenate_channels,
    encode_steps,
    over_time,
    pool,
)
from flare.sample import MAGNETOGRAM, N_STEPS

_LAYERS, _ATTENTION_HEADS = 2, 4


class CNN(StepEncoder):
    """Three convolution blocks per time step, pooling, and mean and change over the steps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = blocks(FRAME_CHANNELS, width, 2 * width, 4 * width)
        self.overview = Overview()
        self.size = TIMES * (POOLED * 4 * width + OVERVIEW)

    def encode(self, frames: Tensor) -> Tensor:
        """Return (B, 8 * width) of frames; the maps are (B, 4 * width, H / 8, W / 8)."""
        return pool(self.blocks(frames))


class StackedCNN(Encoder):
    """Three convolution blocks on the images of all steps as the channels of one, and pooling.

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

    def encode(self, frames: Tensor) -> Tensor:
        """Return (B, 2 * D) of frames; the maps are (B, D, H / 8, W / 8)."""
        return pool(self.blocks(frames))

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
