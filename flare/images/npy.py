"""Read a .npy file from an untrusted source into a checked cube; nothing is ever unpickled.

The header is checked before the data is touched, so a file that claims terabytes costs nothing.
A uint8 array is a view of the bytes; every other type is converted into a new cube.
"""

import io
import math
import re
import threading
from typing import Any, Literal, NamedTuple

import numpy as np

from flare.errors import NpyRejected
from flare.images.grey_scale import GREY_HINT, Scale, to_grey_levels
from flare.sample import CUBE_SHAPE, IMAGE_SIZE, N_PLANES, Cube, present_of_cube

PLANES_SHAPE = (N_PLANES, IMAGE_SIZE, IMAGE_SIZE)

#: NumPy pads its header to a multiple of 64 bytes; a sample's takes 128.
MAX_HEADER_BYTES = 4096

_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

#: The header that NumPy writes for plain numbers, read here without evaluating anything. In several
#: threads `ast.literal_eval` fails now and then before Python 3.11.8 (python/cpython#106905).
_USUAL = re.compile(
    rb"\x93NUMPY\x01\x00(?P<size>..)"
    rb"(?P<header>\{'descr': '(?P<dtype>[<>|](?:[iu][1248]|f[248]))', "
    rb"'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>[1-9]\d{,8}(?:,|(?:, [1-9]\d{,8})+))\), \} *\n)",
    re.DOTALL,
)
_EVALUATING = threading.Lock()

#: Files that people send by mistake, by their first bytes.
_OTHER_KINDS = {
    b"PK": "a zip archive",
    b"\x1f\x8b": "compressed with gzip",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"\x89HDF": "an HDF5 file",
    b"SIMPLE  ": "a FITS file",
    b"\x80": "a Python pickle",
    b"{": "JSON text",
    b"[": "JSON text",
}

WRITE_HINT = "write it with numpy.save(path, array)"
SHAPE_HINT = f"send {PLANES_SHAPE}, the 10 channels of the first time step first, or {CUBE_SHAPE}"


class NpySamples(NamedTuple):
    """Grey levels that were read from a .npy file, and the scale of its numbers."""

    cubes: Cube
    scale: Scale


class BatchHeader(NamedTuple):
    """Where the samples of a .npy file lie, so that they can be read one after the other.

    ``sample_header`` and the ``sample_bytes`` of one sample are a .npy file of that sample; the
    first one begins at ``offset``.
    """

    samples: int
    offset: int
    sample_bytes: int
    sample_header: bytes


class _Header(NamedTuple):
    """Of an array; its data begin at ``offset``."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    offset: int


def cube_of_npy(
    buffer: bytes | bytearray | memoryview, *, scale: Scale | None = None, fortran: bool = True
) -> NpySamples:
    """Read one sample from the bytes of a .npy file.

    Values become grey levels by the rules of `flare.images.grey_scale.to_grey_levels`. A plane of
    a single value counts as missing, whatever the value.

    ``buffer`` is the whole file: format 1.0 or 2.0, either byte order, (40, 256, 256) or (4, 10,
    256, 256). Without a ``scale`` the values decide. An array in ``fortran`` order is put into C
    order, or refused.

    Returns uint8 of shape (4, 10, 256, 256). For uint8 in C order it is a view of ``buffer``, and
    like it read-only or not.

    Raises NpyRejected: it is not a .npy file, is damaged, is not as long as it claims, has another
    type, shape or range, holds NaN or floats of an ambiguous scale, or all its images are missing.
    """
    cubes, used = _samples(memoryview(buffer), None, scale, fortran)
    return NpySamples(cubes[0], used)


def cubes_of_npy(
    buffer: bytes | bytearray | memoryview,
    *,
    most: int,
    scale: Scale | None = None,
    fortran: bool = True,
) -> NpySamples:
    """Read N samples, 1 <= N <= ``most``, of one scale from a .npy file, as `cube_of_npy` does.

    The shape is (N, 40, 256, 256) or (N, 4, 10, 256, 256). Of uint8 in C order a view is returned.
    """
    return _samples(memoryview(buffer), most, scale, fortran)


def header_of_batch(buffer: bytes, *, size: int, most: int) -> BatchHeader:
    """Read the header of N samples in C order, 1 <= N <= ``most``, from a file's beginning.

    ``size`` is that of the whole file in bytes. Raises what `cubes_of_npy` does of a header.
    """
    header = _checked_header(memoryview(buffer), most, fortran=False, size=size)
    samples, *shape = header.shape
    file = io.BytesIO()
    one = {"descr": header.dtype.str, "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(file, one)
    length = math.prod(shape) * header.dtype.itemsize
    return BatchHeader(samples, header.offset, length, file.getvalue())


def shape_of_npy(buffer: bytes | bytearray | memoryview) -> tuple[int, ...]:
    """Return the shape that a .npy file's header claims; raise NpyRejected where it has none."""
    return _read_header(memoryview(buffer)).shape


