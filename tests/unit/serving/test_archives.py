"""Zips: what common programs write is read, and a hostile zip takes little memory."""

import io
import stat
import struct
import tracemalloc
import zipfile

import pytest

from serving.http.problems import Refused
from serving.uploads.archive import MAX_ENTRIES, Archive


def files_of_zip(data: bytes, *, max_bytes: int) -> dict[str, bytes]:
    archive = Archive(data, max_bytes=max_bytes)
    return {name: archive.read(name) for name in archive.names}


FILES = {"AR/sample/a.jpg": bytes(range(256)) * 9, "AR/sample/b.jpg": b"", "c.txt": b"hello"}
LIMIT = 100_000


def zipped(
    files: dict[str, bytes] | list[tuple[str, bytes]], packed_as: int = zipfile.ZIP_DEFLATED
) -> bytearray:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packed_as) as archive:
        for name, data in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, data)
    return bytearray(file.getvalue())


def directory_of(data: bytearray) -> int:
    """Return where the first entry of a zip's directory begins."""
    return data.index(b"PK\1\2")


def refusal(data: bytes, *, max_bytes: int = LIMIT) -> tuple[int, str]:
    with pytest.raises(Refused) as raised:
        files_of_zip(data, max_bytes=max_bytes)
    assert raised.value.detail
    assert raised.value.hint
    assert len(str(raised.value)) < 500
    return raised.value.status, raised.value.code


@pytest.mark.parametrize("packed_as", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_come_back_by_their_full_names(packed_as):
    assert files_of_zip(zipped(FILES, packed_as), max_bytes=LIMIT) == FILES


def test_the_sum_of_the_stated_sizes_is_bounded():
    two = {"a": bytes(LIMIT // 2), "b": bytes(LIMIT // 2 + 1)}
    assert refusal(zipped(two)) == (413, "too_large")
    assert files_of_zip(zipped(two), max_bytes=LIMIT + 1) == two


def memory_of(data: bytes) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            files_of_zip(data, max_bytes=LIMIT)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("packed_as", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_that_claims_to_be_small_is_not_unpacked(packed_as):
    bomb = zipped({"a": bytes(30_000_000)}, packed_as)
    place = directory_of(bomb) + 24
    bomb[place : place + 4] = struct.pack("<I", 1000)
    assert memory_of(bytes(bomb)) < 500_000


def stating(size: int) -> bytearray:
    """Return a zip of one file of nine bytes whose directory states another size."""
    data = zipped({"a": b"123456789"})
    place = directory_of(data) + 24
    data[place : place + 4] = struct.pack("<I", size)
    return data


def test_a_file_that_is_larger_than_its_stated_size_is_a_damaged_zip():
    assert refusal(stating(8)) == (400, "bad_zip")


def test_a_file_that_is_smaller_than_its_stated_size_is_read_to_its_end():
    assert files_of_zip(stating(10), max_bytes=LIMIT) == {"a": b"123456789"}


def test_a_view_a_comment_and_folders_are_read_too():
    file = io.BytesIO(b"before")
    file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("AR/", b"")
        archive.writestr("AR/a", b"x")
        archive.comment = b"made by hand"
    assert files_of_zip(memoryview(file.getvalue()), max_bytes=LIMIT) == {"AR/a": b"x"}
    assert files_of_zip(zipped({}), max_bytes=LIMIT) == {}


def test_files_that_share_their_bytes_still_count_each():
    """A bomb needs no lies: many entries may point to the same packed bytes."""
    data = zipped({"a": bytes(LIMIT // 2)})
    begin, end = directory_of(data), data.index(b"PK\5\6")
    entry = bytes(data[begin:end])
    entries = b"".join(entry[:-1] + letter.encode() for letter in "abc")
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 3, 3, len(entries), begin, 0)
    assert refusal(bytes(data[:begin]) + entries + tail) == (413, "too_large")


def test_a_thousand_files_are_read_and_one_more_is_too_many():
    files = [(f"{n}", b"") for n in range(MAX_ENTRIES + 1)]
    assert len(files_of_zip(zipped(files[:-1]), max_bytes=LIMIT)) == MAX_ENTRIES
    assert refusal(zipped(files)) == (413, "too_many_files")


def test_a_directory_of_very_many_files_is_not_even_read():
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", *[0] * 8, 0, 0, 0, 1, *[0] * 4, 0, 0) + b"a"
    entries = entry * 100_000
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, len(entries), 0, 0)
    data = entries + tail
    assert refusal(data) == (413, "too_many_files")
    assert memory_of(data) < 100_000


@pytest.mark.parametrize(
    "name",
    ["../a", "AR/../../a", "/etc/passwd", "//host/share/a", "a\\b", "..\\a", "C:/a", "C:a", "\0a"],
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    # Of what is written after a zero byte zipfile keeps nothing: an empty name is none.
    data = zipped({"x" * len(name): b"x"})
    assert refusal(data.replace(b"x" * len(name), name.encode())) == (422, "bad_name")


def linked() -> bytes:
    link = zipfile.ZipInfo("a.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    return file.getvalue()


def changed(place: int, value: int) -> bytes:
    """Return a zip with another byte in the entry of its first file."""
    data = zipped(FILES)
    data[directory_of(data) + place] = value
    return bytes(data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_links_and_two_files_of_one_name_are_refused():
    assert refusal(linked()) == (422, "bad_name")
    assert refusal(zipped([("a", b"1"), ("a", b"2")])) == (422, "bad_name")


@pytest.mark.parametrize(
    ("place", "value"),
    [(8, 1), (10, zipfile.ZIP_BZIP2), (10, zipfile.ZIP_LZMA), (10, 9), (10, 97), (6, 64), (6, 255)],
)
def test_encryption_an_uncommon_compression_and_a_newer_format_are_refused(place, value):
    assert refusal(changed(place, value)) == (422, "bad_zip")


def test_a_wrong_checksum_is_a_damaged_zip():
    data = zipped({"a": b"pixels"}, zipfile.ZIP_STORED)
    assert refusal(data.replace(b"pixels", b"pixelS")) == (400, "bad_zip")


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\3\4", b"PK\5\6", b"garbage" * 99, b"\x1f\x8b"])
def test_bytes_that_are_not_a_zip_are_a_damaged_zip(data):
    assert refusal(data) == (400, "bad_zip")


def test_a_zip_that_is_cut_anywhere_is_a_damaged_zip():
    data = bytes(zipped(FILES))
    for end in range(len(data)):
        assert refusal(data[:end]) == (400, "bad_zip")
