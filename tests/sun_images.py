"""FITS images of an invented Sun with a correct WCS, and lists of regions in SWPC's shape.

Places on the disk are worked out here by the formulas of Thompson 2006, doi:10.1051/0004-6361:
20054262, and the rotation rate of Howard et al. 1990, so that tests do not compare sunpy with
itself.
"""

import io
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits

from flare.sample import CHANNELS, PIXEL_SCALES, STEP_OFFSETS_MINUTES

B0, DISTANCE, RADIUS = -6.0, 1.496e11, 6.96e8  # degrees, metres, metres
TAI = timedelta(seconds=37)

#: Degrees west of the central meridian per day: sidereal rotation less the Earth's motion, at the
#: beginning of April.
EARTH = 0.9856


def rotate(latitude: float, longitude: float, hours: float) -> tuple[float, float]:
    s = np.sin(np.radians(latitude)) ** 2
    rate = np.degrees((2.894 - 0.428 * s - 0.370 * s**2) * 1e-6 * 86_400) - EARTH
    return latitude, longitude + rate * hours / 24


def arcsec(latitude: float, longitude: float) -> tuple[float, float]:
    """Return arcsec west and north of disk centre, as seen from B0 on the central meridian."""
    lat, lon, b0 = np.radians([latitude, longitude, B0])
    x = RADIUS * np.cos(lat) * np.sin(lon)
    y = RADIUS * (np.sin(lat) * np.cos(b0) - np.cos(lat) * np.cos(lon) * np.sin(b0))
    z = RADIUS * (np.sin(lat) * np.sin(b0) + np.cos(lat) * np.cos(lon) * np.cos(b0))
    distance = np.sqrt(x**2 + y**2 + (DISTANCE - z) ** 2)
    to_arcsec = 180 / np.pi * 3600
    return np.arctan2(x, DISTANCE - z) * to_arcsec, np.arcsin(y / distance) * to_arcsec


def fits_image(
    channel: str,
    time: datetime,
    marks: Sequence[tuple[float, float]] = (),
    *,
    pixels: int = 1024,
    scale: float = 2.4,
    centre: tuple[float, float] = (0.0, 0.0),
    roll: float = 0.0,
    factor: float = 1.0,
    **keywords: object,
) -> bytes:
    """Return a FITS image with a bright spot at each of the marks, in arcsec west and north.

    ``centre`` is the place in its middle, ``roll`` is CROTA2 in degrees; all values
    are multiplied by ``factor``.
    """
    rng = np.random.default_rng(0)
    turn = np.radians(roll)
    middle = (pixels - 1) / 2 + 0.3  # not a whole pixel
    y, x = np.mgrid[:pixels, :pixels] - middle
    west = (x * np.cos(turn) - y * np.sin(turn)) * scale + centre[0]
    north = (x * np.sin(turn) + y * np.cos(turn)) * scale + centre[1]
    limb = np.hypot(west, north) < np.degrees(np.arctan(RADIUS / DISTANCE)) * 3600
    low, high = PIXEL_SCALES[channel].low, PIXEL_SCALES[channel].high
    magnetic = channel == "magnetogram"
    quiet = 0.0 if magnetic else np.sqrt(low * high) if low > 0 else 30_000.0
    noise = rng.normal(0, 5.0 if magnetic else 0.05 * quiet, (pixels, pixels))
    values = np.where(limb, quiet, 0 if magnetic or channel == "continuum" else low) + noise
    for mark in marks:
        bump = np.exp(-((west - mark[0]) ** 2 + (north - mark[1]) ** 2) / (2 * 3.6**2))
        values += bump * (240 if magnetic else 20 * quiet if low > 0 else quiet)
    hmi = not channel.isdigit()
    seconds = 1.0 if hmi else 2.0
    header = fits.Header()
    header.update({
        "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec",
        "CRVAL1": centre[0], "CRVAL2": centre[1], "CDELT1": scale, "CDELT2": scale,
        "CRPIX1": middle + 1, "CRPIX2": middle + 1, "CROTA2": roll,
        "HGLN_OBS": 0.0, "HGLT_OBS": B0, "DSUN_OBS": DISTANCE, "RSUN_REF": RADIUS,
        "RSUN_OBS": np.degrees(np.arcsin(RADIUS / DISTANCE)) * 3600, "TELESCOP": "SDO/AIA",
    })  # fmt: skip
    if hmi:
        content = {"magnetogram": ("MAGNETOGRAM", "Gauss"), "continuum": ("CONTINUUM", "DN/s")}
        header.update({
            "TELESCOP": "SDO/HMI", "INSTRUME": "HMI_FRONT2", "CONTENT": content[channel][0],
            "BUNIT": content[channel][1], "T_OBS": f"{time + TAI:%Y.%m.%d_%H:%M:%S}_TAI",
            "QUALITY": 0x400,
        })  # fmt: skip
        values = np.where(limb, values, np.nan)
    else:
        header.update({
            "INSTRUME": "AIA_2", "WAVELNTH": int(channel), "WAVEUNIT": "angstrom",
            "PIXLUNIT": "DN", "EXPTIME": seconds, "T_OBS": f"{time:%Y-%m-%dT%H:%M:%S}Z",
            "QUALITY": 0x40000000, "LVL_NUM": 1.5,
        })  # fmt: skip
    header.update(keywords)
    stream = io.BytesIO()
    fits.PrimaryHDU((values * seconds * factor).astype(np.float32), header).writeto(stream)
    return stream.getvalue()


