"""Grey levels to network input: per channel, learnt on the training split, kept with the model."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flare.sample import N_CHANNELS, Cube, Present


@dataclass(frozen=True)
class ChannelNormalisation:
    """Mean and standard deviation of each channel's grey levels over present images, 0..255."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, cubes: Tensor, present: Tensor) -> Tensor:
        """Return float32 (N, T, C, H, W) from uint8 cubes; missing images become zero, the mean."""
        mean = torch.tensor(self.mean, device=cubes.device)[:, None, None]
        scale = 1 / torch.tensor(self.std, device=cubes.device)[:, None, None]
        # where, not a product: what lies under the mask may be anything.
        values = (cubes.to(torch.float32) - mean) * scale
        return values.masked_fill(~present[..., None, None], 0.0)


def fit_normalisation(
    cubes: Cube, present: Present, rows: np.ndarray[tuple[int], np.dtype[np.intp]]
) -> ChannelNormalisation:
    """Measure each channel over the present images of some rows of (N, T, C, H, W) cubes.

    A channel that is missing everywhere gets mean 0 and deviation 1.
    """
    count, total, squares = (np.zeros(N_CHANNELS) for _ in range(3))
    for row in rows:
        planes = cubes[row].astype(np.float32)  # (T, C, H, W)
        here = present[row]
        count += here.sum(axis=0) * planes[0, 0].size
        total += (planes.sum(axis=(2, 3), dtype=np.float64) * here).sum(axis=0)
        squares += ((planes**2).sum(axis=(2, 3), dtype=np.float64) * here).sum(axis=0)
    seen = np.maximum(count, 1)
    mean = total / seen
    std = np.sqrt(np.maximum(squares / seen - mean**2, 0))
    std = np.where(std > 0, std, 1.0)
    return ChannelNormalisation(tuple(mean.tolist()), tuple(std.tolist()))
