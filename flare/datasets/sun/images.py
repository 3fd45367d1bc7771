"""Full-disk images of AIA and HMI as FITS: which channel, when, and whether they can be used.

What cannot be used is refused with a reason, and then counted as missing.
"""

import gzip
import io
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from flare.errors import InputInvalid
from flare.files import digest
from flare.sample import CHANNELS

if TYPE_CHECKING:
    from sunpy.map import GenericMap

#: Bits of QUALITY that are set in near-real-time images without an error in them. AIA: bit 30,
#: near real time. HMI: no cosmic-ray list (0x400) and what else 72704 = 0x11c00 consists of.
HARMLESS_QUALITY = {"AIA": 0x40000000, "HMI": 0x11C00}

#: Keywords of the layout of pixels in a file; astropy has applied them to the values.
_LAYOUT = ("BSCALE", "BZERO", "BLANK", "SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2")
_GZIP = b"\x1f\x8b"  # at the beginning of a compressed file
_NO_VALUE = (None, "", "MISSING", "Invalid KeyLink", "nan", "-nan")

#: Images of hmi.Ic have tens of thousands of counts; without limb darkening they are near 1.
_LEAST_CONTINUUM = 1000.0

#: What reading a damaged FITS file raises, of a damaged compressed one too.
DAMAGED = (OSError, EOFError, zlib.error)


class ImageUnusable(InputInvalid):
    """A FITS image that cannot be used; the message is the reason, in a few words."""


@dataclass(frozen=True)
class RawImage:
    """A FITS file, with keywords that its header lacks: JSOC keeps those of HMI apart."""

    content: bytes
    source: str
    keywords: Mapping[str, Any]


@dataclass(frozen=True)
class SolarImage:
    """A full-disk image in its own physical units, with its time in UTC and its exposure in s.

    ``exposure`` is 1 where values are counts already divided by it, and for HMI.
    """

    channel: str
    time: datetime
    map: "GenericMap"
    exposure: float
    source: str
    digest: str

    @property
    def arcsec_per_pixel(self) -> float:
        """The size of a pixel."""
        return float(self.map.scale.axis1.to_value("arcsec/pix"))


def read_image(raw: RawImage) -> SolarImage:
    """Read a FITS file.

    Raises ImageUnusable: it is damaged, of another instrument, has bad quality, or lacks what is
    needed to find a place in it.
    """
    from sunpy.map import Map

    data, header = _read_fits(raw)
    channel, time = channel_of(header), time_of(header)
    if channel is None:
        raise ImageUnusable("not an image of the ten channels")
    if time is None:  # sunpy would take the present time
        raise ImageUnusable("no observation time")
    check_quality(header)
    for name in ("T_OBS", "DATE-OBS"):
        if header.get(name) in _NO_VALUE:
            header[name] = time.replace(tzinfo=None).isoformat()
    with quiet_sunpy():
        try:
            image = Map(data, header)
            image.observer_coordinate  # noqa: B018 - raises where the header has none
            helioprojective = image.coordinate_system.axis1.startswith("HPLN")
        except Exception as error:  # sunpy raises errors of many kinds for a bad header
            raise ImageUnusable(f"header: {error}") from error
    if not helioprojective:
        raise ImageUnusable("not a full-disk image in helioprojective coordinates")
    if channel == "continuum" and not np.nanmax(data) >= _LEAST_CONTINUUM:
        raise ImageUnusable("continuum without limb darkening; the models know hmi.Ic")
    return SolarImage(
        channel, time, image, _exposure(image, channel), raw.source, digest(raw.content)
    )


def channel_of(header: Mapping[str, Any]) -> str | None:
    """Return which of ``CHANNELS`` an image of AIA or HMI is; None for any other."""
    instrument = _instrument(header)
    if instrument == "AIA":
        wavelength = str(header.get("WAVELNTH", "")).split(".")[0]
        return wavelength if wavelength in CHANNELS else None
    if instrument != "HMI":
        return None
    about, unit = (str(header.get(name, "")).lower() for name in ("CONTENT", "BUNIT"))
    if "magnetogram" in about or unit in ("g", "gauss", "mx/cm^2"):
        return "magnetogram"
    counts = not about and unit.startswith("dn")  # as HMI's line depth, which says so in CONTENT
    return "continuum" if "continuum" in about or counts else None


def _instrument(header: Mapping[str, Any]) -> str:
    names = f"{header.get('INSTRUME', '')} {header.get('TELESCOP', '')}".upper()
    return next((name for name in HARMLESS_QUALITY if name in names), "")


def check_quality(header: Mapping[str, Any]) -> None:
    """Raise ImageUnusable if QUALITY has a bit that means an error; without QUALITY, do nothing."""
    if header.get("QUALITY") in _NO_VALUE:
        return
    try:
        quality = int(str(header["QUALITY"]).removesuffix(".0"), 0) & 0xFFFFFFFF
    except ValueError as error:
        raise ImageUnusable(f"quality {header['QUALITY']!r} is not a number") from error
    bad = quality & ~HARMLESS_QUALITY[_instrument(header)]
    if bad:
        raise ImageUnusable(f"quality {bad:#010x}")


def time_of(header: Mapping[str, Any]) -> datetime | None:
    """Return the time of an image in UTC from its header alone; None where it has none."""
    from sunpy.time import parse_time

    for name in ("T_OBS", "DATE-OBS", "DATE_OBS", "T_REC"):
        if header.get(name) not in _NO_VALUE:
            try:
                result: datetime = parse_time(str(header[name])).utc.to_datetime(timezone=UTC)
            except ValueError:
                continue
            return result
    return None


@contextmanager
def quiet_sunpy() -> Iterator[None]:
    """Silence warnings of headers that lack what is not needed; errors are raised as ever.

    Nor are tables of the Earth's rotation downloaded: no place on the Sun needs them.
    """
    from astropy.utils.iers import conf

    with warnings.catch_warnings(), conf.set_temp("auto_download", False):
        warnings.simplefilter("ignore")
        yield


def _read_fits(raw: RawImage) -> tuple[np.ndarray[Any, np.dtype[np.float32]], dict[str, Any]]:
    """Return the first two-dimensional image of a file, and its header with the keywords."""
    from astropy.io import fits

    with quiet_sunpy():
        try:
            zipped = raw.content.startswith(_GZIP)
            content = gzip.decompress(raw.content) if zipped else raw.content
            with fits.open(io.BytesIO(content)) as parts:
                parts.verify("silentfix+ignore")
                image = next((part for part in parts if getattr(part, "is_image", False)
                              and part.data is not None and part.data.ndim == 2), None)  # fmt: skip
                if image is None:
                    raise ImageUnusable("no image in the file")
                data = np.asarray(image.data, dtype=np.float32)
                header = dict(image.header)
        except ImageUnusable:
            raise
        except (*DAMAGED, fits.VerifyError, ValueError, TypeError, IndexError, KeyError) as error:
            raise ImageUnusable(f"damaged: {error}") from error
    header |= {name: value for name, value in raw.keywords.items() if value not in _NO_VALUE}
    return data, {name: value for name, value in header.items() if name not in _LAYOUT}


def _exposure(image: "GenericMap", channel: str) -> float:
    """Return the seconds by which values must be divided to be DN/s."""
    per_second = "s" in str(image.unit or "").replace("/", " ").split()
    if not channel.isdigit() or per_second:
        return 1.0
    seconds = image.meta.get("exptime")
    if not isinstance(seconds, int | float) or not seconds > 0:
        raise ImageUnusable("no exposure time")
    return float(seconds)
