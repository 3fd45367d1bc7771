"""What a line-of-sight magnetogram says of a region's power to flare.

The measures are proxies. Fields beyond +-250 G are cut off in these images, nothing is corrected
for the projection near the limb, and scales are those at disk centre: an image is 307.2 arcsec
across, so a pixel is 2.4 arcsec or 1.74 Mm at 128 pixels (1.2 arcsec at 256).

R, the flux near strong-gradient polarity inversion lines: Schrijver 2007, ApJL 655, L117,
doi:10.1086/511857.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from flare.features.statistics import histograms
from flare.sample import physical_values

#: What `magnetic_proxies` returns, in this order.
PROXY_NAMES = ("unsigned_flux", "imbalance", "r", "inversion_line", "gradient")

FIELD_OF_VIEW_ARCSEC = 307.2  # 512 pixels of 0.6 arcsec
MM_PER_ARCSEC = 0.725  # at disk centre, from 1 au

#: Schrijver takes 150 G. Lower here, since averaging blocks weakens the narrow fields at a line.
STRONG_FIELD_GAUSS = 100.0
KERNEL_FWHM_MM = 15.0
NOISE_GAUSS = 30.0  # three sigma of HMI's 45 s magnetograms

_GAUSS = physical_values(np.arange(256, dtype=np.uint8), "magnetogram")
_COUNTED = np.where(np.abs(_GAUSS) >= NOISE_GAUSS, _GAUSS, 0.0).astype(np.float64)
_POSITIVE = int(np.flatnonzero(_GAUSS >= STRONG_FIELD_GAUSS)[0])  # the least grey level of it
_NEGATIVE = int(np.flatnonzero(_GAUSS <= -STRONG_FIELD_GAUSS)[-1])


def magnetic_proxies(planes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute the proxies of magnetograms.

    Parameters
    ----------
    planes
        Grey levels, shape (P, S, S).

    Returns
    -------
    Shape (P, 5):

    - ``unsigned_flux``: log10(1 + sum of |B| from 30 G on x pixel area), in G Mm^2 = 1e16 Mx
    - ``imbalance``: |sum of B| / sum of |B|, 0 where the polarities balance, 1 where one is alone
    - ``r``: log10(1 + R), R in G Mm^2 being |B| summed with a weight that falls off from the
      lines where fields of +-100 G and more touch (Gaussian of 15 Mm FWHM); 0 without one
    - ``inversion_line``: log10(1 + length of those lines in Mm)
    - ``gradient``: the largest change of B on those lines, in G / Mm; 0 without one
    """
    proxies = np.empty((len(planes), len(PROXY_NAMES)))
    counts = histograms(planes)
    pixel_mm = FIELD_OF_VIEW_ARCSEC * MM_PER_ARCSEC / planes.shape[-1]
    unsigned = (counts * np.abs(_COUNTED)).sum(axis=1)  # not `@`: see `statistics`
    net = np.abs((counts * _COUNTED).sum(axis=1))
    proxies[:, 0] = np.log10(1 + unsigned * pixel_mm**2)
    proxies[:, 1] = np.divide(net, unsigned, out=np.zeros_like(net), where=unsigned > 0)
    for row, plane in zip(proxies, planes, strict=True):
        row[2:] = _inversion_line(plane, pixel_mm)
    return proxies


def _inversion_line(plane: NDArray[np.uint8], pixel_mm: float) -> tuple[float, float, float]:
    """Return log10(1 + R), log10(1 + length) and the largest gradient of one magnetogram."""
    positive, negative = plane >= _POSITIVE, plane <= _NEGATIVE
    if not positive.any() or not negative.any():
        return 0.0, 0.0, 0.0
    line = _dilate(positive) & _dilate(negative)
    n_pixels = int(line.sum())
    if n_pixels == 0:
        return 0.0, 0.0, 0.0
    field = _GAUSS[plane]
    kernel = _half_gaussian(KERNEL_FWHM_MM / pixel_mm)
    near = _around(line, len(kernel) - 1)
    weight = _smear(line[near].astype(np.float32), kernel)
    r = float((weight * np.abs(field[near])).sum(dtype=np.float64)) * pixel_mm**2
    # Where two polarities meet, the line found by dilation is two pixels wide.
    length = n_pixels / 2 * pixel_mm
    down, right = np.gradient(field, pixel_mm)
    gradient = float(np.hypot(down, right)[line].max())
    return math.log10(1 + r), math.log10(1 + length), gradient


def _dilate(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Grow a mask by one pixel in all eight directions."""
    rows = mask.copy()
    rows[1:] |= mask[:-1]
    rows[:-1] |= mask[1:]
    grown = rows.copy()
    grown[:, 1:] |= rows[:, :-1]
    grown[:, :-1] |= rows[:, 1:]
    return grown


def _around(mask: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """Return the smallest rectangle that holds a mask and a margin, within the image."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
        slice(max(columns[0] - margin, 0), columns[-1] + margin + 1),
    )


def _smear(image: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convolve along both axes with a symmetric kernel, given from its centre outwards.

    By shifted sums: as a product of matrices it is as short, but the threads that BLAS then starts
    make it ten times slower on a machine whose cores are taken.
    """
    for _ in range(2):
        smeared = kernel[0] * image
        for shift, weight in enumerate(kernel[1:], start=1):
            smeared[shift:] += weight * image[:-shift]
            smeared[:-shift] += weight * image[shift:]
        image = np.ascontiguousarray(smeared.T)
    return image


@cache
def _half_gaussian(fwhm: float) -> NDArray[np.float32]:
    """Return a Gaussian from its centre to three sigma; both halves together sum to one."""
    sigma = fwhm / math.sqrt(8 * math.log(2))
    half = np.exp(-0.5 * (np.arange(math.ceil(3 * sigma) + 1) / sigma) ** 2)
    return np.asarray(half / (2 * half.sum() - half[0]), dtype=np.float32)
