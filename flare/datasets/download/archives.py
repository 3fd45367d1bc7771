"""Zip, tar and tar.gz as one thing: a row of members, read with nothing believed.

Every format can lie about itself. What is read goes through `Guarded`, which counts bytes and
refuses what only a hostile archive asks for.
"""

import gzip
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Literal, cast

from flare.datasets.download.guarded import Guarded
from flare.errors import ArchiveInvalid, FlareError

#: No header of a tar, and no list of a zip's files, is larger: 370,000 files take about 60 MB.
_LARGEST_TAR_READ = 2**20
_LARGEST_ZIP_READ = 128 * 2**20

_BLOCK = 512
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class Member:
    """One entry of an archive.

    ``size`` is what its header says of its unpacked bytes; ``packed`` of its packed ones, None
    where the format packs all files together. ``special`` names what a link or device is.
    """

    name: str
    kind: Literal["file", "folder", "special"]
    size: int
    packed: int | None
    open: Callable[[], IO[bytes]]
    special: str = ""


@dataclass(frozen=True)
class Listing:
    """The members in their order; ``known`` holds all of them where the archive has a list."""

    members: Iterator[Member]
    known: tuple[Member, ...] | None


@contextmanager
def open_archive(path: Path, *, most_bytes: int) -> Iterator[Listing]:
    """Open an archive of any of the three formats, told by its first bytes.

    Parameters
    ----------
    most_bytes
        Unpacked bytes of a tar.gz beyond which it is refused.

    Raises
    ------
    ArchiveInvalid
        It is none of them, encrypted, damaged or cut off; also while its members are read.
    """
    with ExitStack() as stack:
        stack.enter_context(_damage_told())
        raw = stack.enter_context(path.open("rb"))
        head = raw.read(_BLOCK)
        raw.seek(0)
        if head[:4] in (b"PK\3\4", b"PK\5\6"):
            yield _zip_listing(Guarded(raw, largest_read=_LARGEST_ZIP_READ))
        elif head[:2] == b"\x1f\x8b":
            unpacked = stack.enter_context(gzip.open(raw))
            yield _tar_listing(unpacked, most_bytes)
        elif head[257:262] == b"ustar":
            yield _tar_listing(raw, most_bytes)
        else:
            raise ArchiveInvalid("it is no zip, tar or tar.gz")


@contextmanager
def _damage_told() -> Iterator[None]:
    """Turn what the three formats' readers raise into one error."""
    try:
        yield
    except FlareError:
        raise
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        struct.error,
        EOFError,
        NotImplementedError,
        OverflowError,
        ValueError,  # tarfile's and zipfile's, where they do not look before they convert
        IndexError,
    ) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArchiveInvalid(f"it is damaged or cut off ({first})") from error


def _zip_listing(file: Guarded) -> Listing:
    archive = zipfile.ZipFile(cast("IO[bytes]", file))  # it reads, seeks and tells
    members = tuple(_zip_member(archive, info) for info in archive.infolist())
    return Listing(iter(members), members)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    if info.flag_bits & 1:
        raise ArchiveInvalid(f"its member {info.filename!r} is encrypted")
    if info.compress_type not in _ZIP_METHODS:
        raise ArchiveInvalid(f"its member {info.filename!r} is packed in an unusual way")
    mode = info.external_attr >> 16
    kind: Literal["file", "folder", "special"] = "folder" if info.is_dir() else "file"
    special = ""
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind, special = "special", "link" if stat.S_ISLNK(mode) else "device"
    # The name as it is stored: zipfile's own ends at a zero byte.
    return Member(
        info.orig_filename,
        kind,
        info.file_size,
        info.compress_size,
        lambda: archive.open(info),
        special,
    )


def _tar_listing(file: BufferedIOBase, most_bytes: int) -> Listing:
    return Listing(_tar_members(file, most_bytes), None)


def _tar_members(file: BufferedIOBase, most_bytes: int) -> Iterator[Member]:
    guarded = Guarded(file, largest_read=_LARGEST_TAR_READ, forward=True, most_bytes=most_bytes)
    with tarfile.open(fileobj=cast("IO[bytes]", guarded), mode="r:") as archive:
        while (info := archive.next()) is not None:
            yield _tar_member(archive, info)
            archive.members = []  # type: ignore[attr-defined]  # it would keep all of them
        # tarfile takes a damaged or missing header for the end; the end is a block of zeros.
        if guarded.last_read != bytes(_BLOCK):
            raise ArchiveInvalid("it is damaged or cut off (no end of the tar)")
        while guarded.read(_LARGEST_TAR_READ):
            pass  # gzip compares its checksum at the very end


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    def opened() -> IO[bytes]:
        content = archive.extractfile(info)
        if content is None:
            raise ArchiveInvalid(f"its member {info.name!r} has no content")
        return content

    if info.isdir():
        return Member(info.name, "folder", 0, None, opened)
    if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
        return Member(info.name, "file", info.size, None, opened)
    special = "link" if info.issym() or info.islnk() else "device or the like"
    return Member(info.name, "special", 0, None, opened, special)
