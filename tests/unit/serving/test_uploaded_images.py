"""Forty images, fewer, or a zip of them: what becomes of each, and what is refused."""

import struct
import zlib

import numpy as np
import pytest
from sample_images import (
    RAMP,
    TIMES,
    all_images,
    encoded,
    flagged,
    form_of,
    name_of,
    zip_of,
)

from flare.sample import CHANNELS, CUBE_SHAPE
from serving.http.problems import Refused
from serving.uploads.arrays import Samples
from serving.uploads.images import sample_of_images
from serving.uploads.upload import Upload

LIMIT = 10_000_000
ONE = {name_of(3, "131"): encoded(RAMP)}


def read(files: dict[str, bytes] | list[tuple[str, bytes]]) -> Samples:
    body, content_type = form_of(files)
    return sample_of_images(Upload(body, content_type, LIMIT))


def read_zip(files: dict[str, bytes], content_type: str = "application/zip") -> Samples:
    return sample_of_images(Upload(zip_of(files), content_type, LIMIT))


def refusal(files: dict[str, bytes] | list[tuple[str, bytes]]) -> tuple[str, str]:
    with pytest.raises(Refused) as raised:
        read(files)
    assert raised.value.status == 422
    assert raised.value.hint
    return raised.value.code, raised.value.detail


def test_forty_images_are_a_whole_sample_each_in_its_place():
    samples = read(all_images())
    assert samples.cubes.shape == (1, *CUBE_SHAPE)
    assert samples.present.all()
    assert samples.left_out == ()
    corner = 100 + 10 * np.arange(4)[:, None] + np.arange(10)
    np.testing.assert_array_equal(samples.cubes[0, :, :, 0, 0], corner)
    np.testing.assert_array_equal(samples.cubes[0, 2, 5, 1:], RAMP[1:])


def test_images_that_are_not_sent_are_missing():
    images = {name: data for name, data in all_images().items() if "__171" not in name}
    del images[name_of(0, "94")]
    samples = read(images)
    assert samples.present.sum() == 35
    assert not samples.present[0, :, CHANNELS.index("171")].any()
    assert not samples.cubes[0, 0, 0].any()
    assert samples.left_out == ()


def test_one_image_counts_as_the_newest_of_its_window():
    samples = read(ONE)
    assert np.argwhere(samples.present[0]).tolist() == [[3, CHANNELS.index("131")]]


def test_images_of_1600_angstrom_are_ignored():
    extra = {f"{time}__1600.jpg": b"not even an image" for time in TIMES}
    np.testing.assert_array_equal(read(all_images() | extra).cubes, read(all_images()).cubes)


@pytest.mark.parametrize(
    ("data", "reason"), [(encoded(RAMP * 0 + 7), "uniform"), (flagged(), "flagged")]
)
def test_an_image_that_the_dataset_has_as_a_gap_is_left_out_and_named(data, reason):
    name = name_of(1, "304")
    samples = read(all_images() | {name: data})
    assert samples.left_out == ((name, reason),)
    assert not samples.present[0, 1, CHANNELS.index("304")]
    assert samples.present.sum() == 39


def test_a_sample_of_gaps_only_is_refused():
    gaps = {name_of(3, "94"): encoded(RAMP * 0), name_of(3, "131"): flagged()}
    assert refusal(gaps) == (
        "all_missing",
        "no image can be used: all are flagged or of one value",
    )


def png_claiming(edge: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", edge, edge, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (png_claiming(2**31 - 1), "wrong size"),
        (encoded(RAMP[:128, :128].copy()), "wrong size"),
        (encoded(np.stack([RAMP] * 3, axis=-1)), "not grey"),
        (encoded(RAMP)[:-400], "unreadable"),
        (encoded(RAMP, "JPEG")[:900], "unreadable"),
        (b"", "unreadable"),
    ],
    ids=["2**31", "128", "RGB", "cut png", "cut jpeg", "empty"],
)
def test_an_image_that_cannot_be_used_is_refused_by_name(data, reason):
    name = name_of(2, "193")
    assert refusal(all_images() | {name: data}) == ("bad_image", f"{name}: {reason}")


def test_five_of_many_bad_images_are_named():
    code, detail = refusal(dict.fromkeys(all_images(), b"x"))
    assert code == "bad_image"
    assert detail.endswith("and 35 more")
    assert detail.count("unreadable") == 5


