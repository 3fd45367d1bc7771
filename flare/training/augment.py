"""Augment training samples: mirror, shift, brightness jitter and image dropout.

All random numbers are drawn on the host, for all samples of a batch at once and from the batch's
own generator: ``draw``, then slices of the draws, give the same samples with one process as with
several, on any device. Images are changed in place, after normalisation.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare.config.network_groups import ObjectiveOptions
from flare.models.normalisation import ChannelNormalisation
from flare.sample import CHANNELS, MAGNETOGRAM, N_CHANNELS, N_STEPS, PIXEL_SCALES

#: Grey levels by which an image brightens if its physical brightness grows by a factor of e. HMI
#: has not dimmed as AIA's filters have, and is not changed.
_GREY_PER_E = np.array(
    [
        255 / math.log(scale.high / scale.low) if scale.log10 else 0.0
        for scale in (PIXEL_SCALES[channel] for channel in CHANNELS)
    ]
)


@dataclass(frozen=True)
class Draws:
    """The random numbers of n samples; slicing selects samples.

    ``flips`` (n, 2): whether to mirror east-west and north-south. ``shifts`` (n, 2): how far to
    move down and right, as a share of the edge. ``jitter`` (n, C): ln of the factor on each
    channel's brightness. ``dropped`` (n, T, C): which images are removed.
    """

    flips: NDArray[np.bool_]
    shifts: NDArray[np.float64]
    jitter: NDArray[np.float64]
    dropped: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.flips)

    def __getitem__(self, some: slice) -> "Draws":
        return Draws(*(getattr(self, part.name)[some] for part in fields(self)))


@dataclass(frozen=True)
class Augmentation:
    """The augmentations of training samples and their strengths; strength 0 is off.

    - ``mirror``: half of the samples are mirrored east-west, and half north-south. Each mirror
      swaps the magnetogram's polarities, g -> 255 - g, so that the leading polarity stays that of
      the hemisphere: north-south moves the region to the other one, where it is the opposite, and
      east-west puts the following polarity in front (Hale et al. 1919, doi:10.1086/142452). Both
      mirrors together swap nothing. North-south is a symmetry of the Sun; east-west keeps Hale's
      law but not Joy's, by which the leading polarity is nearer to the equator.
    - ``shift``: up to this share of the edge, in whole pixels, vertically and horizontally; edge
      pixels are repeated.
    - ``brightness_jitter``: standard deviation of ln f, where each AIA channel of a sample is f
      times as bright. Grey levels are logarithmic, so that is a shift by 255 ln f / ln(max / min);
      0.3 is 7 levels in 304. From 2010 to 2017 the disk faded by a factor of 14.7 there, 3.2 in
      335 and 1.4 in 171; ln 14.7 = 2.7.
    - ``image_dropout``: probability that each image is removed, that one of the channels is removed
      at all steps, and that one of the steps is removed in all channels. A sample that would lose
      all its images keeps them.

    Geometry and brightness are the same for all steps of a sample, and geometry for all channels.
    """

    normalisation: ChannelNormalisation
    mirror: bool
    shift: float
    brightness_jitter: float
    image_dropout: float

    def draw(self, rng: np.random.Generator, n: int) -> Draws:
        """Draw the random numbers of n samples; the strengths do not change how many are drawn."""
        flips = rng.random((n, 2)) < 0.5
        shifts = rng.uniform(-1, 1, (n, 2)) * self.shift
        jitter = rng.standard_normal((n, N_CHANNELS)) * self.brightness_jitter
        dropped = rng.random((n, N_STEPS, N_CHANNELS)) < self.image_dropout
        whole = rng.random((n, 2)) < self.image_dropout
        channel, step = rng.integers(N_CHANNELS, size=n), rng.integers(N_STEPS, size=n)
        dropped |= (whole[:, :1] & (np.arange(N_CHANNELS) == channel[:, None]))[:, None, :]
        dropped |= (whole[:, 1:] & (np.arange(N_STEPS) == step[:, None]))[:, :, None]
        return Draws(flips & self.mirror, shifts, jitter, dropped)

    def __call__(self, inputs: Tensor, present: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Augment inputs (B, T, C, H, W), normalised and zero where missing, and mask (B, T, C).

        The input tensors may be changed in place; missing and dropped images are zero.
        """
        if self.image_dropout > 0:
            left = present & ~torch.from_numpy(draws.dropped).to(present.device)
            present = torch.where(left.flatten(1).any(dim=1)[:, None, None], left, present)
        if self.mirror or self.shift > 0:
            inputs = _move(inputs, draws)
        return self._adjust_levels(inputs, present, draws), present

    def _adjust_levels(self, inputs: Tensor, present: Tensor, draws: Draws) -> Tensor:
        """Apply jitter and polarity swaps, and zero missing images: a * x + b for each image."""
        mean, std = (np.array(part) for part in (self.normalisation.mean, self.normalisation.std))
        slope = np.ones((len(draws), N_CHANNELS))
        offset = draws.jitter * _GREY_PER_E / std
        swapped = draws.flips[:, 0] ^ draws.flips[:, 1]
        slope[swapped, MAGNETOGRAM] = -1
        offset[swapped, MAGNETOGRAM] = ((255 - 2 * mean) / std)[MAGNETOGRAM]
        a, b = (
            (torch.from_numpy(part.astype(np.float32)).to(inputs)[:, None] * present)[
                ..., None, None
            ]  # (B, T, C)
            for part in (slope, offset)
        )
        inputs = torch.addcmul(b, inputs, a, out=inputs)
        if self.brightness_jitter > 0:  # clipped to black and white, as the images are
            black, white = (
                torch.from_numpy(((level - mean) / std).astype(np.float32)).to(inputs)[
                    :, None, None
                ]
                for level in (0, 255)
            )
            inputs = torch.clamp(inputs, black, white, out=inputs)
        return inputs


def build_augmentation(
    objective: ObjectiveOptions, normalisation: ChannelNormalisation
) -> Augmentation | None:
    """Return the augmentation of an objective; None if everything is off."""
    strengths = (objective.shift, objective.brightness_jitter, objective.image_dropout)
    if not objective.mirror and not any(strength > 0 for strength in strengths):
        return None
    return Augmentation(normalisation, objective.mirror, *strengths)


def _move(inputs: Tensor, draws: Draws) -> Tensor:
    """Mirror and shift each sample by gathering its pixels."""
    edge = inputs.shape[-1]
    pixels = np.rint(draws.shifts * edge).astype(np.int64)  # (B, 2), down and right
    places = np.arange(edge) - pixels[..., None]  # (B, 2, edge)
    places = np.clip(places, 0, edge - 1)
    flips = draws.flips[:, ::-1, None]  # north-south turns rows around
    places = np.where(flips, edge - 1 - places, places)
    source = places[:, 0, :, None] * edge + places[:, 1, None, :]  # (B, H, W)
    index = torch.from_numpy(source).to(inputs.device).flatten(1)[:, None]  # (B, 1, H * W)
    planes = inputs.flatten(3).flatten(1, 2)  # (B, T * C, H * W)
    return planes.gather(2, index.expand_as(planes)).view_as(inputs)
