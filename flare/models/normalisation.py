"""Normalise images and features: measured on the training split, stored in the model.

The magnetogram is centred at 0 G instead of its mean, so that a network's input is the field in
units of its root mean square: its absolute value is ``|B|``, and a missing image is zero field.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare.errors import ForecasterInvalid
from flare.sample import MAGNETOGRAM, Cube, PlaneSums, Present, grey_levels, plane_sums

#: Grey level of a magnetogram where there is no field, 127.5.
ZERO_GAUSS = float(grey_levels(np.zeros(()), "magnetogram"))

_CLIP = 5.0  # standard deviations from the mean at which a feature is clipped


@dataclass(frozen=True)
class ChannelNormalisation:
    """Centre and scale of each channel's grey levels over present images, 0..255.

    ``mean`` and ``std`` are the mean and the standard deviation; of the magnetogram they are the
    grey level of 0 G and the root mean square of the distance from it.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, cubes: Tensor, present: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Return float32 (N, T, C, H, W) from uint8 cubes; missing images become zero.

        A float32 buffer ``out`` of the cubes' shape is written and returned: reusing it saves page
        faults, which take ten times as long.
        """
        if out is None:
            out = torch.empty(cubes.shape, dtype=torch.float32, device=cubes.device)
        scale = 1 / torch.tensor(self.std, device=cubes.device)
        shift = -torch.tensor(self.mean, device=cubes.device) * scale
        # A factor and a summand for each image, both zero for a missing one.
        factors, summands = present * scale, present * shift  # (N, T, C)
        if cubes.device.type == "cpu":
            # Image by image: 256 x 256 pixels fit into a core's cache.
            planes, grey = out.numpy(), cubes.numpy()
            scales, shifts = factors.numpy(), summands.numpy()
            for place in np.ndindex(factors.shape):
                plane = planes[place]
                np.copyto(plane, grey[place])
                plane *= scales[place]
                plane += shifts[place]
            return out
        out.copy_(cubes)
        return torch.addcmul(summands[..., None, None], out, factors[..., None, None], out=out)


class Normaliser:
    """Normalise batches into one buffer: what a call returns is overwritten by the next call."""

    def __init__(self, normalisation: ChannelNormalisation) -> None:
        self._normalisation = normalisation
        self._buffer = torch.empty(0)

    def __call__(self, cubes: Tensor, present: Tensor) -> Tensor:
        """Return float32 (N, T, C, H, W) from uint8 cubes, of any N."""
        buffer = self._buffer
        fits = buffer.shape[1:] == cubes.shape[1:] and len(buffer) >= len(cubes)
        if not fits or buffer.device != cubes.device:
            with torch.inference_mode(mode=False):  # a gradient may go through it later
                self._buffer = torch.empty(cubes.shape, dtype=torch.float32, device=cubes.device)
        return self._normalisation(cubes, present, out=self._buffer[: len(cubes)])


def fit_normalisation(
    cubes: Cube, present: Present, rows: NDArray[np.intp]
) -> ChannelNormalisation:
    """Measure each channel over the present images of some rows of (N, T, C, H, W) cubes."""
    sums = np.stack([plane_sums(cubes[row]) for row in rows])
    return normalisation_from_sums(sums, present[rows], pixels=math.prod(cubes.shape[-2:]))


def normalisation_from_sums(
    sums: PlaneSums, present: Present, *, pixels: int
) -> ChannelNormalisation:
    """Return mean and deviation of each channel over the present images.

    A channel without any image gets mean 0 and deviation 1, the magnetogram 0 G and 1.

    ``sums`` are int64 (n, T, C, 2) of ``plane_sums``, ``present`` bool (n, T, C), ``pixels`` those
    of one image.
    """
    count = present.sum(axis=(0, 1)) * pixels  # (C,)
    totals = (sums * present[..., None]).sum(axis=(0, 1)).astype(np.float64)  # (C, 2)
    mean, mean_square = (totals / np.maximum(count, 1)[:, None]).T
    variance = mean_square - mean**2
    if count[MAGNETOGRAM] > 0:
        variance[MAGNETOGRAM] += (mean[MAGNETOGRAM] - ZERO_GAUSS) ** 2
    mean[MAGNETOGRAM] = ZERO_GAUSS
    std = np.sqrt(np.maximum(variance, 0))
    std = np.where(std > 0, std, 1.0)
    return ChannelNormalisation(tuple(mean.tolist()), tuple(std.tolist()))


@dataclass(frozen=True)
class Standardisation:
    """Median, mean and standard deviation of each of F features, as in training.

    It has no flags of missing features: networks get the mask of the images.
    """

    median: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse numbers that cannot scale anything: they were read from a damaged folder."""
        if not np.isfinite([self.median, self.mean, self.std]).all() or min(self.std) <= 0:
            raise ForecasterInvalid(
                "the scales of the features are not finite numbers above 0; fetch it again"
            )

    def __call__(self, features: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return float32 (N, F): NaN filled with the median, scaled, within five deviations."""
        filled = np.where(np.isnan(features), self.median, features)
        scaled = (filled - np.array(self.mean)) / np.array(self.std)
        return np.asarray(np.clip(scaled, -_CLIP, _CLIP), dtype=np.float32)


def fit_standardisation(features: NDArray[np.float64]) -> Standardisation:
    """Measure features (N, F), NaN where missing.

    A feature that is always missing is filled with 0, and a constant one is not scaled.
    """
    gaps = np.isnan(features)
    known = ~gaps.all(axis=0)
    median = np.zeros(features.shape[1])
    median[known] = np.nanmedian(features[:, known], axis=0)
    filled = np.where(gaps, median, features)
    mean, std = filled.mean(axis=0), filled.std(axis=0)
    # The mean of a constant such as 0.1 is rounded, so its standard deviation is above 0.
    std[std <= 1e-12 * np.abs(mean)] = 1.0
    return Standardisation(tuple(median.tolist()), tuple(mean.tolist()), tuple(std.tolist()))
