"""Archives that are damaged, cut off or lie about sizes are refused in one line."""

import gzip
import io
import os
import struct
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flare.datasets.download.unpack import Limits
from flare.errors import ArchiveInvalid, DatasetInvalid

from archives_of_all_kinds import (
    FILES,
    IMAGE,
    KINDS,
    add_to_tar,
    archive_of,
    contents,
    unpack_to,
    zip_info,
)


@pytest.mark.parametrize("method", ["encrypted", zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_is_encrypted_or_compressed_in_an_unusual_way_is_refused(
    tmp_path, refused, method
):
    archive = archive_of(tmp_path / "a", "zip")
    if method == "encrypted":
        data = bytearray(archive.read_bytes())
        data[data.index(b"PK\1\2") + 8] |= 1
        archive.write_bytes(data)
    else:
        with zipfile.ZipFile(archive, "w", method) as file:
            file.writestr(IMAGE, b"x" * 100)
    assert "is encrypted, or compressed in an unusual way" in refused(archive)


def test_a_zip_that_understates_a_size_is_refused_by_what_comes(tmp_path, refused):
    archive = archive_of(tmp_path / "a", "zip", {**FILES, "training/a.txt": bytes(500_000)})
    lying = archive.read_bytes().replace(struct.pack("<L", 500_000), struct.pack("<L", 10))
    archive.write_bytes(lying)
    refused(archive)
    assert len(contents(tmp_path / "out").get("here/training/a.txt", b"")) <= 10


def test_files_of_a_zip_that_share_their_bytes_are_counted_each(tmp_path, refused):
    """Overlapping entries: one packed block under many names (Fifield, WOOT 2019)."""
    path = archive_of(tmp_path / "a", "zip", {"training/0.txt": bytes(900_000)})
    with zipfile.ZipFile(path, "a") as file:
        first = file.infolist()[0]
        for n in range(1, 20):
            clone = zip_info(f"training/{n}.txt")
            clone.CRC, clone.file_size = first.CRC, first.file_size
            clone.compress_size, clone.header_offset = first.compress_size, first.header_offset
            file.filelist.append(clone)
        file._didModify = True
    refused(path, limits=Limits(ratio_from=1_000_000))


def huge_header() -> bytes:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 4 * 2**30
    return info.tobuf() + bytes(10_240)


def negative_size(name: str) -> bytes:
    first, second = tarfile.TarInfo("training/a.csv"), tarfile.TarInfo(name)
    first.size = 512
    head = bytearray(second.tobuf(tarfile.GNU_FORMAT))
    head[124:136] = (-1024).to_bytes(12, "big", signed=True)
    head[148:156] = f"{sum(head[:148]) + 8 * 32 + sum(head[156:512]):06o}\0 ".encode()
    return first.tobuf() + b"x" * 512 + bytes(head) + bytes(10_240)


def negative_size_in_extended_header() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        add_to_tar(tar, "training/a.csv", b"x" * 512)
        info = tarfile.TarInfo("a.bin")
        info.pax_headers = {"size": "-1024"}
        tar.addfile(info)
        add_to_tar(tar, IMAGE, b"x")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (huge_header(), "claims 4294967296 bytes"),
        (negative_size("a.bin"), "claims -1024"),
        (negative_size(IMAGE), "claims -1024"),
        (negative_size_in_extended_header(), ""),
    ],
)
def test_a_tar_whose_header_claims_gigabytes_or_less_than_nothing_is_refused(
    tmp_path, refused, content, says
):
    (tmp_path / "a").write_bytes(content)
    assert says in refused(tmp_path / "a")


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_cut_off_anywhere_is_refused(tmp_path, kind):
    whole = archive_of(tmp_path / "a", kind).read_bytes()
    end = len(whole.rstrip(b"\0")) if kind == "tar" else len(whole)
    for n in {*range(1, end, max(1, end // 30)), *range(512, end, 512), end - 1}:
        (tmp_path / "a").write_bytes(whole[:n])
        with pytest.raises(ArchiveInvalid):
            unpack_to(tmp_path / str(n), tmp_path / "a")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_wrong_byte_in_a_file_is_noticed(tmp_path, refused, kind):
    archive = archive_of(tmp_path / "a", kind, {**FILES, "test/a.jpg": os.urandom(5000)})
    data = bytearray(archive.read_bytes())
    data[-3000] ^= 1
    archive.write_bytes(data)
    assert "damaged" in refused(archive)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_damaged_header_does_not_end_an_archive(tmp_path, refused, kind):
    archive = archive_of(tmp_path / "a", kind)
    data = bytearray(archive.read_bytes())
    if kind == "zip":
        data[data.rindex(b"PK\5\6") + 17] += 1  # its members would begin before the file
    else:
        data[data.index(b"SDO-full/test/meta") + 3] ^= 1
    archive.write_bytes(data)
    assert "damaged or cut off" in refused(archive)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"PK\5\6", b"PK\3\4", b"\x1f\x8b", gzip.compress(b"x", mtime=0), bytes(9999)],
)
def test_what_is_not_an_archive_is_refused(tmp_path, refused, content):
    (tmp_path / "a").write_bytes(content)
    refused(tmp_path / "a")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_wrong_bytes_end_in_one_line_or_in_files_of_the_splits(tmp_path_factory, kind, data):
    folder = tmp_path_factory.mktemp("fuzz")
    archive = archive_of(folder / "a", kind)
    content = bytearray(archive.read_bytes())
    changes = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(changes, min_size=1, max_size=8)):
        content[place] = value
    archive.write_bytes(content)
    message = ""
    try:
        unpack_to(folder / "out", archive)
    except DatasetInvalid as error:
        message = str(error)
    assert "\n" not in message
    assert {path.name for path in folder.iterdir()} == {"a", "out"}
    assert {path.name for path in (folder / "out").iterdir()} <= {"training", "test"}
