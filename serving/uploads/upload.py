"""One upload: the parts of its form, and what it states of its pixels, times and region."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from flare.errors import InputInvalid
from flare.forecast_facts import SampleFacts, Window, parse_region, parse_time
from flare.images.grey_scale import FRACTION, LEVEL, Scale
from serving.http.problems import Refused

FORM, BYTES = "multipart/form-data", "application/octet-stream"

#: The forty images of a sample, those of 1600 Angstrom and some fields.
MAX_PARTS = 64
MAX_HEADERS, MAX_HEADER_BYTES = 64, 4096
#: How often data may look like a boundary.
MAX_BOUNDARIES = 2 * MAX_PARTS
#: More blanks after a boundary (RFC 2046) than are accepted.
_PADDED = re.compile(rb"[ \t]{64}")

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a damaged form is answered

TIMES = ("issue_time", "valid_from", "valid_to")
REGION = "active_region"
#: What the query or the fields of a form may state.
STATEMENTS = ("scale", *TIMES, REGION)


@dataclass(frozen=True)
class Part:
    """One field of a form; ``filename`` is None where it is not a file. ``data`` views the body."""

    name: str
    filename: str | None
    data: memoryview


@dataclass(frozen=True)
class Upload:
    """What a request sent.

    ``max_bytes`` is the size of the largest body, ``stated`` what the query states: texts by name,
    in the order in which they came.
    """

    body: bytes
    content_type: str = ""
    max_bytes: int = 2**26
    stated: dict[str, list[str]] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """The type of the body without its options."""
        return self.content_type.partition(";")[0].strip().lower()

    def parts(self, *types: str) -> list[Part]:
        """Return the parts of a form, or the body as the one part ``file``.

        Raises Refused: 400: the body is empty or a damaged form; 415: it is neither a form nor of
        one of these types, nor bytes.
        """
        if not self.body:
            hint = "send a file: curl -F file=@sample.npy, or curl --data-binary @sample.npy"
            raise Refused(400, "empty", "the body is empty", hint=hint)
        if self.media_type == FORM:
            return parts_of(self.body, self.content_type)
        if self.media_type not in ("", BYTES, *types):
            detail = f"the body is of type {self.media_type[:80]!r}"
            raise Refused(415, "wrong_type", detail, hint=f"send {' or '.join((FORM, *types))}")
        return [Part("file", None, memoryview(self.body))]

    def statements(self, parts: Sequence[Part]) -> dict[str, list[str]]:
        """Return what the query and the fields of the form state."""
        texts = {name: list(self.stated.get(name, ())) for name in STATEMENTS}
        for part in parts:
            if part.name in texts:
                texts[part.name].append(bytes(part.data[:80]).decode("latin-1"))
        return texts


def compressed(detail: str) -> Refused:
    """Return the refusal of compressed data."""
    hint = "send it uncompressed, or many samples as a .npz of numpy.savez_compressed"
    return Refused(415, "compressed", detail, hint=hint)


def check_encoding(content_encoding: str) -> None:
    """Refuse a body that is compressed as a whole; raise Refused, 415."""
    codings = {one.strip().lower() for one in content_encoding.split(",")}
    if codings - {"", "identity"}:
        raise compressed(f"the body is compressed (Content-Encoding: {content_encoding[:80]!r})")


def parts_of(body: bytes, content_type: str) -> list[Part]:
    """Return the parts of the body of a ``multipart/form-data`` request (RFC 7578).

    The whole body is there, so python-multipart gives the data of each part in one piece, and
    nothing is copied.

    Raises Refused: 400: it is not a form, is cut short, or has too many parts or too long headers.
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


class _Form:
    """The callbacks of python-multipart while it reads a form."""

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self.parts: list[Part] = []
        self.complete = False

    def part_begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise _bad_form(f"the form has more than {MAX_PARTS} parts")
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._data = self._body[:0]

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def part_data(self, _: bytes, start: int, end: int) -> None:
        self._data = self._body[start:end]

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
    if body.count(line) > MAX_BOUNDARIES:
        raise _bad_form("the form's boundary is in its data")
    at = body.find(line)
    while at >= 0:
        if _PADDED.match(body, at + len(line)):
            raise _bad_form("the form has too many blanks after a boundary")
        at = body.find(line, at + len(line))


def _bad_form(detail: str) -> Refused:
    return Refused(400, "bad_form", detail, hint="send a form as curl -F or a browser does")


def stated_scale(texts: Sequence[str]) -> Scale | None:
    """Return the scale that is stated, if any.

    Raises Refused: 422: it is another word, or two scales are stated.
    """
    stated = {text.strip() for text in texts} - {""}
    for scale in (FRACTION, LEVEL):
        if stated == {scale}:
            return scale
    if not stated:
        return None
    detail = f"the scale is stated as {' and '.join(map(repr, sorted(stated)))}"
    raise Refused(422, "wrong_scale", detail, hint="state one: fraction or level")


def stated_facts(stated: dict[str, list[str]], n: int) -> list[SampleFacts]:
    """Return what is stated of N samples: each name once for all of them, or once for each.

    Raises Refused: 422: a time is none or has no zone, a number is no NOAA number, or there are
    several values for one sample.
    """
    times = []
    for name in TIMES:
        with refused("wrong_time"):
            texts = _for_each(stated, name, n)
            times.append([None if one is None else parse_time(one, name) for one in texts])
    with refused("wrong_region"):
        texts = _for_each(stated, REGION, n)
        regions = [None if one is None else parse_region(one) for one in texts]
    return [
        SampleFacts("", Window(*three), region)
        for three, region in zip(zip(*times, strict=True), regions, strict=True)
    ]


def _for_each(stated: dict[str, list[str]], name: str, n: int) -> Sequence[str | None]:
    texts = [text.strip() for text in stated[name] if text.strip()]
    if len(set(texts)) <= 1:
        return texts[:1] * n if texts else [None] * n
    if len(texts) != n:
        raise InputInvalid(
            f"{name} is stated {len(texts)} times for {n} sample{'s' if n > 1 else ''}; state it "
            "once, or once for each sample"
        )
    return texts


@contextmanager
def refused(code: str) -> Iterator[None]:
    """Turn an invalid statement into a refusal with a code."""
    try:
        yield
    except InputInvalid as error:
        detail, _, hint = str(error).rpartition("; ")
        raise Refused(422, code, detail, hint=hint) from error
