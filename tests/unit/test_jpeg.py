"""The fast decoder has Pillow's verdict and Pillow's pixels, whatever the file."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flare.images import jpeg, planes
from flare.images.jpeg import decode_ordinary
from flare.images.planes import ImageRejected, decode_plane

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "data" / "example").glob("*/*.jpg"))


def verdict(decode, data: bytes, size: int) -> bytes | str:
    """Return the pixels, or the whole text of the rejection."""
    try:
        return decode(data, size=size).tobytes()
    except ImageRejected as error:
        return str(error)


def by_pillow(data: bytes, *, size: int) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "decode_jpeg", None)
        return decode_plane(data, size=size)


def assert_same_verdict(data: bytes, size: int) -> None:
    assert verdict(decode_plane, data, size) == verdict(by_pillow, data, size)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def described(text: str) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = text
    return exif.tobytes()


def drawn(seed: int, size: int, roughness: int) -> Image.Image:
    """Return an image from smooth to white noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (roughness, roughness), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size, size))


SMALL = encoded(drawn(0, 24, 9), quality=90, exif=described("AIA 131"))


@pytest.mark.parametrize("path", EXAMPLES[::5], ids=lambda path: path.name)
def test_an_image_of_the_example_is_decoded_fast_and_as_pillow_does(path):
    data = path.read_bytes()
    plane = decode_ordinary(data, 256)
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
            "comment": st.sampled_from([b"", b"taken by SDO"]),
            "exif": st.sampled_from([b"", described("AIA"), described("Flagged"), b"Exif\0\0bad"]),
            "dpi": st.sampled_from([(1, 1), (300, 300)]),
        },
    ),
    mode=st.sampled_from(["L", "L", "L", "RGB", "CMYK"]),
)
def test_any_jpeg_that_pillow_writes_has_the_same_verdict(seed, size, roughness, options, mode):
    data = encoded(drawn(seed, size, roughness).convert(mode), **options)
    assert_same_verdict(data, size)
    assert_same_verdict(data, size + 1)


@given(st.integers(0, len(SMALL)), st.binary(max_size=3))
def test_a_file_that_was_cut_has_the_same_verdict(kept, more):
    assert_same_verdict(SMALL[:kept] + more, 24)


@settings(max_examples=400)
@given(
    st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_a_damaged_file_has_the_same_verdict(changes):
    data = bytearray(SMALL)
    for place, byte in changes:
        data[place] = byte
    assert_same_verdict(bytes(data), 24)


@given(st.binary(max_size=60), st.integers(2, len(SMALL)))
def test_bytes_put_into_a_file_leave_the_same_verdict(more, place):
    assert_same_verdict(SMALL[:place] + more + SMALL[place:], 24)


@pytest.mark.parametrize("step", [1, 37])
def test_no_length_that_an_example_is_cut_to_passes(step):
    data = EXAMPLES[0].read_bytes()
    lengths = range(len(data) - 60, len(data)) if step == 1 else range(0, len(data), step)
    for kept in lengths:
        with pytest.raises(ImageRejected, match="unreadable"):
            decode_plane(data[:kept])


def test_pixels_go_where_they_are_wanted():
    cube = np.zeros((2, 24, 24), dtype=np.uint8)
    plane = decode_plane(SMALL, size=24, out=cube[1])
    assert np.shares_memory(plane, cube)
    np.testing.assert_array_equal(cube[1], by_pillow(SMALL, size=24))
    assert not cube[0].any()


def test_pixels_that_pillow_decodes_go_there_too():
    image = drawn(1, 24, 7)
    out = np.zeros((24, 24), dtype=np.uint8)
    decode_plane(encoded(image, "PNG"), size=24, out=out)
    np.testing.assert_array_equal(out, np.asarray(image))


def test_without_simplejpeg_everything_is_decoded_all_the_same(monkeypatch):
    wanted = decode_plane(SMALL, size=24)
    monkeypatch.setattr(jpeg, "decode_jpeg", None)
    assert decode_ordinary(SMALL, 24) is None
    np.testing.assert_array_equal(decode_plane(SMALL, size=24), wanted)


def test_pillow_is_not_asked_about_ordinary_files(monkeypatch):
    monkeypatch.setattr(planes, "_decode_by_pillow", None)
    assert decode_plane(SMALL, size=24).shape == (24, 24)
