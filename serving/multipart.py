"""The parts of a form that was uploaded, as views of the body: nothing is copied or put on disk."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serving.rejections import UploadRejected

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

#: A sample's forty images, those of 1600 Å beside them, and some fields.
MAX_PARTS = 64
MAX_HEADER_BYTES = 4096

_HINT = "send a form as curl -F or a browser does"


@dataclass(frozen=True)
class Part:
    """One field of a form; ``filename`` is None where it is no file. ``data`` views the body."""

    name: str
    filename: str | None
    data: memoryview


def parts_of(body: bytearray, content_type: str) -> list[Part]:
    """Cut the body of a ``multipart/form-data`` request into its parts.

    Raises
    ------
    UploadRejected
        400: it is no form, is cut short, or has too many parts or too long headers.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary or len(boundary) > 200:
        raise UploadRejected(400, "bad_form", "the form has no boundary", hint=_HINT)
    # Before a parser in Python stops at each of a million.
    if body.count(b"\r\n--" + boundary) > MAX_PARTS + 1:
        raise _too_many()
    reader = _Reader()
    parser = MultipartParser(boundary, reader.callbacks())
    try:
        parser.write(body)  # type: ignore[arg-type]  # a bytearray has what it uses of bytes
        parser.finalize()
    except FormParserError as error:
        raise UploadRejected(400, "bad_form", f"the form is damaged: {error}", hint=_HINT) from None
    if not reader.ended:
        detail = "the form ends before its last boundary"
        raise UploadRejected(400, "bad_form", detail, hint=_HINT)
    view = memoryview(body)
    return [_part(headers, view[start:end]) for headers, start, end in reader.found]


class _Reader:
    """Notes where each part begins and ends, and its headers."""

    def __init__(self) -> None:
        self.found: list[tuple[dict[str, bytes], int, int]] = []
        self.ended = False
        self._headers: dict[str, bytes] = {}
        self._field, self._value = bytearray(), bytearray()
        self._start = self._end = -1

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add(self._field, data, start, end),
            "on_header_value": lambda data, start, end: self._add(self._value, data, start, end),
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._all,
        }

    def _begin(self) -> None:
        if len(self.found) >= MAX_PARTS:
            raise _too_many()
        self._headers, self._start, self._end = {}, -1, -1

    def _add(self, text: bytearray, data: bytes, start: int, end: int) -> None:
        if len(text) + end - start > MAX_HEADER_BYTES or len(self._headers) > MAX_PARTS:
            raise UploadRejected(400, "bad_form", "the form's headers are too long", hint=_HINT)
        text += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _data(self, _data: bytes, start: int, end: int) -> None:
        # In pieces, but of one body that came whole: they lie one behind the other.
        self._start = start if self._start < 0 else self._start
        self._end = end

    def _part_end(self) -> None:
        self.found.append((self._headers, max(self._start, 0), max(self._end, 0)))

    def _all(self) -> None:
        self.ended = True


def _part(headers: dict[str, bytes], data: memoryview) -> Part:
    kind, options = parse_options_header(headers.get("content-disposition"))
    name = options.get(b"name", b"").decode("utf-8", "replace")
    filename = options.get(b"filename")
    if kind != b"form-data":
        detail = "a part of the form has no Content-Disposition of form-data"
        raise UploadRejected(400, "bad_form", detail, hint=_HINT)
    return Part(name, None if filename is None else filename.decode("utf-8", "replace"), data)


def _too_many() -> UploadRejected:
    return UploadRejected(400, "bad_form", f"the form has more than {MAX_PARTS} parts", hint=_HINT)
