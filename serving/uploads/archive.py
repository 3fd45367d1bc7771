"""Zip files in memory; nothing that one says of itself is believed.

Neither how many files it holds, nor how large they are, nor where their names lead.
"""

import io
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath, PureWindowsPath

from serving.http.problems import Refused

ZIP_MAGIC = b"PK"

#: Files and folders in a zip: a sample's images of eleven channels, and what a desktop adds.
MAX_ENTRIES = 1000
#: What common programs write. The other types are decompressed without a limit by `zipfile`.
_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENTRY_MAGIC = b"PK\1\2"  # in the zip's directory


class Archive:
    """A zip whose directory was checked; its files are unpacked one at a time, or in pieces.

    ``max_bytes`` is how much all of it may take unpacked, by the sizes that its directory states.

    Raises Refused: 400: not a zip or a damaged one; 413: too large; 422: names that lead elsewhere
    or come twice, links, a password, an uncommon compression.
    """

    def __init__(self, data: memoryview | bytes, *, max_bytes: int) -> None:
        whole = bytes(data)
        # Before `zipfile` makes an object of each: a million of them fill the memory.
        count = whole.count(_ENTRY_MAGIC)
        if count > MAX_ENTRIES:
            detail = f"the zip holds {count} files; at most {MAX_ENTRIES}"
            raise Refused(413, "too_many_files", detail, hint="send less at once")
        with _damage_refused():
            self._zip = zipfile.ZipFile(io.BytesIO(whole))
            entries = [one for one in self._zip.infolist() if not one.filename.endswith("/")]
        _check_entries(entries, max_bytes)
        self._entries = {one.filename: one for one in entries}

    @property
    def names(self) -> tuple[str, ...]:
        """The full names of the files."""
        return tuple(self._entries)

    def size(self, name: str) -> int:
        """Return the unpacked size of a file in bytes, as the directory states it."""
        return self._entries[name].file_size

    def read(self, name: str) -> bytes:
        """Unpack a file, up to the size that the directory states."""
        return next(self.pieces(name, (self.size(name),)))

    def pieces(self, name: str, sizes: Iterable[int]) -> Iterator[bytes]:
        """Unpack pieces of these sizes; they are shorter where the file ends before.

        Raises Refused: 400: the file is damaged.
        """
        with _damage_refused():
            file = self._zip.open(self._entries[name])
        with file:
            for size in sizes:
                with _damage_refused():
                    # Without a number all that is there is decompressed, and then cut.
                    piece = file.read(size)
                yield piece


@contextmanager
def _damage_refused() -> Iterator[None]:
    """Turn all that reading a hostile zip can raise into a refusal."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, OverflowError) as error:
        raise _bad_zip(f"the zip is damaged: {str(error)[:200]}", status=400) from None
    except (NotImplementedError, RuntimeError) as error:
        raise _bad_zip(f"the zip cannot be read: {str(error)[:200]}") from None


def _check_entries(entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    total = sum(one.file_size for one in entries)
    if total > max_bytes:
        detail = f"the zip unpacks to {total} bytes; at most {max_bytes}"
        raise Refused(413, "too_large", detail, hint="send less at once")
    if len({one.filename for one in entries}) < len(entries):
        raise _bad_zip("two files of the zip have one name", code="bad_name")
    for one in entries:
        name, short = one.filename, repr(one.filename[:80])
        parts, drive = PurePosixPath(name).parts, PureWindowsPath(name).drive
        if not parts or ".." in parts or name.startswith("/") or "\\" in name or drive:
            raise _bad_zip(f"the name {short} leads out of the zip", code="bad_name")
        if stat.S_ISLNK(one.external_attr >> 16):
            raise Refused(422, "bad_name", f"{short} is a link", hint="zip the files themselves")
        if one.flag_bits & 1:
            raise _bad_zip(f"{short} is encrypted")
        if one.compress_type not in _COMPRESSION:
            raise _bad_zip(f"{short} is neither stored nor deflated")


def _bad_zip(detail: str, *, status: int = 422, code: str = "bad_zip") -> Refused:
    hint = "make it with a common zip program, without a password"
    return Refused(status, code, detail, hint=hint)
