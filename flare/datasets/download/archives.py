"""Read the members of a zip, tar or tar.gz, and believe nothing that its headers claim."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from flare.errors import ArchiveInvalid, FlareError
from flare.files import size_text

#: No header of a tar, and no list of a zip's files, is larger: 370,000 files take about 60 MB.
_MAX_TAR_HEADER, _MAX_ZIP_READ = 2**20, 128 * 2**20

_CHUNK = 2**18


@dataclass(frozen=True)
class Member:
    """One entry of an archive.

    ``kind`` is ``file``, ``folder`` or ``link or device``; ``size`` is what its header says.
    """

    name: str
    kind: str
    size: int
    open: Callable[[], IO[bytes] | None]


def members_of(path: Path, max_bytes: int) -> Iterator[Member]:
    """Yield the members of an archive, whose format is recognised by its first bytes.

    ``max_bytes`` is the size to which a tar.gz may unpack, skipped members included.
    """
    with path.open("rb") as raw:
        head = raw.read(tarfile.BLOCKSIZE)
        raw.seek(0)
        if head[:4] in (b"PK\3\4", b"PK\5\6"):
            with _ZipFile(path) as file, zipfile.ZipFile(file) as archive:
                yield from (_zip_member(archive, info) for info in archive.infolist())
        elif head[:2] == b"\x1f\x8b":
            with gzip.open(raw) as unpacked:
                yield from _tar_members(_BoundedStream(unpacked, max_bytes))
        elif head[257:262] == b"ustar":
            yield from _tar_members(_BoundedStream(raw, path.stat().st_size))
        else:
            raise ArchiveInvalid("it is not a zip, tar or tar.gz")


@contextmanager
def damage_as_archive_invalid() -> Iterator[None]:
    """Turn what the readers of zip, tar and gzip raise into one error."""
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
        ValueError,
        IndexError,
    ) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArchiveInvalid(f"it is damaged or cut off ({first})") from error


class _ZipFile(io.FileIO):
    """A zip file whose headers cannot ask for more than the memory holds."""

    def read(self, size: int | None = -1, /) -> Any:
        if size is not None and size > _MAX_ZIP_READ:
            raise ArchiveInvalid(f"a header of it claims {size} bytes")
        return super().read(size)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    name = info.orig_filename  # as it is stored: zipfile's own name ends at a zero byte
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveInvalid(f"its member {name!r} is encrypted, or compressed in an unusual way")
    if info.header_offset < 0:
        raise ArchiveInvalid(f"it is damaged or cut off ({name!r} lies before its beginning)")
    kind = "folder" if info.is_dir() else "file"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "link or device"
    return Member(name, kind, info.file_size, lambda: archive.open(info))


class _BoundedStream:
    """What tarfile needs of a stream; it refuses more bytes than a dataset can have."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, max_bytes: int):
        self._file, self._max_bytes, self._position = file, max_bytes, 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._position += len(data)
        if self._position > self._max_bytes:
            raise ArchiveInvalid(f"it unpacks to more than {size_text(self._max_bytes)}")
        return data


class _StrictTarInfo(tarfile.TarInfo):
    """A header of a tar; tarfile takes a damaged one for the end, and believes any length."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_StrictTarInfo":
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # zeros: the end
            raise
        except tarfile.HeaderError as error:
            raise ArchiveInvalid(f"it is damaged or cut off ({error})") from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_StrictTarInfo":
        info = super().frombuf(buf, encoding, errors)
        if info.size < 0 or (info.size > _MAX_TAR_HEADER and not (info.isreg() or info.isdir())):
            raise ArchiveInvalid(f"a header of it claims {info.size} bytes")
        return info


def _tar_members(stream: _BoundedStream) -> Iterator[Member]:
    # As a stream ("r|") tarfile never seeks backwards, whatever sizes the headers claim.
    fileobj = cast("IO[bytes]", stream)
    with tarfile.open(fileobj=fileobj, mode="r|", tarinfo=_StrictTarInfo) as archive:
        while (info := archive.next()) is not None:
            yield _tar_member(archive, info)
            archive.members = []  # type: ignore[attr-defined]  # or it would hold all of them
        while stream.read(_CHUNK):
            pass  # gzip compares its checksum at the very end


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    kind = "folder" if info.isdir() else "link or device"
    if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
        kind = "file"
    return Member(info.name, kind, info.size, lambda: archive.extractfile(info))
