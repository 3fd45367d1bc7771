"""How fast features are computed, beside a loop that takes one image and one NumPy call at a time.

    python -m benchmarks.features [--image_size 256] [--samples 32] [--repeats 5]

The loop computes the same features from the same formulas, image by image, with np.percentile,
np.mean, np.std, scipy's filters and np.gradient, and only those images that a feature needs. Both
are compared before they are timed.
"""

import argparse
import math
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, convolve1d

from benchmarks.timing import machine, rate_table, time_in_turn
from flare.datasets.packing import pack
from flare.datasets.synthetic import synthesize
from flare.features.magnetic import (
    FIELD_OF_VIEW_ARCSEC,
    KERNEL_FWHM_MM,
    MM_PER_ARCSEC,
    NOISE_GAUSS,
    STRONG_FIELD_GAUSS,
)
from flare.features.table import compute_features
from flare.sample import MAGNETOGRAM, N_CHANNELS, Cube, Present, physical_values

PEER = "loop over images"


def main() -> None:
    """Compare and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image_size", type=int, default=256)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flare-") as folder:
        data = Path(folder) / "synthetic"
        synthesize(data, n_training=given.samples, n_test=1)
        made = pack(data, Path(folder) / "pack", image_size=given.image_size)
        rows = made.split("training")
        cubes, present = np.array(rows.cubes), rows.present
    plain, ours = features_by_loop(cubes, present), compute_features(cubes, present)
    np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-4)
    timings = time_in_turn(
        {
            PEER: partial(features_by_loop, cubes, present),
            "compute_features": partial(compute_features, cubes, present),
        },
        repeats=given.repeats,
    )
    print(f"{len(cubes)} samples of {given.image_size} px; {given.repeats} repeats")
    print(machine("numpy", "scipy"))
    print()
    print(rate_table(timings, amount=len(cubes), unit="samples", beside=PEER))


def features_by_loop(cubes: Cube, present: Present) -> NDArray[np.float64]:
    """Compute the features in the plainest way, one image after the other."""
    return np.array([_of_sample(cube, has) for cube, has in zip(cubes, present, strict=True)])


def _of_sample(cube: Cube, present: Present) -> list[float]:
    statistics: list[float] = []
    changes: list[float] = []
    magnetic = [math.nan] * 10
    for channel in range(N_CHANNELS):
        steps = np.flatnonzero(present[:, channel])
        if len(steps) == 0:
            statistics += [math.nan] * 8
            changes.append(math.nan)
            continue
        newest, oldest = cube[steps[-1], channel], cube[steps[0], channel]
        statistics += _statistics(newest)
        several = len(steps) > 1
        changes.append(newest.mean() - oldest.mean() if several else math.nan)
        if channel == MAGNETOGRAM:
            now = _magnetic(newest)
            before = _magnetic(oldest) if several else [math.nan] * 5
            magnetic = now + [a - b for a, b in zip(now, before, strict=True)]
    return [*statistics, *changes, *magnetic, present.mean()]


def _statistics(plane: NDArray[np.uint8]) -> list[float]:
    grey = plane.astype(np.float64)
    std = grey.std()
    skewness = ((grey - grey.mean()) ** 3).mean() / std**3 if std > 0 else 0.0
    percentiles = np.percentile(plane, (1, 50, 95, 99), method="inverted_cdf")
    return [grey.mean(), std, skewness, *percentiles, grey.max()]


def _magnetic(plane: NDArray[np.uint8]) -> list[float]:
    pixel_mm = FIELD_OF_VIEW_ARCSEC * MM_PER_ARCSEC / len(plane)
    field = physical_values(plane, "magnetogram").astype(np.float64)
    counted = np.where(np.abs(field) >= NOISE_GAUSS, field, 0.0)
    unsigned, net = np.abs(counted).sum(), abs(counted.sum())
    proxies = [math.log10(1 + unsigned * pixel_mm**2), net / unsigned if unsigned > 0 else 0.0]
    square = np.ones((3, 3), dtype=bool)
    positive = binary_dilation(field >= STRONG_FIELD_GAUSS, square)
    line = positive & binary_dilation(field <= -STRONG_FIELD_GAUSS, square)
    if not line.any():
        return [*proxies, 0.0, 0.0, 0.0]
    kernel = _gaussian(KERNEL_FWHM_MM / pixel_mm)
    weight = line.astype(np.float64)
    for axis in (0, 1):
        weight = convolve1d(weight, kernel, axis=axis, mode="constant")
    r = (weight * np.abs(field)).sum() * pixel_mm**2
    gradient = np.hypot(*np.gradient(field, pixel_mm))
    length = line.sum() / 2 * pixel_mm
    return [*proxies, math.log10(1 + r), math.log10(1 + length), gradient[line].max()]


def _gaussian(fwhm: float) -> NDArray[np.float64]:
    sigma = fwhm / math.sqrt(8 * math.log(2))
    reach = math.ceil(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum())


if __name__ == "__main__":
    main()
