"""An image file becomes a grey plane, or is rejected with the reason."""

import io
import struct
import zlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flare.errors import InputInvalid
from flare.images import planes
from flare.images.planes import ImageRejected, decode_plane, is_ignored_channel, parse_name

EXAMPLES = sorted((Path(__file__).parents[2] / "data" / "example").glob("*/*.jpg"))

GREY = np.add.outer(np.arange(256), np.arange(256)).astype(np.uint8)  # wraps: edges and slopes
SMOOTH = np.add.outer(np.arange(128).repeat(2), np.arange(128).repeat(2)).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def described(text: str) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = text
    return exif


def claiming(edge: int) -> bytes:
    """Return a PNG without pixels whose header claims edge x edge of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", edge, edge, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


JPEG = encoded(Image.fromarray(SMOOTH), "JPEG", quality=95)
SMALL_JPEG = encoded(Image.fromarray(GREY[:16, :16]), "JPEG")


def reason(data: bytes) -> str:
    with pytest.raises(ImageRejected) as rejected:
        decode_plane(data)
    assert str(rejected.value).startswith(f"{rejected.value.reason}: ")
    return rejected.value.reason


def test_a_grey_image_is_a_plane_of_its_grey_levels():
    plane = decode_plane(JPEG)
    assert (plane.dtype, plane.shape) == (np.uint8, (256, 256))
    assert np.abs(plane.astype(int) - SMOOTH).max() <= 4
    np.testing.assert_array_equal(decode_plane(encoded(Image.fromarray(GREY), "PNG")), GREY)
    assert decode_plane(SMALL_JPEG, size=16).shape == (16, 16)
    other = encoded(Image.fromarray(GREY), "JPEG", exif=described("AIA 131"))
    assert decode_plane(other).shape == (256, 256)


def grey_jpeg(text: str, image: Image.Image | None = None) -> bytes:
    return encoded(image or Image.fromarray(GREY), "JPEG", exif=described(text))


@pytest.mark.parametrize(
    ("data", "expected", "message"),
    [
        (grey_jpeg("flagged"), "flagged", "EXIF"),
        (grey_jpeg("Image is FLAGGED by the team"), "flagged", "EXIF"),
        (grey_jpeg("flagged", Image.new("L", (256, 256), 0)), "flagged", "EXIF"),  # and uniform
        *(
            (encoded(Image.fromarray(GREY).convert(mode), "JPEG"), "not grey", f"mode {mode}")
            for mode in ("RGB", "CMYK")
        ),
        *(
            (encoded(Image.new(mode, (256, 256)), "PNG"), "not grey", f"mode {mode}")
            for mode in ("RGBA", "LA", "P", "1", "I;16")
        ),
        *(
            (encoded(Image.new("L", size, 9), "JPEG"), "wrong size", f"{size[0]} x {size[1]} pix")
            for size in ((128, 128), (256, 255), (255, 256), (512, 512))
        ),
        (claiming(9000), "wrong size", "9000 x 9000"),  # more pixels than memory holds
        (claiming(50_000), "wrong size", "exceeds limit"),
        *(
            (encoded(Image.new("L", (256, 256), grey), kind), "uniform", f"every pixel is {grey}")
            for grey in (0, 128, 255)
            for kind in ("JPEG", "PNG")
        ),
        *(
            (encoded(Image.fromarray(GREY), kind), "unreadable", "cannot identify")
            for kind in ("GIF", "BMP", "TIFF", "WEBP")
        ),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_an_unusable_image_is_rejected_with_the_reason(data, expected, message):
    assert reason(data) == expected
    with pytest.raises(InputInvalid, match=message):
        decode_plane(data)


@pytest.mark.parametrize("place", [(0, 0), (128, 7), (255, 255)])
def test_one_pixel_of_another_value_makes_a_plane(place):
    pixels = np.zeros((256, 256), dtype=np.uint8)
    pixels[place] = 1
    np.testing.assert_array_equal(decode_plane(encoded(Image.fromarray(pixels), "PNG")), pixels)


def test_a_jpeg_that_was_cut_short_is_unreadable_wherever():
    data = EXAMPLES[0].read_bytes()
    for length in (*range(0, len(data), 97), *range(len(data) - 60, len(data))):
        assert reason(data[:length]) == "unreadable"


def test_an_image_whose_exif_is_damaged_is_used_without_a_word():
    # Warnings are errors here.
    whole = encoded(Image.fromarray(SMOOTH), "JPEG", exif=described("observed in " + "x" * 40))
    cut = bytearray(whole)
    place = whole.index(b"\x01\x0e") + 4  # the length of the text
    cut[place : place + 4] = b"\x7f\xff\xff\xff"
    assert np.array_equal(decode_plane(bytes(cut)), decode_plane(whole))


def by_pillow(data: bytes, size: int) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planes, "_decode_grey_jpeg", lambda *_: False)
        return decode_plane(data, size=size)


def verdict(decode, data: bytes, size: int) -> bytes | str:
    """Return the pixels, or the whole text of the rejection."""
    try:
        return decode(data, size=size).tobytes()
    except ImageRejected as error:
        return str(error)


@pytest.mark.parametrize("path", EXAMPLES[::13], ids=lambda path: path.name)
def test_an_image_of_the_example_is_decoded_fast_and_as_pillow_does(path, monkeypatch):
    monkeypatch.setattr(planes, "_decode_by_pillow", None)
    plane = decode_plane(path.read_bytes())
    np.testing.assert_array_equal(plane, np.asarray(Image.open(path)))


@given(
    seed=st.integers(0, 10**6),
    size=st.sampled_from([8, 16, 17, 31]),
    roughness=st.sampled_from([1, 2, 5, 40]),
    options=st.fixed_dictionaries(
        {},
        optional={
            "quality": st.integers(1, 100),
            "progressive": st.booleans(),
            "optimize": st.booleans(),
            "restart_marker_blocks": st.integers(0, 3),
            "comment": st.sampled_from([b"", b"taken by SDO", b"not flagged"]),
            "exif": st.sampled_from([b"", described("AIA"), described("Flagged"), b"Exif\0\0bad"]),
            "dpi": st.sampled_from([(1, 1), (300, 300)]),
        },
    ),
    mode=st.sampled_from(["L", "L", "L", "RGB", "CMYK"]),
)
def test_any_jpeg_that_pillow_writes_has_pillow_s_pixels_and_verdict(
    seed, size, roughness, options, mode
):
    coarse = np.random.default_rng(seed).integers(0, 256, (roughness, roughness), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((size, size)).convert(mode)
    data = encoded(image, "JPEG", **options)
    for asked in (size, size + 1):
        assert verdict(decode_plane, data, asked) == verdict(by_pillow, data, asked)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, len(SMALL_JPEG) - 1), st.integers(0, 255)), max_size=4))
def test_a_damaged_jpeg_is_pillow_s_plane_or_rejected_and_nothing_else(changes):
    data = bytearray(SMALL_JPEG)
    for place, byte in changes:
        data[place] = byte
    result, pillow = verdict(decode_plane, bytes(data), 16), verdict(by_pillow, bytes(data), 16)
    # Pillow refuses a few damaged segments before the pixels, which libjpeg skips.
    assert result == pillow or (isinstance(result, bytes) and isinstance(pillow, str))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_pixels_are_written_where_they_are_wanted(kind):
    data = encoded(Image.fromarray(GREY[:24, :24]), kind)
    cube = np.zeros((2, 24, 24), dtype=np.uint8)
    plane = decode_plane(data, size=24, out=cube[1])
    assert np.shares_memory(plane, cube)
    np.testing.assert_array_equal(cube[1], by_pillow(data, 24))
    assert not cube[0].any()


@pytest.mark.parametrize("ending", ["94.jpg", "1700.jpeg", "continuum.JPG", "magnetogram.png"])
def test_a_name_says_when_and_what(ending):
    expected = datetime(2012, 1, 15, 12, 34, 56), ending.partition(".")[0]
    assert parse_name(f"2012-01-15T123456__{ending}") == expected


@pytest.mark.parametrize(
    "name",
    [
        "2012-01-15T000000__1600.jpg",
        "2012-01-15T000000_131.jpg",
        "2012-13-15T000000__131.jpg",
        "2012-01-15T250000__131.jpg",
        "2012-01-15T000000__131.gif",
        "2012-01-15T000000__131.jpg.part",
        "._2012-01-15T000000__131.jpg",
        "Thumbs.db",
        "",
    ],
)
def test_any_other_name_is_not_an_image_of_a_sample(name):
    assert parse_name(name) is None


def test_1600_angstrom_is_a_channel_of_sdo_that_samples_do_not_have():
    assert is_ignored_channel("2012-01-15T000000__1600.JPG")
    assert not is_ignored_channel("2012-01-15T000000__1700.jpg")
    assert not is_ignored_channel("1600.jpg")
