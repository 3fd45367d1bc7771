"""Mirrored images, as the Sun's symmetry allows."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare.models.normalisation import ChannelNormalisation
from flare.sample import MAGNETOGRAM


@dataclass(frozen=True)
class Mirror:
    """Flips a sample east-west and north-south, each with even odds.

    A north-south flip also reverses the magnetogram's polarity, grey level g to 255 - g (Hale).
    """

    normalisation: ChannelNormalisation

    def draw(self, rng: np.random.Generator, n: int) -> NDArray[np.bool_]:
        """Return whether to flip east-west and north-south, (n, 2)."""
        return rng.random((n, 2)) < 0.5

    def __call__(
        self, inputs: Tensor, present: Tensor, draws: NDArray[np.bool_]
    ) -> tuple[Tensor, Tensor]:
        """Flip normalised images (B, T, C, H, W) in place."""
        mean = self.normalisation.mean[MAGNETOGRAM], self.normalisation.std[MAGNETOGRAM]
        turned = (255 - 2 * mean[0]) / mean[1]
        for cube, here, (east_west, north_south) in zip(inputs, present, draws, strict=True):
            if east_west:
                cube.copy_(cube.flip(-1))
            if north_south:
                cube.copy_(cube.flip(-2))
                field = cube[:, MAGNETOGRAM]
                field.copy_(torch.where(here[:, MAGNETOGRAM, None, None], turned - field, field))
        return inputs, present
