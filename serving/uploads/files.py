"""The files within an upload: the body itself, the parts of a form, or the entries of a zip.

All is in memory and bounded, and nothing that a zip or a form says of itself is believed: neither
how many files it holds, nor how large they are, nor where their names lead.
"""

import io
import logging
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serving.http.problems import UploadRejected

FORM, BYTES = "multipart/form-data", "application/octet-stream"
#: Types of a raw body; a client that states none sends bytes too.
NPY_TYPES = ("", BYTES, "application/x-npy", "application/npy")
ZIP_TYPES = ("application/zip", "application/x-zip-compressed")

ZIP_MAGIC, GZIP_MAGIC, NPY_MAGIC = b"PK", b"\x1f\x8b", b"\x93NUMPY"

#: The forty images of a sample, those of 1600 Angstrom and some fields.
MAX_PARTS = 64
MAX_HEADERS, MAX_HEADER_BYTES = 64, 4096
#: Blanks after a boundary (RFC 2046), and data that looks like a boundary.
MAX_PADDING, MAX_BOUNDARIES = 64, 2 * MAX_PARTS

#: Files and folders in a zip: a sample's images of eleven channels, and what a desktop adds.
MAX_ENTRIES = 1000
#: What common programs write. The other types are decompressed without a limit by `zipfile`.
_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENTRY_MAGIC = b"PK\1\2"  # in the zip's directory

_FORM_HINT = "send a form as curl -F or a browser does"
_ZIP_HINT = "make it with a common zip program, without a password"

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a damaged form is answered


def media_type(content_type: str) -> str:
    """Return a Content-Type header's type without its options."""
    return content_type.partition(";")[0].strip().lower()


def check_encoding(content_encoding: str) -> None:
    """Refuse a body that is compressed as a whole; raise UploadRejected, 415."""
    codings = {one.strip().lower() for one in content_encoding.split(",")}
    if codings - {"", "identity"}:
        raise compressed(f"the body is compressed (Content-Encoding: {content_encoding[:80]!r})")


def check_not_empty(body: bytes) -> None:
    """Refuse an empty body; raise UploadRejected, 400."""
    if not body:
        hint = "send a file: curl -F file=@sample.npy, or curl --data-binary @sample.npy"
        raise UploadRejected(400, "empty", "the body is empty", hint=hint)


def compressed(detail: str) -> UploadRejected:
    """Return the refusal of compressed data."""
    hint = "send it uncompressed, or many samples as a .npz of numpy.savez_compressed"
    return UploadRejected(415, "compressed", detail, hint=hint)


def wrong_type(kind: str, *accepted: str) -> UploadRejected:
    """Return the refusal of a Content-Type."""
    hint = f"send {' or '.join(accepted)}"
    return UploadRejected(415, "wrong_type", f"the body is of type {kind[:80]!r}", hint=hint)


@dataclass(frozen=True)
class Part:
    """One field of a form; ``filename`` is None where it is not a file. ``data`` views the body."""

    name: str
    filename: str | None
    data: memoryview


