"""Measure the contrast of an image's centre at several scales: loops and moss of a region.

A small flaring region is not brighter than a large quiet one, but its corona has finer and stronger
contrasts. Contrast is the root mean square of grey levels between two Gaussian blurs, weighted with
a Gaussian about the centre, where SDOBenchmark's cut-outs have their region: other regions lie at
the edge. Grey levels of AIA are logarithms, so a contrast is a relative one.

Scales are Mm at disk centre. All images are averaged down to 64 pixels first (3.5 Mm), so that the
measures hardly depend on the image size; the finest band is what lies below ``SCALES_MM[0]``.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from flare.sample import reduce_cubes

FIELD_OF_VIEW_ARCSEC = 307.2  # 512 pixels of 0.6 arcsec
MM_PER_ARCSEC = 0.725  # at disk centre, from 1 au

#: Standard deviations of the blurs.
SCALES_MM = (4, 8, 16, 32)

#: What `structure` returns, in this order.
STRUCTURE_NAMES = ("core", *(f"contrast_{scale}" for scale in SCALES_MM))

WORKING_SIZE = 64
_CENTRE = 0.18  # standard deviation of the weights as a share of the edge: 40 Mm
_FLOOR = 0.3  # grey levels: rounding to whole levels alone makes a contrast of 0.29


def shrunk(planes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return grey levels (..., S, S) averaged down to at most 64 pixels an edge."""
    return reduce_cubes(planes, min(planes.shape[-1], WORKING_SIZE)).astype(np.float32)


def structure(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure images in grey levels, (..., S, S), as ``shrunk`` returns them.

    Returns
    -------
    Shape (..., 5):

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