@pytest.mark.parametrize(
    "name",
    [
        "image.png",
        "2013-09-19T072600__131.gif",
        "2013-09-19T072600__1700A.png",
        "2013-13-19T072600__131.png",
        "2013-09-19T072600_131.png",
        "0001-01-01T000000__131.png",
        "9999-12-31T235959__131.png",
        "☀.png",
    ],
)
def test_a_name_that_is_not_of_the_dataset_is_refused(name):
    code, detail = refusal({**ONE, name: encoded(RAMP)})
    assert code == "bad_name"
    assert name in detail


def test_two_images_of_one_name_are_refused():
    (image,) = ONE.items()
    assert refusal([image, image])[0] == "bad_name"
    assert refusal([image, (f"other/{image[0]}", image[1])])[0] == "bad_name"


def test_two_images_of_one_place_are_refused():
    code, detail = refusal(all_images() | {name_of(0, "94", "jpg"): encoded(RAMP, "JPEG")})
    assert code == "too_many_files"
    del (images := dict(all_images()))[name_of(3, "94")]
    code, detail = refusal(images | {name_of(0, "94", "jpg"): encoded(RAMP, "JPEG")})
    assert code == "bad_image"
    assert detail.endswith("duplicate")


def test_images_of_two_windows_are_refused():
    other = {name.replace("2013-09-1", "2014-09-1"): data for name, data in ONE.items()}
    code, detail = refusal(ONE | {name_of(0, "94"): encoded(RAMP)} | other)
    assert code == "bad_image"
    assert detail == f"{next(iter(other))}: off schedule"


@pytest.mark.parametrize(
    "files",
    [[], [("", b"")], [(f"{TIMES[0]}__1600.jpg", b"x")]],
    ids=["none", "no name", "only 1600"],
)
def test_a_form_without_images_is_refused(files):
    body, kind = form_of(files) if files else (b"--x--", "multipart/form-data; boundary=x")
    with pytest.raises(Refused) as raised:
        sample_of_images(Upload(body, kind, LIMIT))
    assert (raised.value.status, raised.value.code) == (422, "no_images")


JUNK = {
    "__MACOSX/AR/sample/._2013-09-19T072600__131.png": b"\0\5\x16\7",
    "AR/.DS_Store": b"\0\0\0\1Bud1",
    "AR/sample/Thumbs.db": b"\xd0\xcf",
    "meta_data.csv": b"id,start,end,peak_flux\n",
}


@pytest.mark.parametrize(
    "content_type", ["application/zip", "application/x-zip-compressed", "", "Application/Zip; a=b"]
)
def test_a_zip_of_nested_folders_and_what_a_desktop_adds_is_the_same_sample(content_type):
    nested = {f"AR/sample/{name}": data for name, data in all_images().items()}
    samples = read_zip(JUNK | nested, content_type)
    np.testing.assert_array_equal(samples.cubes, read(all_images()).cubes)
    assert samples.left_out == ()


def test_a_zip_together_with_images_is_refused():
    assert refusal({"a.zip": zip_of(ONE), **ONE})[0] == "mixed"
    assert refusal({"a.zip": zip_of(ONE), "b.zip": zip_of(ONE)})[0] == "mixed"


def test_a_zip_that_unpacks_to_more_than_a_body_may_have_is_refused():
    with pytest.raises(Refused) as raised:
        sample_of_images(Upload(zip_of(ONE), "application/zip", 100))
    assert (raised.value.status, raised.value.code) == (413, "too_large")


def test_a_zip_of_a_whole_dataset_is_refused():
    dates = [f"2013-09-{day}T072600__131.png" for day in range(10, 31)]
    dates += [f"2013-10-{day}T072600__131.png" for day in range(10, 31)]
    with pytest.raises(Refused, match="42 images") as raised:
        read_zip(dict.fromkeys(dates, encoded(RAMP)))
    assert raised.value.code == "too_many_files"


@pytest.mark.parametrize("files", [{}, JUNK, {"inner.zip": zip_of(ONE)}])
def test_a_zip_without_images_is_refused(files):
    with pytest.raises(Refused) as raised:
        read_zip(files)
    assert (raised.value.status, raised.value.code) == (422, "no_images")


@pytest.mark.parametrize("reader", [read, read_zip])
def test_arrays_are_sent_to_the_endpoints_of_arrays(reader):
    with pytest.raises(Refused) as raised:
        reader({"arr_0.npy": b"\x93NUMPY"})
    assert (raised.value.status, raised.value.code) == (415, "npy")
    assert "/predict_batch" in raised.value.hint
