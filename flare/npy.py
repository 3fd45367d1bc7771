"""From the bytes of a .npy file that anybody sent to a checked cube; nothing is ever unpickled.

The header is read and judged before the data is touched, so a file that claims terabytes costs
nothing. A uint8 array is viewed where it lies; every other type is converted into a new cube.
"""

import io
import math
import re
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare.errors import InputInvalid
from flare.sample import CUBE_SHAPE, IMAGE_SIZE, N_PLANES, Cube, cube_of_planes, present_of_cube

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

WRITE_HINT = "write it with numpy.save(path, array)"
SHAPE_HINT = f"send {PLANES_SHAPE}, the 10 channels of the first time step first, or {CUBE_SHAPE}"
GREY_HINT = "send grey levels 0..255 as an integer or float type, or floats in 0..1"


class NpyRejected(InputInvalid):
    """A file that holds no sample.

    ``code`` is the kind of problem: ``not_npy``, ``bad_header``, ``wrong_length``, ``wrong_dtype``,
    ``wrong_shape``, ``fortran_order``, ``not_finite``, ``out_of_range`` or ``all_missing``;
    ``detail`` says what is wrong and ``hint`` what to do about it.
    """

    def __init__(self, code: str, detail: str, *, hint: str) -> None:
        super().__init__(f"{detail}; {hint}")
        self.code, self.detail, self.hint = code, detail, hint


def cube_of_npy(buffer: bytes | bytearray | memoryview, *, fortran: bool = True) -> Cube:
    """Read a sample from the bytes of a .npy file.

    Values become grey levels by these rules: integers of any width must lie in 0..255; floats
    whose maximum is at most 1 are fractions of 255; other floats must lie in 0..255; both kinds
    of float are rounded to the nearest level. A plane that is zero afterwards counts as missing.

    Parameters
    ----------
    buffer
        The whole file: format 1.0 or 2.0, either byte order, shape (40, 256, 256) or
        (4, 10, 256, 256).
    fortran
        Whether an array in Fortran order is put into C order, or refused.

    Returns
    -------
    uint8 of shape (4, 10, 256, 256). For uint8 in C order it is a view of ``buffer``, and like it
    read-only or not.

    Raises
    ------
    NpyRejected
        It is no .npy file, damaged, not as long as it claims, of another type, shape or range,
        holds NaN, or all its images are missing.
    """
    values = _array(memoryview(buffer), (PLANES_SHAPE, CUBE_SHAPE), SHAPE_HINT, fortran=fortran)
    return _sample(values)


def cubes_of_npy(
    buffer: bytes | bytearray | memoryview, *, most: int, fortran: bool = True
) -> Cube:
    """Read N samples, 1 <= N <= ``most``, from a .npy file; each by the rules of `cube_of_npy`.

    The shape is (N, 40, 256, 256) or (N, 4, 10, 256, 256). Of uint8 in C order a view is returned.
    """
    shapes = ((-1, *PLANES_SHAPE), (-1, *CUBE_SHAPE))
    hint = f"send N samples of {PLANES_SHAPE} or {CUBE_SHAPE} each, with N from 1 to {most}"
    values = _array(memoryview(buffer), shapes, hint, most=most, fortran=fortran)
    if values.dtype == np.uint8:
        cubes = values.reshape(-1, *CUBE_SHAPE)
        for number, cube in enumerate(cubes):
            _check_any(cube, f"sample {number}: ")
        return cubes
    return np.stack([_sample(one, f"sample {n}: ") for n, one in enumerate(values)])


def shape_of_npy(buffer: bytes | bytearray | memoryview) -> tuple[int, ...]:
    """Return the shape that a .npy file's header claims; raise NpyRejected where it has none."""
    return _read_header(memoryview(buffer))[0]


def length_of_npy(buffer: bytes | bytearray | memoryview) -> int | None:
    """Return how many bytes a file is long that begins so; None without a header as NumPy's."""
    header = _read_usual(memoryview(buffer))
    return None if header is None else header[3] + math.prod(header[0]) * header[2].itemsize


def _array(
    view: memoryview,
    shapes: tuple[tuple[int, ...], ...],
    hint: str,
    *,
    most: int = 1,
    fortran: bool,
) -> NDArray[Any]:
    """Return the array of a file in C order; its header is checked before anything is allocated.

    A -1 in one of the ``shapes`` stands for 1 to ``most``.
    """
    shape, fortran_order, dtype, offset = _read_header(view)
    _check_type(dtype)
    if not any(_fits(shape, wanted, most) for wanted in shapes):
        raise NpyRejected("wrong_shape", f"the array has shape {_shortened(shape)}", hint=hint)
    if fortran_order and not fortran:
        detail = "the array is in Fortran order"
        raise NpyRejected("fortran_order", detail, hint="save numpy.ascontiguousarray(array)")
    claimed, sent = math.prod(shape) * dtype.itemsize, len(view) - offset
    if claimed != sent:
        problem = "is cut short" if sent < claimed else "has bytes after its end"
        detail = f"the file {problem}: {dtype} {shape} takes {claimed} bytes, {sent} came"
        raise NpyRejected("wrong_length", detail, hint=WRITE_HINT)
    values = np.frombuffer(view, dtype=dtype, offset=offset)
    return np.ascontiguousarray(values.reshape(shape, order="F" if fortran_order else "C"))


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...], most: int) -> bool:
    return len(shape) == len(wanted) and all(
        there == asked or (asked == -1 and 1 <= there <= most)
        for there, asked in zip(shape, wanted, strict=True)
    )


