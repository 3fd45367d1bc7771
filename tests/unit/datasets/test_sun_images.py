"""FITS images: the cut around a region, against formulas of our own, and what is refused."""

import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from numpy.typing import NDArray
from PIL import Image
from sunpy.coordinates import Helioprojective
from sunpy.map import Map
from sunpy.map.header_helper import make_fitswcs_header

from flare.datasets.sun.cutout import FIELD_ARCSEC, cut, follow, full_disk, grey_image, region_image
from flare.datasets.sun.images import ImageUnusable, RawImage, SolarImage, quiet_sunpy, read_image
from flare.datasets.sun.regions import SolarRegion
from flare.sample import PIXEL_SCALES, grey_levels

from sun_images import arcsec, fits_image, rotate

TIME = datetime(2026, 4, 4, 12, tzinfo=UTC)

#: Folder of FITS images of HMI, such as those of HARP 377 (AR 11158).
REAL = os.environ.get("FLARE_REAL_FITS", "")


def read(content: bytes, **keywords: object) -> SolarImage:
    return read_image(RawImage(content, "test.fits", keywords))


def spot(values: NDArray[np.floating]) -> tuple[float, float]:
    """Return row and column of the bright spot, from the middle of the image."""
    weight = np.clip(values - np.median(values), 0.3 * np.ptp(values), None) - 0.3 * np.ptp(values)
    y, x = np.mgrid[: len(values), : len(values)] - (len(values) - 1) / 2
    return float((weight * y).sum() / weight.sum()), float((weight * x).sum() / weight.sum())


def spot_at(image: SolarImage, region: SolarRegion, pixels: int = 128) -> tuple[float, float]:
    """Return where the bright spot is in the field around a region."""
    values = cut(image.map, follow(region, image), pixels, FIELD_ARCSEC)
    return spot(np.nan_to_num(values, nan=0.0))


@pytest.mark.parametrize(
    ("channel", "roll", "latitude", "longitude", "hours"),
    [
        ("193", 0.0, 0, 0, 0),
        ("193", 0.0, 15, -60, 12),
        ("magnetogram", 179.9, -22, 60, 12),
        ("magnetogram", 179.9, 30, 75, 0),
        ("193", 0.0, -12, -84, 12),
    ],
)
def test_a_region_is_in_the_middle_of_its_field_within_a_pixel(
    channel: str, roll: float, latitude: float, longitude: float, hours: float
) -> None:
    region = SolarRegion(14397, latitude, longitude, TIME - timedelta(hours=hours))
    mark = arcsec(*rotate(latitude, longitude, hours))
    assert np.abs(spot_at(read(fits_image(channel, TIME, [mark], roll=roll)), region)).max() < 1


def test_full_resolution_is_cut_within_a_pixel_of_0_6_arcsec() -> None:
    region = SolarRegion(14397, -22, 60, TIME - timedelta(hours=12))
    mark = arcsec(*rotate(-22, 60, 12))
    content = fits_image("171", TIME, [mark], pixels=900, scale=0.6, centre=(780.0, -300.0))
    assert np.abs(spot_at(read(content), region, 512)).max() < 1


@pytest.mark.parametrize("roll", [0.0, 179.9])
def test_north_is_up_and_west_is_right(roll: float) -> None:
    region = SolarRegion(14397, 0, 10, TIME)
    x, y = arcsec(0, 10)
    content = fits_image("magnetogram", TIME, [(x + 60, y + 36)], roll=roll)
    assert spot_at(read(content), region) == pytest.approx((-36 / 2.4, 60 / 2.4), abs=1)


def test_a_region_behind_the_limb_has_no_place() -> None:
    image = read(fits_image("193", TIME))
    assert follow(SolarRegion(14397, 10, 86, TIME - timedelta(hours=24)), image) is None
    assert follow(SolarRegion(14397, 10, 86, TIME), image) is not None


