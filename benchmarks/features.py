"""Time the features, compared with a loop that takes one image and one NumPy call at a time.

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
from scipy.ndimage import binary_dilation, gaussian_filter

from benchmarks.timing import machine, rate_table, time_in_turn
from flare.datasets.pack.writer import pack
from flare.datasets.synthetic import synthesize
from flare.features.magnetic import KERNEL_SIGMA_MM, NOISE_GAUSS, OVERLAP_SCALES_MM
from flare.features.statistics import SCALES_MM, STATISTIC_NAMES, pixel_mm
from flare.features.table import FEATURE_NAMES, compute_features
from flare.sample import CHANNELS, MAGNETOGRAM, Cube, Present, physical_values, reduce_cubes

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
    np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-3)
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
    print(rate_table(timings, amount=len(cubes), unit="samples", reference=PEER))


def features_by_loop(cubes: Cube, present: Present) -> NDArray[np.float64]:
    """Compute the features in the plainest way, one image after the other."""
    return np.array([_of_sample(cube, has) for cube, has in zip(cubes, present, strict=True)])


def _of_sample(cube: Cube, present: Present) -> list[float]:
    last: dict[str, float] = {}
    change: dict[str, float] = {}
    field_steps = np.flatnonzero(present[:, MAGNETOGRAM])
    for number, channel in enumerate(CHANNELS):
        steps = np.flatnonzero(present[:, number])
        if len(steps) == 0:
            continue
        for end, values in ((-1, last), (0, change)):
            image = cube[steps[end], number]
            field = cube[field_steps[end], MAGNETOGRAM] if len(field_steps) else None
            if end == -1 or len(steps) > 1:
                features = _of_image(image, channel, field)
                if end == 0 and len(field_steps) < 2:
                    features.pop("line", None)
                values.update({f"{channel}_{name}": value for name, value in features.items()})
    values = {f"{name}_last": value for name, value in last.items()}
    values |= {f"{name}_change": last[name] - before for name, before in change.items()}
    values["present_share"] = float(present.mean())
    return [values.get(name, math.nan) for name in FEATURE_NAMES]


def _of_image(
    image: NDArray[np.uint8], channel: str, field: NDArray[np.uint8] | None
) -> dict[str, float]:
    features = _statistics(image)
    if channel == "magnetogram":
        return features | _magnetic(image)
    if channel != "continuum":
        intensity = physical_values(image, channel).astype(np.float64)
        median, peak = np.percentile(intensity, (50, 99.9), method="inverted_cdf")
        excess = np.maximum(intensity - median, 0).mean() / median
        features |= {
            "intensity": math.log10(intensity.mean()),
            "excess": math.log10(1e-3 + excess),
            "peak": math.log10(peak / median),
        }
    small = reduce_cubes(image, min(len(image), 64)).astype(np.float64)
    edge = len(small)
    axis = (np.arange(edge) + 0.5) / edge - 0.5
    weights = np.exp(-0.5 * (axis[:, None] ** 2 + axis**2) / 0.18**2)
    weights /= weights.sum()
    features["core"] = float((small * weights).sum())
    if field is not None:
        common = np.sqrt(np.prod(_blurred_polarities(field, 8), axis=0)) + 1e-3
        features["line"] = float((small * common).sum() / common.sum())
    for scale in SCALES_MM:
        smooth = gaussian_filter(small, scale / pixel_mm(edge), mode="nearest")
        variance = float(((small - smooth) ** 2 * weights).sum())
        features[f"contrast_{scale}"] = math.log10(0.3 + math.sqrt(variance))
        small = smooth
    return features


def _statistics(plane: NDArray[np.uint8]) -> dict[str, float]:
    grey = plane.astype(np.float64)
    std = grey.std()
    skewness = ((grey - grey.mean()) ** 3).mean() / std**3 if std > 0 else 0.0
    percentiles = np.percentile(plane, (1, 50, 95, 99), method="inverted_cdf")
    values = [grey.mean(), std, skewness, *percentiles, grey.max()]
    return dict(zip(STATISTIC_NAMES, map(float, values), strict=True))


def _magnetic(plane: NDArray[np.uint8]) -> dict[str, float]:
    fine = reduce_cubes(plane, min(len(plane), 128))
    pixel = pixel_mm(len(fine))
    field = physical_values(fine, "magnetogram").astype(np.float64)
    square = np.ones((3, 3), dtype=bool)
    line = binary_dilation(field > 150, square) & binary_dilation(field < -150, square)
    weight = gaussian_filter(line.astype(np.float64), KERNEL_SIGMA_MM / pixel, mode="constant")
    gradient = np.hypot(*np.gradient(field, pixel))
    plus, minus = (polarity.sum() for polarity in _polarities(plane))
    cell = pixel_mm(min(len(plane), 64)) ** 2
    features = {
        "unsigned_flux": _log10_flux((plus + minus) * cell),
        "imbalance": abs(plus - minus) / (plus + minus) if plus + minus > 0 else 0.0,
        "r": _log10_flux((weight * np.abs(field)).sum() * pixel**2),
        "inversion_line": math.log10(1 + line.sum() / 2 * pixel),
        "gradient": gradient[line].max() if line.any() else 0.0,
    }
    for scale in OVERLAP_SCALES_MM:
        positive, negative = _blurred_polarities(plane, scale)
        features[f"overlap_{scale}"] = _log10_flux(np.minimum(positive, negative).sum() * cell)
        features[f"common_{scale}"] = _log10_flux(np.sqrt(positive * negative).sum() * cell)
    return features


def _polarities(plane: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    field = physical_values(plane, "magnetogram").astype(np.float64)
    field[np.abs(field) < NOISE_GAUSS] = 0
    edge = min(len(plane), 64)
    block = len(plane) // edge
    parts = (np.maximum(field, 0), np.maximum(-field, 0))
    return [part.reshape(edge, block, edge, block).mean(axis=(1, 3)) for part in parts]


def _blurred_polarities(plane: NDArray[np.uint8], scale: float) -> list[NDArray[np.float64]]:
    sigma = scale / pixel_mm(min(len(plane), 64))
    return [gaussian_filter(part, sigma, mode="nearest") for part in _polarities(plane)]


def _log10_flux(gauss_mm2: float) -> float:
    return math.log10(1e19 + 1e16 * gauss_mm2)


if __name__ == "__main__":
    main()
