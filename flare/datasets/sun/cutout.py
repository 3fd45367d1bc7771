"""Follow a region across the disk and cut its field, as SDOBenchmark did.

SDOBenchmark brought images to 0.6 arcsec a pixel with the Sun's north up, cut 512 x 512 pixels
around the region, divided by the exposure, clipped, scaled to 0..255 and shrank the result to 256
pixels by bicubic interpolation; it did not correct for the instrument's degradation
(i4Ds/SDOBenchmark, dataset/data/load.py). Synoptic images have 2.4 arcsec a pixel, means of 4 x 4:
the same field has 128 pixels there, and is cut at those.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flare.datasets.sun.images import ImageUnusable, SolarImage, quiet_sunpy
from flare.datasets.sun.regions import SolarRegion
from flare.sample import IMAGE_SIZE, PIXEL_SCALES, grey_levels, reduce_cubes

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from sunpy.map import GenericMap

#: The field around a region: 512 pixels of 0.6 arcsec.
FIELD_ARCSEC = 307.2
FINE, COARSE = 512, 128  # pixels of the field in full-resolution and in synoptic images

DISK_ARCSEC, DISK_PIXELS = 2457.6, 1024  # the whole of a full-disk image, at 2.4 arcsec

#: Of pixels, for headers that give 0.5999 or 2.4009 arcsec.
_SLACK = 1.02

#: The part of a field that may lack values; beyond the limb HMI has none, which is no gap.
_MAX_GAP = 0.05


def follow(region: SolarRegion, image: SolarImage) -> "SkyCoord | None":
    """Return where a region is in an image, by differential rotation; None behind the limb.

    The place is helioprojective, as seen by the instrument. Rotation: Howard et al. 1990,
    doi:10.1007/BF00156795, which is sunpy's default.
    """
    from astropy import units
    from astropy.coordinates import SkyCoord
    from sunpy.coordinates import HeliographicStonyhurst, propagate_with_solar_surface

    with quiet_sunpy(), propagate_with_solar_surface():
        there = SkyCoord(
            region.longitude * units.deg,
            region.latitude * units.deg,
            image.map.rsun_meters,
            frame=HeliographicStonyhurst(obstime=region.time.replace(tzinfo=None)),
        )
        place = there.transform_to(image.map.coordinate_frame)
    return place if bool(place.is_visible()) else None


def cut(image: "GenericMap", centre: "SkyCoord", pixels: int, field: float) -> NDArray[np.float64]:
    """Cut a square field in arcsec, (pixels, pixels), north up: row 0 is the northernmost.

    ``centre``, in the coordinates of the image, lies in the middle, between pixels where their
    number is even. Values are interpolated bicubically, and are NaN outside the image.
    """
    from astropy import units
    from astropy.wcs import WCS
    from reproject import reproject_interp
    from sunpy.map.header_helper import make_fitswcs_header

    with quiet_sunpy():
        part = _around(image, centre, field)
        step = field / pixels * units.arcsec / units.pix
        header = make_fitswcs_header((pixels, pixels), centre, scale=units.Quantity([step, step]))
        target = WCS(header)
        shape = (pixels, pixels)
        finite = np.isfinite(part.data)  # one NaN would spread through the whole spline
        filled = np.where(finite, part.data, 0)
        values, _ = reproject_interp((filled, part.wcs), target, shape_out=shape, order="bicubic")
        if not finite.all():
            gaps = (~finite).astype(np.float32), part.wcs
            gap, _ = reproject_interp(gaps, target, shape_out=shape, order="nearest-neighbor")
            values[gap > 0] = np.nan
    return np.asarray(values[::-1], dtype=np.float64)


def _around(image: "GenericMap", centre: "SkyCoord", field: float) -> "GenericMap":
    """Return the part of an image that holds a field: interpolation reads all that it is given."""
    from astropy import units

    x, y = (float(value.to_value("pix")) for value in image.world_to_pixel(centre))
    reach = 0.75 * field / float(image.scale.axis1.to_value("arcsec/pix")) + 4
    height, width = image.data.shape
    left, right = max(x - reach, 0), min(x + reach, width - 1)
    low, high = max(y - reach, 0), min(y + reach, height - 1)
    if right - left < 2 or high - low < 2:
        raise ImageUnusable("the region is outside the image")
    return image.submap([left, low] * units.pix, top_right=[right, high] * units.pix)


def grey_image(
    values: NDArray[np.floating], channel: str, exposure: float = 1.0
) -> NDArray[np.uint8]:
    """Return grey levels uint8 of physical values of any shape, as SDOBenchmark has them.

    Values that are NaN, as HMI's are beyond the limb, become 0 counts or gauss and are then
    clipped.
    """
    scale = PIXEL_SCALES[channel]
    filled = np.nan_to_num(np.asarray(values, dtype=np.float64) / exposure, nan=0.0)
    return np.rint(grey_levels(np.clip(filled, scale.low, scale.high), channel)).astype(np.uint8)


def region_image(image: SolarImage, centre: "SkyCoord", size: int) -> NDArray[np.uint8]:
    """Return the field around a place as grey levels, (size, size), north up.

    Raises ImageUnusable: the pixels are too coarse for ``size``, or the image has a gap there.
    """
    native = image.arcsec_per_pixel
    fine = native <= FIELD_ARCSEC / FINE * _SLACK
    edge = FINE if fine else COARSE
    if native > FIELD_ARCSEC / COARSE * _SLACK or (not fine and size > COARSE):
        raise ImageUnusable(
            f"pixels of {native:.1f} arcsec are too coarse for a model of {size} pixels"
        )
    values = cut(image.map, centre, edge, FIELD_ARCSEC)
    finite = np.isfinite(values)
    if not finite.any() or (image.channel.isdigit() and finite.mean() < 1 - _MAX_GAP):
        raise ImageUnusable("no values at the region")
    grey = grey_image(values, image.channel, image.exposure)
    if fine:
        shape = (IMAGE_SIZE, IMAGE_SIZE)
        grey = np.asarray(Image.fromarray(grey).resize(shape, Image.Resampling.BICUBIC))
    if (grey == grey.flat[0]).all():
        raise ImageUnusable("all pixels at the region have one value")
    return np.asarray(reduce_cubes(np.ascontiguousarray(grey)[None], size)[0], dtype=np.uint8)


def full_disk(image: SolarImage) -> tuple[NDArray[np.uint8], float]:
    """Return the whole disk as grey levels, (1024, 1024), north up, and its width in arcsec."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    centre = SkyCoord(0 * units.arcsec, 0 * units.arcsec, frame=image.map.coordinate_frame)
    values = cut(image.map, centre, DISK_PIXELS, DISK_ARCSEC)
    return grey_image(values, image.channel, image.exposure), DISK_ARCSEC