def test_grey_levels_are_those_of_the_training_images() -> None:
    region = SolarRegion(14397, 0, 10, TIME)
    image = read(fits_image("193", TIME))
    scale = PIXEL_SCALES["193"]
    quiet = grey_levels(np.array([np.sqrt(scale.low * scale.high)]), "193")[0]  # of DN / 2 s
    grey = region_image(image, follow(region, image), 128)
    assert grey.dtype == np.uint8
    assert grey.shape == (128, 128)
    assert float(np.median(grey)) == pytest.approx(quiet, abs=1)
    assert list(grey_image(np.array([-300.0, 0.0, np.nan, 300.0]), "magnetogram")) == [
        0, 128, 128, 255,
    ]  # fmt: skip
    assert list(grey_image(np.array([1.0, 1e9]), "171", exposure=2.0)) == [0, 255]


def test_counts_per_second_are_not_divided_by_the_exposure_again() -> None:
    content = fits_image("193", TIME, pixels=64, EXPTIME=2.0, PIXLUNIT="DN")
    assert (read(content).exposure, read(content, BUNIT="DN/s").exposure) == (2, 1)


def test_synoptic_pixels_of_2_4_arcsec_are_too_coarse_for_a_model_of_256() -> None:
    image = read(fits_image("193", TIME))
    place = follow(SolarRegion(14397, 0, 10, TIME), image)
    with pytest.raises(ImageUnusable, match="too coarse"):
        region_image(image, place, 256)
    coarser = read(fits_image("193", TIME, pixels=512, scale=4.8))
    with pytest.raises(ImageUnusable, match=r"4\.8 arcsec are too coarse"):
        region_image(coarser, follow(SolarRegion(14397, 0, 10, TIME), coarser), 128)


def test_a_field_with_a_gap_is_refused() -> None:
    image = read(fits_image("193", TIME, pixels=600, centre=(-500.0, 0.0)))
    with pytest.raises(ImageUnusable, match=r"outside the image|no values"):
        region_image(image, follow(SolarRegion(14397, 0, 70, TIME), image), 128)


@pytest.mark.parametrize(
    ("channel", "keywords", "reason"),
    [
        ("193", {"QUALITY": 0x40000000 | 0x100}, "quality 0x00000100"),
        ("magnetogram", {"QUALITY": "0x00012c00"}, "quality 0x00002000"),
        ("193", {"QUALITY": "bad"}, "quality 'bad' is not a number"),
        ("193", {"T_OBS": "MISSING"}, "no observation time"),
        ("193", {"EXPTIME": "long"}, "no exposure time"),
        ("continuum", {"CONTENT": "LINE DEPTH"}, "ten channels"),
        ("193", {"WAVELNTH": 1600}, "ten channels"),
        ("193", {"INSTRUME": "LASCO", "TELESCOP": "SOHO"}, "ten channels"),
        ("193", {"EXPTIME": 0.0}, "no exposure time"),
        ("193", {"CTYPE1": "CRLN-CEA", "CTYPE2": "CRLT-CEA"}, "helioprojective"),
        ("continuum", {"factor": 1 / 30_000}, "limb darkening"),
    ],
)
def test_an_unusable_image_is_refused_with_a_reason(
    channel: str, keywords: dict[str, object], reason: str
) -> None:
    with pytest.raises(ImageUnusable, match=reason):
        read(fits_image(channel, TIME, pixels=64, **keywords))


@pytest.mark.parametrize("quality", [0, 72704, "0x00000400"])
def test_bits_of_near_real_time_are_no_errors(quality: object) -> None:
    image = read(fits_image("magnetogram", TIME, pixels=64, QUALITY=quality))
    assert (image.channel, image.time.replace(microsecond=0)) == ("magnetogram", TIME)


@pytest.mark.parametrize(
    ("channel", "keywords"),
    [
        ("193", {"T_OBS": "", "DATE_OBS": f"{TIME:%Y-%m-%dT%H:%M:%S}", "QUALITY": 0x40000000}),
        ("193", {"INSTRUME": "", "QUALITY": 0x40000000}),
        ("magnetogram", {"CONTENT": "", "BUNIT": "G"}),
        ("continuum", {"CONTENT": ""}),
    ],
)
def test_a_header_that_lacks_what_another_keyword_says_is_read(
    channel: str, keywords: dict[str, object]
) -> None:
    region = SolarRegion(14397, 15, -60, TIME - timedelta(hours=12))
    mark = arcsec(*rotate(15, -60, 12))
    image = read(fits_image(channel, TIME, [mark], **keywords))
    assert (image.channel, image.time.replace(microsecond=0)) == (channel, TIME)
    if channel != "continuum":  # limb
        assert np.abs(spot_at(image, region)).max() < 1


