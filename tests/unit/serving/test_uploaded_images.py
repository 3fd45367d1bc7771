"""Forty images, fewer, or a zip of them: what becomes of each, and what is refused."""

import struct
import zlib

import numpy as np
import pytest
from sample_images import RAMP, TIMES, all_images, encoded, flagged, form_of, name_of, zip_of

from flare.sample import CHANNELS, CUBE_SHAPE
from serving.http.problems import Refused
from serving.uploads.arrays import Samples
from serving.uploads.images import sample_of_images
from serving.uploads.upload import Upload

Files = dict[str, bytes] | list[tuple[str, bytes]]

IMAGE = encoded(RAMP)
ONE = {name_of(3, "131"): IMAGE}
JPEG = {name_of(0, "94", "jpg"): encoded(RAMP, "JPEG")}


def read(files: Files) -> Samples:
    return sample_of_images(Upload(*form_of(files)))


def read_zip(files: dict[str, bytes], content_type: str = "application/zip") -> Samples:
    return sample_of_images(Upload(zip_of(files), content_type))


def refusal(files: Files, reader=read) -> tuple[int, str, str]:
    with pytest.raises(Refused) as raised:
        reader(files)
    assert raised.value.hint
    return raised.value.status, raised.value.code, raised.value.detail


def test_forty_images_are_a_whole_sample_each_in_its_place():
    extra = {f"{time}__1600.jpg": b"ignored, and not even an image" for time in TIMES}
    samples = read(all_images() | extra)
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
    assert np.argwhere(read(ONE).present[0]).tolist() == [[3, CHANNELS.index("131")]]


@pytest.mark.parametrize(
    ("data", "reason"), [(encoded(RAMP * 0 + 7), "uniform"), (flagged(), "flagged")]
)
def test_an_image_that_the_dataset_has_as_a_gap_is_left_out_and_named(data, reason):
    name = name_of(1, "304")
    samples = read(all_images() | {name: data})
    assert samples.left_out == ((name, reason),)
    assert not samples.present[0, 1, CHANNELS.index("304")]
    assert samples.present.sum() == 39


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
        (IMAGE[:-400], "unreadable"),
        (encoded(RAMP, "JPEG")[:900], "unreadable"),
        (b"", "unreadable"),
    ],
    ids=["2**31", "128", "RGB", "cut png", "cut jpeg", "empty"],
)
def test_an_image_that_cannot_be_used_is_refused_by_name(data, reason):
    name = name_of(2, "193")
    assert refusal(ONE | {name: data}) == (422, "bad_image", f"{name}: {reason}")


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
    status, code, detail = refusal({**ONE, name: IMAGE})
    assert (status, code) == (422, "bad_name")
    assert name in detail


WITHOUT_ONE = {name: data for name, data in all_images().items() if name != name_of(3, "94")}
OTHER_YEAR = {name.replace("2013-09-1", "2014-09-1"): data for name, data in ONE.items()}
REFUSED: dict[str, tuple[Files, str, str]] = {
    "one name twice": ([*ONE.items(), *ONE.items()], "bad_name", "two files have one name"),
    "one name in two folders": (
        [*ONE.items(), *((f"other/{name}", IMAGE) for name in ONE)],
        "bad_name",
        "there are two images of the name",
    ),
    "41 images": (all_images() | JPEG, "too_many_files", "41 images"),
    "one place twice": (WITHOUT_ONE | JPEG, "bad_image", "duplicate"),
    "two windows": (
        ONE | {name_of(0, "94"): IMAGE} | OTHER_YEAR,
        "bad_image",
        f"{next(iter(OTHER_YEAR))}: off schedule",
    ),
    "many bad images": (dict.fromkeys(all_images(), b"x"), "bad_image", "and 35 more"),
    "gaps only": (
        {name_of(3, "94"): encoded(RAMP * 0), name_of(3, "131"): flagged()},
        "all_missing",
        "all are flagged or of one value",
    ),
    "no name": ([("", b"")], "no_images", "no image of a sample"),
    "only 1600": ([(f"{TIMES[0]}__1600.jpg", b"x")], "no_images", "no image of a sample"),
    "a zip and images": ({"a.zip": zip_of(ONE), **ONE}, "mixed", "one of them a zip"),
    "two zips": ({"a.zip": zip_of(ONE), "b.zip": zip_of(ONE)}, "mixed", "one of them a zip"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_are_not_one_sample_are_refused(case):
    files, code, says = REFUSED[case]
    status, result, detail = refusal(files)
    assert (status, result) == (422, code)
    assert says in detail


def test_a_form_without_files_is_refused():
    with pytest.raises(Refused, match="no image of a sample"):
        sample_of_images(Upload(b"--x--", "multipart/form-data; boundary=x"))


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


def test_a_zip_that_unpacks_to_more_than_a_body_may_have_is_refused():
    with pytest.raises(Refused) as raised:
        sample_of_images(Upload(zip_of(ONE), max_bytes=100))
    assert (raised.value.status, raised.value.code) == (413, "too_large")


def test_a_zip_of_a_whole_dataset_is_refused():
    days = [
        f"2013-{month}-{day}T072600__131.png" for month in ("09", "10") for day in range(10, 31)
    ]
    assert refusal(dict.fromkeys(days, IMAGE), read_zip)[1] == "too_many_files"


@pytest.mark.parametrize("files", [{}, JUNK, {"inner.zip": zip_of(ONE)}])
def test_a_zip_without_images_is_refused(files):
    assert refusal(files, read_zip)[:2] == (422, "no_images")


@pytest.mark.parametrize("reader", [read, read_zip])
def test_arrays_are_sent_to_the_endpoints_of_arrays(reader):
    assert refusal({"arr_0.npy": b"\x93NUMPY"}, reader)[:2] == (415, "npy")
