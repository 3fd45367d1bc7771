"""The files in a zip that a stranger sent: in memory, bounded, and by harmless names.

Nothing that a zip says of itself is believed: neither how many files it holds, nor how large they
are.
"""

import io
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath, PureWindowsPath

from serving.uploads.rejections import UploadRejected

#: Files and folders in a zip: a sample's images of eleven channels, what a desktop leaves behind.
MAX_ENTRIES = 1000

#: What common programs write. The other types are decompressed without a limit by `zipfile`.
_PACKED_AS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENTRY_BEGINS = b"PK\1\2"  # in the zip's directory

_HINT = "make it with a common zip program, without a password"
_LESS_HINT = "send less at once"


def files_of_zip(data: memoryview | bytes, *, max_bytes: int) -> dict[str, bytes]:
    """Return the files of a zip by their full names, unpacked; raise as `open_zip` does."""
    archive = open_zip(data, max_bytes=max_bytes)
    return {name: archive.read(name) for name in archive.names}


class Archive:
    """A zip whose directory was checked; its files are unpacked one at a time, or in pieces."""

    def __init__(self, opened: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
        self._zip, self._entries = opened, {one.filename: one for one in entries}

    @property
    def names(self) -> tuple[str, ...]:
        """The full names of the files."""
        return tuple(self._entries)

    def size(self, name: str) -> int:
        """Return how many bytes a file has unpacked, by the directory."""
        return self._entries[name].file_size

    def read(self, name: str) -> bytes:
        """Unpack a file, up to the length that the directory claims."""
        return next(self.pieces(name, (self.size(name),)))

    def pieces(self, name: str, sizes: Iterable[int]) -> Iterator[bytes]:
        """Unpack pieces of these sizes; they are shorter where the file ends before.

        Raises
        ------
        UploadRejected
            400: the file is damaged.
        """
        with _damage_refused():
            file = self._zip.open(self._entries[name])
        with file:
            for size in sizes:
                with _damage_refused():
                    # Without a number all that is there is decompressed, and then cut.
                    piece = file.read(size)
                yield piece


def open_zip(data: memoryview | bytes, *, max_bytes: int) -> Archive:
    """Read and check the directory of a zip.

    Parameters
    ----------
    data
        The zip.
    max_bytes
        How much all of it may take unpacked; what the directory claims is added up.

    Raises
    ------
    UploadRejected
        400: no zip or a damaged one; 413: too much; 422: names that lead elsewhere or come twice,
        links, a password, an uncommon compression.
    """
    whole = bytes(data)
    # Before `zipfile` makes an object of each: a million of them fill the memory.
    count = whole.count(_ENTRY_BEGINS)
    if count > MAX_ENTRIES:
        detail = f"the zip holds {count} files; at most {MAX_ENTRIES}"
        raise UploadRejected(413, "too_many_files", detail, hint=_LESS_HINT)
    with _damage_refused():
        archive = zipfile.ZipFile(io.BytesIO(whole))
        entries = [one for one in archive.infolist() if not one.filename.endswith("/")]
        _check(entries, max_bytes)
    return Archive(archive, entries)


@contextmanager
def _damage_refused() -> Iterator[None]:
    """Turn all that reading a hostile zip can raise into a refusal."""
    try:
        yield
    except UploadRejected:  # which is a ValueError too
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, OverflowError) as error:
        detail = f"the zip is damaged: {str(error)[:200]}"
        raise UploadRejected(400, "bad_zip", detail, hint=_HINT) from None
    except (NotImplementedError, RuntimeError) as error:
        detail = f"the zip cannot be read: {str(error)[:200]}"
        raise UploadRejected(422, "bad_zip", detail, hint=_HINT) from None


def _check(entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    claimed = sum(one.file_size for one in entries)
    if claimed > max_bytes:
        detail = f"the zip unpacks to {claimed} bytes; at most {max_bytes}"
        raise UploadRejected(413, "too_large", detail, hint=_LESS_HINT)
    if len({one.filename for one in entries}) < len(entries):
        raise UploadRejected(422, "bad_name", "two files of the zip have one name", hint=_HINT)
    for one in entries:
        name = one.filename
        parts = PurePosixPath(name).parts
        windows = PureWindowsPath(name)
        if not parts or ".." in parts or name.startswith("/") or "\\" in name or windows.drive:
            detail = f"the name {name[:80]!r} leads out of the zip"
            raise UploadRejected(422, "bad_name", detail, hint=_HINT)
        if stat.S_ISLNK(one.external_attr >> 16):
            detail = f"{name[:80]!r} is a link"
            raise UploadRejected(422, "bad_name", detail, hint="zip the files themselves")
        if one.flag_bits & 1:
            detail = f"{name[:80]!r} is encrypted"
            raise UploadRejected(422, "bad_zip", detail, hint=_HINT)
        if one.compress_type not in _PACKED_AS:
            detail = f"{name[:80]!r} is neither stored nor deflated"
            raise UploadRejected(422, "bad_zip", detail, hint=_HINT)
