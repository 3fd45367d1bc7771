"""The parts of a form that was uploaded, as views of the body: nothing is copied or put on disk.

python-multipart parses: the whole body is there, so that it gives each part's data in one piece.
"""

import logging
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serving.uploads.rejections import UploadRejected

#: A sample's forty images, those of 1600 Å beside them, and some fields.
MAX_PARTS = 64
MAX_HEADERS, MAX_HEADER_BYTES = 64, 4096

#: Blanks behind a boundary (RFC 2046), and boundaries, which may look like one without being it.
MAX_PADDING, MAX_BOUNDARIES = 64, 2 * MAX_PARTS

# A damaged form is the client's matter, and answered as such.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

_HINT = "send a form as curl -F or a browser does"


@dataclass(frozen=True)
class Part:
    """One field of a form; ``filename`` is None where it is no file. ``data`` views the body."""

    name: str
    filename: str | None
    data: memoryview


def parts_of(body: bytes, content_type: str) -> list[Part]:
    """Cut the body of a ``multipart/form-data`` request into its parts (RFC 7578).

    Raises
    ------
    UploadRejected
        400: it is no form, is cut short, or has too many parts or too long headers.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary or len(boundary) > 200:
        raise _rejected("the form has no boundary")
    _check_boundaries(body, b"\r\n--" + boundary)
    form = _Form(memoryview(body))
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": form.begin,
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
        raise _rejected(f"the form is damaged: {str(error)[:200]}") from None
    if not form.ended:
        raise _rejected("the form ends before its last boundary")
    return form.parts


@dataclass
class _Form:
    """What the parser reports of a form."""

    body: memoryview
    parts: list[Part] = field(default_factory=list)
    ended: bool = False

    def begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise _rejected(f"the form has more than {MAX_PARTS} parts")
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
            raise _rejected("a part of the form has no Content-Disposition of form-data")
        name, filename = options.get(b"name", b""), options.get(b"filename")
        self.parts.append(
            Part(
                name.decode("utf-8", "replace"),
                None if filename is None else filename.decode("utf-8", "replace"),
                self._data,
            )
        )

    def end(self) -> None:
        self.ended = True


def _check_boundaries(body: bytes, line: bytes) -> None:
    """Refuse what the parser would read byte by byte, with the interpreter's lock held.

    That is blanks behind a boundary, and data that looks like very many boundaries.
    """
    at = body.find(line)
    for _ in range(MAX_BOUNDARIES):
        if at < 0:
            return
        end = at + len(line)
        padding = body[end : end + MAX_PADDING]
        if len(padding) == MAX_PADDING and not padding.strip(b" \t"):
            raise _rejected("the form has too many blanks behind a boundary")
        at = body.find(line, end)
    if at >= 0:
        raise _rejected("the form's boundary is in its data")


def _rejected(detail: str) -> UploadRejected:
    return UploadRejected(400, "bad_form", detail, hint=_HINT)