def _samples(view: memoryview, most: int | None, scale: Scale | None, fortran: bool) -> NpySamples:
    """Return (N, 4, 10, 256, 256); ``most`` is None for a file of one sample."""
    header = _checked_header(view, most, fortran=fortran, size=len(view))
    values = np.frombuffer(view, dtype=header.dtype, offset=header.offset)
    order: Literal["F", "C"] = "F" if header.fortran_order else "C"
    values = np.ascontiguousarray(values.reshape(header.shape, order=order))
    levels, used = to_grey_levels(values, scale=scale, batch=most is not None)
    cubes = levels.reshape(-1, *CUBE_SHAPE)
    for number, cube in enumerate(cubes):
        if not present_of_cube(cube).any():
            which = "" if most is None else f"sample {number}: "
            raise NpyRejected(
                "all_missing",
                f"{which}every image is of a single value, so all of them are missing",
                hint="send at least one image that shows something",
            )
    return NpySamples(cubes, used)


def _checked_header(view: memoryview, most: int | None, *, fortran: bool, size: int) -> _Header:
    """Return the header of a file of ``size`` bytes, checked before anything is allocated."""
    header = _read_header(view)
    shape, fortran_order, dtype, offset = header
    if dtype.kind not in "iu" and not (dtype.kind == "f" and dtype.itemsize in (2, 4, 8)):
        raise NpyRejected("wrong_dtype", f"the array is of type {str(dtype)[:80]}", hint=GREY_HINT)
    of_one, hint = shape, SHAPE_HINT
    if most is not None:
        of_one = shape[1:] if shape and 1 <= shape[0] <= most else ()
        hint = f"send N samples of {PLANES_SHAPE} or {CUBE_SHAPE} each, with N from 1 to {most}"
    if of_one not in (PLANES_SHAPE, CUBE_SHAPE):
        text = str(shape)
        text = text if len(text) <= 80 else f"{text[:80]}..."
        raise NpyRejected("wrong_shape", f"the array has shape {text}", hint=hint)
    if fortran_order and not fortran:
        detail = "the array is in Fortran order"
        raise NpyRejected("fortran_order", detail, hint="save numpy.ascontiguousarray(array)")
    claimed, sent = math.prod(shape) * dtype.itemsize, size - offset
    if claimed != sent:
        problem = "is cut short" if sent < claimed else "has bytes after its end"
        detail = f"the file {problem}: {dtype} {shape} takes {claimed} bytes, {sent} came"
        raise NpyRejected("wrong_length", detail, hint=WRITE_HINT)
    return header


def _read_header(view: memoryview) -> _Header:
    usual = _USUAL.match(view[:MAX_HEADER_BYTES])
    if usual and int.from_bytes(usual["size"], "little") == len(usual["header"]):
        edges = tuple(int(edge) for edge in usual["shape"].split(b",") if edge)
        dtype = np.dtype(usual["dtype"].decode())
        return _Header(edges, usual["fortran"] == b"True", dtype, usual.end())
    head = io.BytesIO(view[:MAX_HEADER_BYTES])
    try:
        version = np.lib.format.read_magic(head)
        reader = _HEADER_READERS[version]
    except (ValueError, KeyError):
        raise _not_npy(view) from None
    try:
        with _EVALUATING:
            shape, fortran_order, dtype = reader(head, max_header_size=MAX_HEADER_BYTES)
    # NumPy evaluates the header as a Python literal: besides ValueError, a hostile one raises
    # SyntaxError, TypeError, RecursionError, MemoryError or tokenize.TokenError.
    except Exception:
        raise NpyRejected("bad_header", "the .npy header cannot be read", hint=WRITE_HINT) from None
    return _Header(shape, fortran_order, dtype, head.tell())


def _not_npy(view: memoryview) -> NpyRejected:
    """Return the error that says what a file is instead of a .npy file."""
    if not len(view):
        return NpyRejected("empty", "the file is empty", hint=WRITE_HINT)
    start = bytes(view[:8])
    if start.startswith(b"PK") and b".npy" in bytes(view[:MAX_HEADER_BYTES]):
        hint = "save one sample with numpy.save, or send the .npz as a batch"
        return NpyRejected("npz", "the file is a .npz archive of arrays", hint=hint)
    for magic, kind in _OTHER_KINDS.items():
        if start.startswith(magic):
            return NpyRejected("not_npy", f"the file is {kind}, not a .npy file", hint=WRITE_HINT)
    detail = f"the {len(view)} bytes are not a .npy file of format 1.0 or 2.0"
    return NpyRejected("not_npy", detail, hint=WRITE_HINT)
