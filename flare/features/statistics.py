"""Compute grey-level statistics of images from one histogram per image.

An image has at most 256 grey levels, so 256 counts determine every mean, moment and percentile, and
the pixels are read once, whatever the number of statistics.
"""

import numpy as np
from numpy.typing import NDArray

from flare.sample import physical_values

#: What `statistics` returns, in this order; all in grey levels but the skewness, which has no unit.
STATISTIC_NAMES = ("mean", "std", "skewness", "p1", "p50", "p95", "p99", "max")

#: What `intensities` returns, in this order.
INTENSITY_NAMES = ("intensity", "excess", "peak")

_LEVELS = np.arange(256, dtype=np.float64)
_PERCENTILES = np.array([1, 50, 95, 99])


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
