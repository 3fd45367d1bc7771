"""Building blocks of several architectures: input planes, convolution blocks, and pooling."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from flare.sample import MAGNETOGRAM, N_CHANNELS

#: Channels of a frame: the ten of a step and the unsigned magnetogram.
FRAME_CHANNELS = N_CHANNELS + 1

#: Numbers that ``pool`` returns for one feature map: mean and maximum.
POOLED = 2

#: Numbers that ``over_time`` returns for one number of each step: mean and change.
TIMES = 2

#: Numbers that ``overview`` returns for one time step.
OVERVIEW = 4 * N_CHANNELS

#: Share that is subtracted from a mean square, so that float32's rounding does not become contrast.
_ROUNDING = 2e-6


class Encoder(nn.Module):
    """The part of a network that depends on the architecture: from images to one vector a sample.

    ``forward(cubes, present)`` takes float (N, T, C, H, W), normalised and zero where an image is
    missing, and bool (N, T, C); it returns (N, ``size``).
    """

    size: int


class StepEncoder(Encoder):
    """An encoder shared by all time steps, whose vectors are joined by the overview of the images.

    Subclasses define ``encode`` and set ``overview``.
    """

    overview: "Overview"

    def encode(self, frames: Tensor) -> Tensor:
        """Return (B, D) of frames (B, C + 1, H, W)."""
        raise NotImplementedError

    def steps(self, cubes: Tensor, present: Tensor) -> Tensor:
        """Return (N, T, D + 4 * C): the encoded steps with the overview of their images."""
        steps = encode_steps(self.encode, cubes, present, training=self.training)
        return torch.cat([steps, self.overview(cubes, present)], dim=2)

    def forward(self, cubes: Tensor, present: Tensor) -> Tensor:
        """Encode N samples as mean and change over the steps; see ``Encoder``."""
        return over_time(self.steps(cubes, present), present)


def frames(steps: Tensor) -> Tensor:
    """Return steps (B, C, H, W) as frames (B, C + 1, H, W), channels last in memory.

    The last channel is ``|B|``, the magnetogram without its sign: how much field there is says more
    about flares than which polarity it has. `ChannelNormalisation` centres magnetograms at 0 G, so
    the absolute value of the input is in units of a root mean square field.
    """
    return concatenate_channels(steps, steps[:, MAGNETOGRAM : MAGNETOGRAM + 1].abs())


def encode_steps(
    encode: Callable[[Tensor], Tensor], cubes: Tensor, present: Tensor, *, training: bool
) -> Tensor:
    """Encode each step of cubes (N, T, C, H, W) as (N, T, ...), 0 for a step without images.

    In training such steps are skipped: otherwise batch normalisation would measure planes that
    are mostly missing. ``encode`` turns frames (B, C + 1, H, W) into (B, ...).
    """
    there = present.any(dim=2)  # (N, T)
    steps = cubes.flatten(0, 1)
    if training and not there.all():
        rows = there.flatten().nonzero()[:, 0]
        if len(rows) == 0:  # gradients must exist even if they are 0
            rows = rows.new_zeros(1)
        some = encode(frames(steps[rows]))  # (R, ...)
        encoded = some.new_zeros(len(steps), *some.shape[1:]).index_copy(0, rows, some)
    else:
        encoded = encode(frames(steps))
    encoded = encoded.view(*there.shape, *encoded.shape[1:])
    return encoded * there.view(*there.shape, *[1] * (encoded.dim() - 2)).to(encoded.dtype)


def over_time(steps: Tensor, present: Tensor) -> Tensor:
    """Return the mean of the steps that have images, and how the last differs from the first.

    (N, 2 * D) of steps (N, T, D) and the mask (N, T, C); zeros for a sample without images. All
    four steps would be twice as many numbers, too many to learn from on a small set.
    """
    there = present.any(dim=2).to(steps.dtype)  # (N, T)
    mean = (steps * there[..., None]).sum(dim=1) / there.sum(dim=1, keepdim=True).clamp(min=1)
    before = there.cumsum(dim=1)
    first = there * (before == 1)
    last = there * (before == there.sum(dim=1, keepdim=True))
    change = (steps * (last - first)[..., None]).sum(dim=1)
    return torch.cat([mean, change], dim=1)


def concatenate_channels(planes: Tensor, more: Tensor) -> Tensor:
    """Return planes (B, P, H, W) and (B, Q, H, W) as (B, P + Q, H, W), channels last, copied once.

    Convolutions on a CPU are fastest with all channels of a pixel together.
    """
    if torch.onnx.is_in_onnx_export():  # ONNX Runtime chooses its own memory layout
        return torch.cat([planes, more], dim=1)
    shape = (planes.shape[0], planes.shape[1] + more.shape[1], *planes.shape[2:])
    together = torch.empty(
        shape, dtype=planes.dtype, device=planes.device, memory_format=torch.channels_last
    )
    together[:, : planes.shape[1]] = planes
    together[:, planes.shape[1] :] = more
    return together


def pool(maps: Tensor) -> Tensor:
    """Return mean and maximum of each feature map: (B, 2 * K) of (B, K, H, W)."""
    return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)


def overview(cubes: Tensor, present: Tensor) -> Tensor:
    """Return mean, deviation, maximum and presence flag of each image: (N, T, 4 * C).

    Batch normalisation removes the brightness from feature maps, but not from these. All four are
    zero for a missing image. A deviation below a thousandth of the mean is zero.
    """
    # Line by line: one float32 sum over all pixels is off by up to 1e-4, depending on its order.
    mean = cubes.mean(dim=4).mean(dim=3)  # (N, T, C)
    variance = (1 - _ROUNDING) * _mean_square(cubes) - mean.square()
    deviation = variance.clamp(min=0).sqrt()
    there = present.to(cubes.dtype)
    statistics = torch.stack([mean, deviation, cubes.amax(dim=(3, 4))], dim=3) * there[..., None]
    return torch.cat([statistics.flatten(2), there], dim=2)


class Overview(nn.Module):
    """The overview of each step, missing images filled in, batch-normalised: (N, T, 4 * C).

    Grey levels differ between channels by more than a strong flare changes them; normalised, the
    next layer learns the difference in few steps. A missing image gets the mean of the others of
    its channel in the sample; a channel without any image is zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.normalisation = nn.BatchNorm1d(OVERVIEW - N_CHANNELS)

    def forward(self, cubes: Tensor, present: Tensor) -> Tensor:
        """Summarise cubes (N, T, C, H, W) with the mask (N, T, C)."""
        numbers = overview(cubes, present)
        there = numbers[..., -N_CHANNELS:]  # (N, T, C)
        steps = numbers[..., :-N_CHANNELS].view(*there.shape, -1)  # (N, T, C, 3)
        count = there.sum(dim=1, keepdim=True)  # (N, 1, C)
        mean = steps.sum(dim=1, keepdim=True) / count.clamp(min=1)[..., None]
        filled = steps + mean * (1 - there)[..., None]
        normal = self.normalisation(filled.flatten(2).flatten(0, 1)).view(*filled.shape)
        normal = normal * (count > 0).to(normal.dtype)[..., None]
        return torch.cat([normal.flatten(2), there], dim=2)


def _mean_square(cubes: Tensor) -> Tensor:
    """Return the mean of the squares of each image: (N, T, C) of (N, T, C, H, W)."""
    if torch.onnx.is_in_onnx_export():  # ONNX Runtime's norms take twice as long
        return cubes.square().mean(dim=4).mean(dim=3)
    # The norm runs at the speed of memory; torch.std takes 30 times as long on a CPU.
    lines: Tensor = torch.linalg.vector_norm(cubes, dim=4)
    return lines.square().mean(dim=3) / cubes.shape[4]


def blocks(*maps: int) -> nn.Sequential:
    """Return convolution blocks from each number of feature maps to the next."""
    return nn.Sequential(*(block(a, b) for a, b in itertools.pairwise(maps)))


def block(inputs: int, outputs: int) -> nn.Module:
    """Return a convolution block that halves the image.

    The ReLU comes after the pooling, on a quarter of the pixels, which gives the same result.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    )