def region_row(number: int, latitude: float, longitude_west: float, day: str) -> dict[str, object]:
    """Return a row as SWPC writes it: four digits, longitude positive to the east."""
    north, west = "N" if latitude >= 0 else "S", "W" if longitude_west >= 0 else "E"
    return {
        "observed_date": day, "region": number % 10_000, "latitude": latitude,
        "longitude": -longitude_west,
        "location": f"{north}{abs(latitude):02.0f}{west}{abs(longitude_west):02.0f}",
        "carrington_longitude": 120, "area": 210, "spot_class": "Eki", "mag_class": "BG",
        "status": "f", "c_flare_probability": 55, "m_flare_probability": None,
    }  # fmt: skip


def write_sun(
    folder: Path,
    issue_time: datetime,
    regions: Sequence[tuple[int, float, float]],
    *,
    without: Sequence[tuple[int, str]] = (),
) -> Path:
    """Write a folder that `nowcast` reads: the list and an image of each step and channel.

    ``regions`` are number, latitude and longitude at 0 UT of the day of ``issue_time``; a spot
    marks each in every image. ``without`` are steps and channels that are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    midnight = issue_time.replace(hour=0, minute=0, second=0)
    day = f"{midnight - timedelta(days=1):%Y-%m-%d}"
    rows = [region_row(*region, day) for region in regions]
    old = region_row(4001, 5.0, 5.0, f"{midnight - timedelta(days=9):%Y-%m-%d}")
    (folder / "solar_regions.json").write_text(json.dumps([*rows, old]), encoding="utf-8")
    for step, offset in enumerate(STEP_OFFSETS_MINUTES):
        time = issue_time - timedelta(hours=12) + timedelta(minutes=offset)
        hours = (time - midnight) / timedelta(hours=1)
        marks = [arcsec(*rotate(latitude, longitude, hours)) for _, latitude, longitude in regions]
        for k, channel in enumerate(CHANNELS):
            if (step, channel) in without:
                continue
            at = time + timedelta(seconds=10 * k)
            roll = 179.9 if not channel.isdigit() else 0.0
            image = fits_image(channel, at, marks, pixels=512, roll=roll)
            (folder / f"{step}_{channel}.fits").write_bytes(image)
    return folder