def parts_of(body: bytes, content_type: str) -> list[Part]:
    """Return the parts of the body of a ``multipart/form-data`` request (RFC 7578).

    The whole body is there, so python-multipart gives the data of each part in one piece, and
    nothing is copied.

    Raises UploadRejected: 400: it is not a form, is cut short, or has too many parts or too long
    headers.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary or len(boundary) > 200:
        raise _bad_form("the form has no boundary")
    _check_boundaries(body, b"\r\n--" + boundary)
    form = _Form(memoryview(body))
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": form.part_begin,
            "on_header_field": form.header_field,
            "on_header_value": form.header_value,
            "on_header_end": form.header_end,
            "on_part_data": form.part_data,
            "on_part_end": form.part_end,
            "on_end": form.end,
        },
        max_header_count=MAX_HEADERS,
        max_header_size=MAX_HEADER_BYTES,
    )
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise _bad_form(f"the form is damaged: {str(error)[:200]}") from None
    if not form.complete:
        raise _bad_form("the form ends before its last boundary")
    return form.parts


@dataclass
class _Form:
    """The callbacks of the parser."""

    body: memoryview
    parts: list[Part] = field(default_factory=list)
    complete: bool = False

    def part_begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise _bad_form(f"the form has more than {MAX_PARTS} parts")
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._data = self.body[:0]

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def part_data(self, _: bytes, start: int, end: int) -> None:
        self._data = self.body[start:end]

    def part_end(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data":
            raise _bad_form("a part of the form has no Content-Disposition of form-data")
        name, filename = options.get(b"name", b""), options.get(b"filename")
        self.parts.append(
            Part(
                name.decode("utf-8", "replace"),
                None if filename is None else filename.decode("utf-8", "replace"),
                self._data,
            )
        )

    def end(self) -> None:
        self.complete = True


def _check_boundaries(body: bytes, line: bytes) -> None:
    """Refuse what the parser would read byte by byte, with the interpreter's lock held.

    That is blanks after a boundary, and data that looks like very many boundaries.
    """
    at = body.find(line)
    for _ in range(MAX_BOUNDARIES):
        if at < 0:
            return
        end = at + len(line)
        padding = body[end : end + MAX_PADDING]
        if len(padding) == MAX_PADDING and not padding.strip(b" \t"):
            raise _bad_form("the form has too many blanks after a boundary")
        at = body.find(line, end)
    if at >= 0:
        raise _bad_form("the form's boundary is in its data")


def _bad_form(detail: str) -> UploadRejected:
    return UploadRejected(400, "bad_form", detail, hint=_FORM_HINT)


class Archive:
    """A zip whose directory was checked; its files are unpacked one at a time, or in pieces.

    ``max_bytes`` is how much all of it may take unpacked, by the sizes that its directory states.

    Raises UploadRejected: 400: not a zip or a damaged one; 413: too large; 422: names that lead
    elsewhere or come twice, links, a password, an uncommon compression.
    """

    def __init__(self, data: memoryview | bytes, *, max_bytes: int) -> None:
        whole = bytes(data)
        # Before `zipfile` makes an object of each: a million of them fill the memory.
        count = whole.count(_ENTRY_MAGIC)
        if count > MAX_ENTRIES:
            detail = f"the zip holds {count} files; at most {MAX_ENTRIES}"
            raise UploadRejected(413, "too_many_files", detail, hint="send less at once")
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

        Raises UploadRejected: 400: the file is damaged.
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
    except UploadRejected:  # which is a ValueError too
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, OverflowError) as error:
        raise _bad_zip(f"the zip is damaged: {str(error)[:200]}", status=400) from None
    except (NotImplementedError, RuntimeError) as error:
        raise _bad_zip(f"the zip cannot be read: {str(error)[:200]}") from None


def _check_entries(entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    total = sum(one.file_size for one in entries)
    if total > max_bytes:
        detail = f"the zip unpacks to {total} bytes; at most {max_bytes}"
        raise UploadRejected(413, "too_large", detail, hint="send less at once")
    if len({one.filename for one in entries}) < len(entries):
        raise _bad_zip("two files of the zip have one name", code="bad_name")
    for one in entries:
        name, short = one.filename, repr(one.filename[:80])
        parts, drive = PurePosixPath(name).parts, PureWindowsPath(name).drive
        if not parts or ".." in parts or name.startswith("/") or "\\" in name or drive:
            raise _bad_zip(f"the name {short} leads out of the zip", code="bad_name")
        if stat.S_ISLNK(one.external_attr >> 16):
            hint = "zip the files themselves"
            raise UploadRejected(422, "bad_name", f"{short} is a link", hint=hint)
        if one.flag_bits & 1:
            raise _bad_zip(f"{short} is encrypted")
        if one.compress_type not in _COMPRESSION:
            raise _bad_zip(f"{short} is neither stored nor deflated")


def _bad_zip(detail: str, *, status: int = 422, code: str = "bad_zip") -> UploadRejected:
    return UploadRejected(status, code, detail, hint=_ZIP_HINT)