def test_compressed_files_are_read_and_damaged_ones_refused() -> None:
    content = fits_image("193", TIME, pixels=300)
    assert read(gzip.compress(content)).channel == "193"
    for part in (gzip.compress(content)[:5000], b"", b"no FITS", content[:4000]):
        with pytest.raises(ImageUnusable, match=r"damaged|no image"):
            read(part)


# Real files -------------------------------------------------------------------------------------


def test_the_real_aia_image_of_sunpy_is_read_and_drawn() -> None:
    data = pytest.importorskip("sunpy.data.test")
    path = Path(data.get_test_filepath("aia_171_level1.fits"))
    image = read(path.read_bytes())
    assert (image.channel, image.time.year) == ("171", 2011)
    grey, _ = full_disk(image)
    assert grey[512, 512] > grey[5, 5]


def test_the_real_hmi_image_of_sunpy_which_is_upside_down_is_turned() -> None:
    data = pytest.importorskip("sunpy.data.test")
    image = read(Path(data.get_test_filepath("resampled_hmi.fits")).read_bytes())
    assert image.channel == "continuum"
    centre = SkyCoord(0 * units.arcsec, 0 * units.arcsec, frame=image.map.coordinate_frame)
    ours, theirs = (
        values - values[::-1, ::-1]  # upside down, it would have the other sign
        for values in (cut(one, centre, 64, 1300.0) for one in (image.map, image.map.rotate()))
    )
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99


@pytest.mark.skipif(not REAL, reason="FLARE_REAL_FITS is not a folder of real HMI images")
def test_a_real_region_put_on_the_disk_is_cut_as_it_was(tmp_path: Path) -> None:
    (path,) = Path(REAL).glob("*.magnetogram.fits")
    content = path.read_bytes()
    with pytest.raises(ImageUnusable, match="helioprojective"):
        read(content)
    with quiet_sunpy():
        with fits.open(path) as parts:
            parts.verify("silentfix")
            patch = Map(parts[1].data, dict(parts[1].header))
        frame = Helioprojective(observer=patch.observer_coordinate, obstime=patch.reference_date)
        centre = SkyCoord(0 * units.arcsec, 0 * units.arcsec, frame=frame)
        header = make_fitswcs_header(
            (1024, 1024), centre, scale=[2.4, 2.4] * units.arcsec / units.pix,
            rotation_angle=180 * units.deg,
        )  # fmt: skip
        disk = patch.reproject_to(header)
        kept = ("INSTRUME", "TELESCOP", "BUNIT", "T_OBS", "QUALITY")
        meta = {**disk.fits_header, **{name: patch.meta[name] for name in kept}}
        fits.PrimaryHDU(disk.data, fits.Header(meta)).writeto(tmp_path / "disk.fits")
    image = read((tmp_path / "disk.fits").read_bytes())
    longitude = patch.meta["crval1"] - patch.meta["crln_obs"]
    region = SolarRegion(11158, patch.meta["crval2"], longitude, image.time)
    grey = region_image(image, follow(region, image), 128)
    # The middle of the patch, 0.03 degrees a pixel, at about 2.4 arcsec a pixel.
    shape = (round(744 * 0.509 * 0.91 / 2.4), round(377 * 0.509 * 0.97 / 2.4))
    small = np.asarray(Image.fromarray(patch.data[::-1]).resize(shape, Image.Resampling.BOX))
    rows, columns = (64 + np.array([-25, 25]) for _ in range(2))
    middle = np.array(small.shape) // 2
    expected = small[middle[0] - 25 : middle[0] + 25, middle[1] - 25 : middle[1] + 25]
    got = grey[slice(*rows), slice(*columns)]
    expected = np.clip(expected, -250, 250)
    assert np.corrcoef(got.ravel(), expected.ravel())[0, 1] > 0.7
    for wrong in (got[::-1], got[:, ::-1], got[::-1, ::-1]):
        assert np.corrcoef(wrong.ravel(), expected.ravel())[0, 1] < 0.3
