"""Uploads that cannot be a sample, drawn by Hypothesis.

Each kind is wrong by construction: none of these is filtered by what a server says to it.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

SAMPLE = np.full((40, 256, 256), 9, dtype=np.uint8)
SAMPLE[:, 0, 0] = 10  # images of a single value are missing
BOUNDARY = b"malformed-7f3a"
FORM = f"multipart/form-data; boundary={BOUNDARY.decode()}"
RAW = "application/octet-stream"


@dataclass(frozen=True, repr=False)
class Upload:
    """A body and its type; ``kind`` says what is wrong with it."""

    kind: str
    body: bytes
    content_type: str = RAW

    def __repr__(self) -> str:
        return f"{self.kind} ({self.content_type}): {len(self.body)} bytes, {self.body[:60]!r}..."


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


NPY = saved(SAMPLE)
HEADER_BYTES = len(NPY) - SAMPLE.size
BATCH = saved(SAMPLE[None])


def form(*parts: tuple[str, str | None, bytes]) -> bytes:
    """Return a form of (field, file name, data)."""
    body = b""
    for field, name, data in parts:
        named = "" if name is None else f'; filename="{name}"'
        head = f'Content-Disposition: form-data; name="{field}"{named}\r\n\r\n'
        body += b"--" + BOUNDARY + b"\r\n" + head.encode() + data + b"\r\n"
    return body + b"--" + BOUNDARY + b"--\r\n"


# .npy: every size below that of a sample is wrong already; these are wrong in other ways too.

WRONG_TYPES = ["'|O'", "'<U4'", "'|S1'", "'|b1'", "'<c8'", "'<M8[s]'", "'|V3'", "[('a', '<u1')]",
               "'<f16'", "'nonsense'", "7", "None"]  # fmt: skip
HUGE = ["(40, 1000000000, 256)", "(1099511627776,)", "(2147483648, 40, 256, 256)", "(-1, 256, 256)",
        "(4, 10, 256, 99999999999)", "(0, 40, 256, 256)", "(40, 256)", "()", "(1.5, 2)", "40",
        "(40, 256, 256, 1, 1, 1)"]  # fmt: skip


def headed(descr: str, shape: str, order: str, data: bytes) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def spoilt(value: float, place: int) -> bytes:
    array = SAMPLE.astype(np.float16)
    array.flat[place] = value
    return saved(array)


class Pickled:
    """Makes a file where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


def pickled(path: str) -> bytes:
    array = np.empty(1, dtype=object)
    array[0] = Pickled(path)
    return saved(array)


def set_byte(data: bytes, place: int, value: int) -> bytes:
    return data[:place] + bytes([value]) + data[place + 1 :]


def wrong_npy(marker: str) -> st.SearchStrategy[tuple[str, bytes]]:
    """Draw (what is wrong, a .npy file); no such file is a sample or a batch."""
    others = st.integers(1, 255)
    kinds = {
        "cut in its header": st.integers(0, HEADER_BYTES - 1).map(lambda end: NPY[:end]),
        "cut in its data": st.integers(HEADER_BYTES, len(NPY) - 1).map(lambda end: NPY[:end]),
        "a batch cut": st.integers(0, len(BATCH) - 1).map(lambda end: BATCH[:end]),
        "bytes after it": st.binary(min_size=1, max_size=99).map(lambda more: NPY + more),
        "another magic": st.builds(
            lambda at, bits: set_byte(NPY, at, NPY[at] ^ bits), st.integers(0, 5), others
        ),
        "another version": others.filter(lambda v: v not in (1, 2)).map(
            lambda version: set_byte(NPY, 6, version)
        ),
        "another header length": st.integers(0, 65535)
        .filter(lambda length: length != HEADER_BYTES - 10)
        .map(lambda length: NPY[:8] + struct.pack("<H", length) + NPY[10:]),
        "a wrong type": st.builds(
            headed, st.sampled_from(WRONG_TYPES), st.just("(40, 256, 256)"), st.just("False"),
            st.binary(max_size=99),
        ),
        "a wrong shape claimed": st.builds(
            headed, st.sampled_from(["'|u1'", "'<f4'"]), st.sampled_from(HUGE),
            st.sampled_from(["False", "True"]), st.binary(max_size=99),
        ),
        "a header of anything": st.builds(
            lambda text: b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text,
            st.binary(max_size=200),
        ),
        "an array of another shape": st.lists(st.integers(0, 9), max_size=5).map(
            lambda shape: saved(np.ones(shape, np.uint8))
        ),
        "Fortran order": st.sampled_from([np.uint8, np.float16]).map(
            lambda dtype: saved(np.asfortranarray(SAMPLE.astype(dtype)))
        ),
        "not finite or out of range": st.builds(
            spoilt,
            st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 255.5, 60000.0]),
            st.integers(0, SAMPLE.size - 1),
        ),
        "all zero": st.sampled_from([np.uint8, np.float16]).map(
            lambda dtype: saved(np.zeros_like(SAMPLE, dtype=dtype))
        ),
        "a pickle": st.just(pickled(marker)),
        "no array": st.binary(max_size=300),
    }  # fmt: skip
    return st.one_of(*[strategy.map(lambda d, k=kind: (k, d)) for kind, strategy in kinds.items()])


def wrong_forms(field: str, name: str, good: bytes) -> st.SearchStrategy[Upload]:
    """Draw forms around a file that would be fine."""
    part = (field, name, good)
    body = form(part)
    whole = len(body) - 2  # the last line end may be missing
    no_field = body.replace(b"form-data; ", b"attachment; ")
    long = body.replace(b"\r\n\r\n", b"\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n", 1)
    many = b"".join(
        form((field, None, b"")).rsplit(b"--" + BOUNDARY + b"--", 1)[0] for _ in "a" * 65
    )
    no_boundary = ["multipart/form-data", "multipart/form-data; boundary=", FORM + "x",
                   "multipart/form-data; boundary=" + "x" * 300]  # fmt: skip
    types = ["application/json", "text/plain", "image/png", "multipart/mixed", "a/b; c=d"]
    return st.one_of(
        st.integers(0, whole - 1).map(lambda end: Upload("a form cut", body[:end], FORM)),
        st.sampled_from(no_boundary).map(lambda kind: Upload("no such boundary", body, kind)),
        st.sampled_from(types).map(lambda kind: Upload("another type", good, kind)),
        st.sampled_from(
            [
                Upload("no form-data", no_field, FORM),
                Upload("a long header", long, FORM),
                Upload("too many parts", many + body, FORM),
                Upload("an empty form", form(), FORM),
                Upload("only text", form((field, None, b"sample.npy")), FORM),
                Upload("nothing", b""),
            ]
        ),
    )


def in_form(field: str, name: str, strategy: st.SearchStrategy[tuple[str, bytes]]) -> Any:
    """Draw uploads of these files as a form."""
    return strategy.map(lambda d: Upload(d[0], form((field, name, d[1])), FORM))


def as_body(strategy: st.SearchStrategy[tuple[str, bytes]], *types: str) -> Any:
    """Draw uploads of these files as they are, under one of these types."""
    # Not `builds`, which writes out what it is given.
    return st.tuples(strategy, st.sampled_from(types)).map(lambda d: Upload(*d[0], d[1]))
