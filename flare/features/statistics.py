"""Measure images: grey-level statistics, linear intensities, and contrasts at several scales.

An image has at most 256 grey levels, so 256 counts determine every mean, moment and percentile, and
the pixels are read once, whatever the number of statistics.

A small flaring region is not brighter than a large quiet one, but its corona has finer and stronger
contrasts. Contrast is the root mean square of grey levels between two Gaussian blurs, weighted with
a Gaussian about the centre, where SDOBenchmark's cut-outs have their region: other regions lie at
the edge. Grey levels of AIA are logarithms, so a contrast is a relative one. Scales are Mm at disk
centre. All images are averaged down to 64 pixels first (3.5 Mm), so that contrasts hardly depend on
the image size; the finest band is what lies below ``SCALES_MM[0]``.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from flare.sample import physical_values, reduce_cubes

#: What `statistics` returns, in this order; all in grey levels but the skewness, which has no unit.
STATISTIC_NAMES = ("mean", "std", "skewness", "p1", "p50", "p95", "p99", "max")

#: What `intensities` returns, in this order.
INTENSITY_NAMES = ("intensity", "excess", "peak")

_LEVELS = np.arange(256, dtype=np.float64)
_PERCENTILES = np.array([1, 50, 95, 99])

FIELD_OF_VIEW_ARCSEC = 307.2  # 512 pixels of 0.6 arcsec
MM_PER_ARCSEC = 0.725  # at disk centre, from 1 au

#: Standard deviations of the blurs.
SCALES_MM = (4, 8, 16, 32)

#: What `structure` returns, in this order.
STRUCTURE_NAMES = ("core", *(f"contrast_{scale}" for scale in SCALES_MM))

WORKING_SIZE = 64
_CENTRE = 0.18  # standard deviation of the weights as a share of the edge: 40 Mm
_FLOOR = 0.3  # grey levels: rounding to whole levels alone makes a contrast of 0.29


def histograms(planes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count the grey levels 0..255 of each plane: (P, 256) from (P, H, W)."""
    counts = np.empty((len(planes), 256), dtype=np.int64)
    for row, plane in zip(counts, planes, strict=True):
        row[:] = np.bincount(plane.ravel(), minlength=256)
    return counts


def statistics(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the statistics of planes from their histograms: (P, 8) from (P, 256).

    ``std`` is that of the pixels (divided by N), ``skewness`` the third
    standardised moment, 0 for a uniform plane. A percentile is the lowest grey level that at least
    that share of the pixels does not exceed (numpy's ``inverted_cdf``).
    """
    n_pixels = counts.sum(axis=1)
    # Sums over an axis, not products of matrices: BLAS rounds a row differently in another batch.
    mean = (counts * _LEVELS).sum(axis=1) / n_pixels
    deviation = _LEVELS - mean[:, None]  # (P, 256)
    variance = (counts * deviation**2).sum(axis=1) / n_pixels
    third = (counts * deviation**3).sum(axis=1) / n_pixels
    std = np.sqrt(variance)
    skewness = np.divide(third, std**3, out=np.zeros_like(third), where=std > 0)
    cumulative = counts.cumsum(axis=1)
    # Whole numbers on both sides, so that no rounding moves a percentile by a level.
    reached = 100 * cumulative[:, None, :] >= _PERCENTILES[:, None] * n_pixels[:, None, None]
    percentiles = reached.argmax(axis=-1)  # (P, 4)
    largest = (cumulative == n_pixels[:, None]).argmax(axis=1)
    return np.column_stack([mean, std, skewness, percentiles, largest])


def intensities(counts: NDArray[np.int64], channel: str) -> NDArray[np.float64]:
    """Compute measures of linear intensity from histograms of one of AIA's channels: (P, 3).

    Grey levels are logarithms, and their mean hardly sees a small bright core. In log10:

    - ``intensity``: mean in DN/s
    - ``excess``: mean of what lies above the median, in units of the median, + 1e-3
    - ``peak``: 99.9th percentile (``inverted_cdf``) in units of the median
    """
    values = physical_values(_LEVELS, channel).astype(np.float64)  # (256,)
    n_pixels = counts.sum(axis=1)
    cumulative = counts.cumsum(axis=1)
    median, peak = (
        values[(1000 * cumulative >= share * n_pixels[:, None]).argmax(axis=1)]
        for share in (500, 999)
    )
    mean = (counts * values).sum(axis=1) / n_pixels
    above = np.maximum(values - median[:, None], 0)  # (P, 256)
    excess = (counts * above).sum(axis=1) / n_pixels / median
    return np.asarray(np.log10(np.column_stack([mean, 1e-3 + excess, peak / median])))


def shrunk(planes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return grey levels (..., S, S) averaged down to at most 64 pixels an edge."""
    return reduce_cubes(planes, min(planes.shape[-1], WORKING_SIZE)).astype(np.float32)


def structure(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure images in grey levels, (..., S, S) as ``shrunk`` returns them: (..., 5).

    - ``core``: mean grey level about the centre
    - ``contrast_4`` to ``contrast_32``: log10 of 0.3 grey levels + the contrast from one scale to
      the next, the first without a lower end
    """
    weights = _centre_weights(images.shape[-1])
    measures = [(images * weights).sum(axis=(-2, -1))]
    for scale in SCALES_MM:
        smooth = blur(images, scale)
        variance = (np.square(images - smooth) * weights).sum(axis=(-2, -1))
        measures.append(np.log10(_FLOOR + np.sqrt(variance)))
        images = smooth
    return np.stack(measures, axis=-1).astype(np.float64)


def pixel_mm(size: int) -> float:
    """Return the edge of a pixel in Mm at disk centre, of images of so many pixels."""
    return FIELD_OF_VIEW_ARCSEC * MM_PER_ARCSEC / size


def blur(images: NDArray[np.float32], scale_mm: float) -> NDArray[np.float32]:
    """Convolve images (..., S, S) with a Gaussian of a standard deviation in Mm.

    Edge pixels are repeated outside. As two products of matrices per image, which at 64 pixels is
    ten times as fast as a filter; each image has its own, so a result depends on no other image.
    """
    kernel = _kernel(images.shape[-1], scale_mm)
    return np.asarray(kernel @ images @ kernel.T)


@cache
def _kernel(size: int, scale_mm: float) -> NDArray[np.float32]:
    sigma = scale_mm / pixel_mm(size)
    unit = np.eye(size)
    return np.asarray(gaussian_filter1d(unit, sigma, axis=0, mode="nearest"), dtype=np.float32)


@cache
def _centre_weights(size: int) -> NDArray[np.float32]:
    axis = (np.arange(size) + 0.5) / size - 0.5
    profile = np.exp(-0.5 * (axis / _CENTRE) ** 2)
    weights = profile[:, None] * profile
    return np.asarray(weights / weights.sum(), dtype=np.float32)
