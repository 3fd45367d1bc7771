"""Compute magnetic proxies of flare productivity from line-of-sight magnetograms.

Fields beyond +-250 G are cut off in these images, nothing is corrected
for the projection near the limb, and lengths are those at disk centre.

- R, the unsigned flux near strong-gradient polarity inversion lines: Schrijver 2007, ApJL 655,
  L117, doi:10.1086/511857.
- Polarity overlap, the flux that both polarities have in the same place once it is blurred: the
  same idea without thresholds, so that it changes smoothly and hardly with the pixel size;
  compare the effective connected field of Georgoulis and Rust 2007, doi:10.1086/518718.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from flare.features.statistics import WORKING_SIZE, blur, pixel_mm
from flare.sample import physical_values, reduce_cubes

#: Standard deviations of the blurs in which polarities overlap.
OVERLAP_SCALES_MM = (4, 8, 16)

WEIGHTS_SCALE_MM = 8

#: What `magnetic_proxies` returns, in this order.
PROXY_NAMES = (
    "unsigned_flux",
    "imbalance",
    "r",
    "inversion_line",
    "gradient",
    *(f"overlap_{scale}" for scale in OVERLAP_SCALES_MM),
    *(f"common_{scale}" for scale in OVERLAP_SCALES_MM),
)

MX_PER_GAUSS_MM2 = 1e16

#: Added to fluxes before the logarithm: Schrijver finds no M-class flare below R = 1e19 Mx, and
#: without it the regions with R = 0 would lie three decades from all others.
FLOOR_MX = 1e19
STRONG_FIELD_GAUSS = 150.0  # Schrijver 2007
KERNEL_SIGMA_MM = 15.0 / np.sqrt(8 * np.log(2))  # 15 Mm full width at half maximum
NOISE_GAUSS = 30.0  # three sigma of HMI's 45 s magnetograms

_LINE_SIZE = 128  # pixels of 1.74 Mm, near those of MDI (1.4 Mm) for which R was defined
_GAUSS = physical_values(np.arange(256, dtype=np.uint8), "magnetogram")
_POSITIVE = np.where(_GAUSS >= NOISE_GAUSS, _GAUSS, np.float32(0))
_NEGATIVE = np.where(_GAUSS <= -NOISE_GAUSS, -_GAUSS, np.float32(0))


def unsigned_flux(gauss: NDArray[np.floating], pixel: float) -> NDArray[np.float64]:
    """Return the unsigned magnetic flux in Mx of fields (..., H, W) with square pixels in Mm."""
    total = np.abs(gauss).sum(axis=(-2, -1), dtype=np.float64)
    return np.asarray(total * pixel**2 * MX_PER_GAUSS_MM2)


def strong_inversion_line(gauss: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return where fields beyond +-150 G touch, both dilated by 3 x 3 pixels: (..., H, W)."""
    neighbours = (1,) * (gauss.ndim - 2) + (3, 3)
    positive = maximum_filter(gauss > STRONG_FIELD_GAUSS, neighbours)
    negative = maximum_filter(gauss < -STRONG_FIELD_GAUSS, neighbours)
    return np.asarray(positive & negative)


def schrijver_r(gauss: NDArray[np.float32], pixel: float) -> NDArray[np.float64]:
    """Return Schrijver's R in Mx of fields (P, H, W) with square pixels in Mm.

    The weight of the unsigned field falls off from the strong inversion lines with a Gaussian of
    15 Mm full width at half maximum.
    """
    sigma = KERNEL_SIGMA_MM / pixel
    line = strong_inversion_line(gauss).astype(np.float32)
    weight = gaussian_filter(line, (0, sigma, sigma), mode="constant")
    return unsigned_flux(weight * gauss, pixel)


def polarity_overlap(
    positive: NDArray[np.float32], negative: NDArray[np.float32], scale_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the lesser of both polarities, and their geometric mean, once they are blurred.

    ``positive`` and ``negative`` are the unsigned field of each polarity in gauss, (..., S, S),
    images of 307 arcsec; ``scale_mm`` is the standard deviation of the blur.
    """
    plus, minus = blur(positive, scale_mm), blur(negative, scale_mm)
    return np.minimum(plus, minus), np.sqrt(plus * minus)


def polarities(planes: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the unsigned field of both polarities in gauss, each (P, s, s), s at most 64.

    Pixels are separated by sign before they are averaged, so that small opposite polarities do not
    cancel and the flux is that of the image.
    """
    return _averaged(_POSITIVE[planes]), _averaged(_NEGATIVE[planes])


def magnetic_proxies(planes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute the proxies of magnetograms, (P, 11) of grey levels (P, S, S).

    Fluxes are log10(1e19 + x), x in Mx.

    - ``unsigned_flux``: of the pixels from 30 G on
    - ``imbalance``: absolute net flux over unsigned flux, 0 where the polarities balance, 1 where
      one is alone
    - ``r``: R as published, at 128 pixels at most
    - ``inversion_line``: log10(1 + length in Mm) of the lines where strong polarities touch
    - ``gradient``: the largest change of B on those lines, in G / Mm; 0 without one
    - ``overlap_4`` to ``overlap_16``: flux of the weaker of the two polarities in each place,
      blurred with so many Mm
    - ``common_4`` to ``common_16``: the same of their geometric mean
    """
    fine = _GAUSS[reduce_cubes(planes, min(planes.shape[-1], _LINE_SIZE))]
    fine_pixel = pixel_mm(fine.shape[-1])
    positive, negative = polarities(planes)
    pixel = pixel_mm(positive.shape[-1])
    plus, minus = unsigned_flux(positive, pixel), unsigned_flux(negative, pixel)
    unsigned = plus + minus
    line = strong_inversion_line(fine)
    down, right = np.gradient(fine, fine_pixel, axis=(1, 2))
    gradient = np.where(line, np.hypot(down, right), 0).max(axis=(1, 2))
    # Where two polarities meet, the line found by dilation is two pixels wide.
    length = line.sum(axis=(1, 2)) / 2 * fine_pixel
    overlaps = [polarity_overlap(positive, negative, scale) for scale in OVERLAP_SCALES_MM]
    return np.column_stack(
        [
            _log10_flux(unsigned),
            np.divide(np.abs(plus - minus), unsigned, out=np.zeros_like(plus), where=unsigned > 0),
            _log10_flux(schrijver_r(fine, fine_pixel)),
            np.log10(1 + length),
            gradient,
            *(_log10_flux(unsigned_flux(weaker, pixel)) for weaker, _ in overlaps),
            *(_log10_flux(unsigned_flux(common, pixel)) for _, common in overlaps),
        ]
    )


def overlap_weights(planes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return weights where the polarities of magnetograms overlap, (P, s, s).

    They sum to one, and are uniform where nothing overlaps.
    """
    _, common = polarity_overlap(*polarities(planes), WEIGHTS_SCALE_MM)
    common += np.float32(1e-3)  # gauss
    return np.asarray(common / common.sum(axis=(-2, -1), keepdims=True))


def _log10_flux(mx: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log10(FLOOR_MX + mx))


def _averaged(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average blocks of (P, S, S) down to at most 64 pixels an edge."""
    block = max(images.shape[-1] // WORKING_SIZE, 1)
    parts = [images[:, i::block, j::block] for i in range(block) for j in range(block)]
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total / np.float32(block**2)