def _sample(values: NDArray[Any], which: str = "") -> Cube:
    cube = cube_of_planes(_grey_levels(values.ravel(), which).reshape(values.shape))
    _check_any(cube, which)
    return cube


def _check_any(cube: Cube, which: str) -> None:
    if not present_of_cube(cube).any():
        raise NpyRejected(
            "all_missing",
            f"{which}every image is zero, so all of them are missing",
            hint="send at least one image with a grey level above zero",
        )


def _read_header(view: memoryview) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, Fortran order, dtype and where the data begin."""
    usual = _read_usual(view)
    if usual is not None:
        return usual
    head = io.BytesIO(view[:MAX_HEADER_BYTES])
    try:
        version = np.lib.format.read_magic(head)
        reader = _HEADER_READERS[version]
    except (ValueError, KeyError):
        detail = f"the {len(view)} bytes are no .npy file of format 1.0 or 2.0"
        raise NpyRejected("not_npy", detail, hint=WRITE_HINT) from None
    try:
        with _EVALUATING:
            shape, fortran_order, dtype = reader(head, max_header_size=MAX_HEADER_BYTES)
    # NumPy evaluates the header as a Python literal: besides ValueError, a hostile one raises
    # SyntaxError, TypeError, RecursionError, MemoryError or tokenize.TokenError.
    except Exception:
        raise NpyRejected("bad_header", "the .npy header cannot be read", hint=WRITE_HINT) from None
    return shape, fortran_order, dtype, head.tell()


def _read_usual(view: memoryview) -> tuple[tuple[int, ...], bool, np.dtype[Any], int] | None:
    usual = _USUAL.match(view[:MAX_HEADER_BYTES])
    if not usual or int.from_bytes(usual["size"], "little") != len(usual["header"]):
        return None
    shape = tuple(int(edge) for edge in usual["shape"].split(b",") if edge)
    return shape, usual["fortran"] == b"True", np.dtype(usual["dtype"].decode()), usual.end()


def _check_type(dtype: np.dtype[Any]) -> None:
    """Let plain integers and floats of 2, 4 or 8 bytes pass; object arrays above all do not."""
    if dtype.kind in "iu" or (dtype.kind == "f" and dtype.itemsize in (2, 4, 8)):
        return
    raise NpyRejected("wrong_dtype", f"the array is of type {str(dtype)[:80]}", hint=GREY_HINT)


def _grey_levels(values: NDArray[Any], which: str = "") -> NDArray[np.uint8]:
    """Turn flat values into grey levels by the rules of ``cube_of_npy``."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind in "iu":
        _check_range(float(values.min()), float(values.max()), which)
        return values.astype(np.uint8)
    # The first image nearly always tells whether all are fractions: one pass over memory then.
    guess = _scale_of(float(values[: IMAGE_SIZE**2].max()))
    grey, low, high = _rounded(values, guess)
    _check_range(low, high, which)
    return grey if _scale_of(high) == guess else _rounded(values, _scale_of(high))[0]


def _scale_of(high: float) -> int:
    return 255 if high <= 1 else 1


def _rounded(values: NDArray[Any], scale: int) -> tuple[NDArray[np.uint8], float, float]:
    """Return flat floats times ``scale`` as grey levels, with their own minimum and maximum."""
    grey = np.empty(values.size, dtype=np.uint8)
    lows, highs = [], []
    # One image at a time, so that what is in between stays in the cache: four times faster.
    with np.errstate(invalid="ignore", over="ignore"):  # the range is checked afterwards
        for start in range(0, values.size, IMAGE_SIZE**2):
            image = values[start : start + IMAGE_SIZE**2]
            lows.append(image.min())
            highs.append(image.max())
            grey[start : start + IMAGE_SIZE**2] = np.rint(image * np.float32(scale))
    return grey, float(np.min(lows)), float(np.max(highs))  # NaN comes through both


def _check_range(low: float, high: float, which: str) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise NpyRejected(
            "not_finite",
            f"{which}the array holds NaN or infinity",
            hint="send zeros for an image that is missing",
        )
    if low < 0 or high > 255:
        detail = f"{which}the values run from {low:g} to {high:g}"
        raise NpyRejected("out_of_range", detail, hint=GREY_HINT)


def _shortened(shape: tuple[int, ...]) -> str:
    text = str(shape)
    return text if len(text) <= 80 else f"{text[:80]}..."
