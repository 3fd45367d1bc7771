"""What several architectures share: the planes they see, convolution blocks, and pooling."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from flare.sample import MAGNETOGRAM, N_CHANNELS

#: Channels of a frame once the unsigned magnetogram is beside the ten.
FRAME_CHANNELS = N_CHANNELS + 1

#: What ``pool`` makes of one feature map.
POOLED = 2

#: What ``over_time`` makes of one number of each step.
TIMES = 2

#: How many numbers ``overview`` tells of a time step.
OVERVIEW = 4 * N_CHANNELS

#: What is taken off a mean square, so that float32's rounding is not told as contrast.
_ROUNDING = 2e-6


def frames(steps: Tensor) -> Tensor:
    """Return steps (B, C, H, W) as frames (B, C + 1, H, W), a pixel's channels together in memory.

    The last channel is |B|, the magnetogram without its sign: how much field there is says more
    about flares than which polarity it has. `ChannelNormalisation` centres magnetograms at 0 G, so
    the absolute value of the input is in units of a root mean square field.
    """
    return side_by_side(steps, steps[:, MAGNETOGRAM : MAGNETOGRAM + 1].abs())


def encode_steps(
    encode: Callable[[Tensor], Tensor], cubes: Tensor, present: Tensor, *, training: bool
) -> Tensor:
    """Return what ``encode`` makes of each time step, (N, T, ...); 0 for a step without images.

    In training such steps are not encoded at all: batch normalisation would take the mean and
    variance of planes that are mostly missing, and three quarters of the work would be for nothing
    where samples have one step.

    Parameters
    ----------
    encode
        From frames (B, C + 1, H, W) to (B, ...).
    cubes, present
        (N, T, C, H, W) and (N, T, C).
    """
    there = present.any(dim=2)  # (N, T)
    steps = cubes.flatten(0, 1)
    if training and not there.all():
        rows = there.flatten().nonzero()[:, 0]
        if len(rows) == 0:  # gradients have to be there even if they are 0
            rows = rows.new_zeros(1)
        some = encode(frames(steps[rows]))  # (R, ...)
        encoded = some.new_zeros(len(steps), *some.shape[1:]).index_copy(0, rows, some)
    else:
        encoded = encode(frames(steps))
    encoded = encoded.view(*there.shape, *encoded.shape[1:])
    return encoded * there.view(*there.shape, *[1] * (encoded.dim() - 2)).to(encoded.dtype)


def over_time(steps: Tensor, present: Tensor) -> Tensor:
    """Return the mean of the steps that have images, and how the last differs from the first.

    (N, 2 * D) of steps (N, T, D) and the mask (N, T, C); zeros where nothing is there. Four steps
    beside one another would be twice as many numbers, which a small set cannot tell apart.
    """
    there = present.any(dim=2).to(steps.dtype)  # (N, T)
    mean = (steps * there[..., None]).sum(dim=1) / there.sum(dim=1, keepdim=True).clamp(min=1)
    before = there.cumsum(dim=1)
    first = there * (before == 1)
    last = there * (before == there.sum(dim=1, keepdim=True))
    change = (steps * (last - first)[..., None]).sum(dim=1)
    return torch.cat([mean, change], dim=1)


def side_by_side(planes: Tensor, more: Tensor) -> Tensor:
    """Return planes (B, P, H, W) and (B, Q, H, W) as (B, P + Q, H, W), channels last, copied once.

    Convolutions on a CPU want all channels of a pixel together.
    """
    if torch.onnx.is_in_onnx_export():  # who runs the graph lays out its memory
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
    """Return mean, deviation and maximum of each image, and whether it is there: (N, T, 4 * C).

    Batch normalisation takes the brightness out of feature maps; here it is kept. Of a missing
    image all four are zero. A deviation below a thousandth of the mean is zero.
    """
    # Line by line: one sum over all pixels is off by up to 1e-4 in float32, by its order.
    mean = cubes.mean(dim=4).mean(dim=3)  # (N, T, C)
    variance = (1 - _ROUNDING) * _mean_square(cubes) - mean.square()
    deviation = variance.clamp(min=0).sqrt()
    there = present.to(cubes.dtype)
    told = torch.stack([mean, deviation, cubes.amax(dim=(3, 4))], dim=3) * there[..., None]
    return torch.cat([told.flatten(2), there], dim=2)


class Overview(nn.Module):
    """The overview of each step, its gaps filled and its numbers of one scale: (N, T, 4 * C).

    Grey levels differ between channels by more than a strong flare makes of them; normalised, a
    layer behind finds the difference in few steps. An image that is missing is taken to look as
    the others of its channel do on average; where there is none the numbers are zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.normalisation = nn.BatchNorm1d(OVERVIEW - N_CHANNELS)

    def forward(self, cubes: Tensor, present: Tensor) -> Tensor:
        """Tell of cubes (N, T, C, H, W) and which images are there (N, T, C)."""
        told = overview(cubes, present)
        there = told[..., -N_CHANNELS:]  # (N, T, C)
        steps = told[..., :-N_CHANNELS].view(*there.shape, -1)  # (N, T, C, 3)
        count = there.sum(dim=1, keepdim=True)  # (N, 1, C)
        usual = steps.sum(dim=1, keepdim=True) / count.clamp(min=1)[..., None]
        filled = steps + usual * (1 - there)[..., None]
        normal = self.normalisation(filled.flatten(2).flatten(0, 1)).view(*filled.shape)
        normal = normal * (count > 0).to(normal.dtype)[..., None]
        return torch.cat([normal.flatten(2), there], dim=2)


def _mean_square(cubes: Tensor) -> Tensor:
    """Return the mean of the squares of each image: (N, T, C) of (N, T, C, H, W)."""
    if torch.onnx.is_in_onnx_export():  # ONNX Runtime's norms take twice as long
        return cubes.square().mean(dim=4).mean(dim=3)
    # As a norm it is read at the speed of memory; torch.std takes 30 times as long on a CPU.
    lines: Tensor = torch.linalg.vector_norm(cubes, dim=4)
    return lines.square().mean(dim=3) / cubes.shape[4]


def block(inputs: int, outputs: int) -> nn.Module:
    """Return a convolution that halves the image; the ReLU is last, on a quarter of the pixels.

    That is the same function as before the pooling.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    )
