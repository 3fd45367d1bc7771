"""Make periodic random textures of the solar surface, once per process, and crop them.

They do not depend on the user's seed. Because images only crop them, forty images take tens of ms.
Filtered noise for grains, cells and clouds; noise smeared along a smooth direction field (line
integral convolution: Cabral and Leedom 1993, doi:10.1145/166117.166151) for the hair of the corona
and the fibrils of the chromosphere; noise displaced by noise for the blotches of the quiet corona.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from flare.datasets.synthetic.exact import F32, F64, exp, log
from flare.sample import IMAGE_SIZE

EDGE = 512
_FIELDS = 2  # per kind; offsets and mirrors make them many


def filtered(rng: np.random.Generator, slope: float, blur: float) -> F64:
    """Return noise of amplitude k^-slope, with a Gaussian cut at scales below ``blur`` pixels."""
    white = rng.standard_normal((EDGE, EDGE))
    frequency = np.fft.fftfreq(EDGE)
    k2 = frequency[:, None] ** 2 + frequency[None, : EDGE // 2 + 1] ** 2
    k2 = np.maximum(k2, EDGE**-2.0)
    amplitude = exp(-0.5 * slope * log(k2) - 2 * np.pi**2 * blur**2 * k2)
    spectrum = np.fft.rfft2(white) * amplitude
    spectrum[0, 0] = 0
    return standardised(np.fft.irfft2(spectrum, s=(EDGE, EDGE)))


def smeared(rng: np.random.Generator, grains: F64, *, steps: int, bend: float) -> F64:
    """Smear grains ``steps`` pixels each way along lines that all bend about one direction.

    ``bend``: how far the lines turn away from it; 0 would leave them straight.
    """
    grain = grains.ravel()
    dx = 1 + bend * filtered(rng, 2.5, 6.0)
    dy = bend * filtered(rng, 2.5, 6.0)
    length = np.sqrt(dx * dx + dy * dy) + 1e-9
    dx, dy = (dx / length).ravel(), (dy / length).ravel()
    rows, columns = (axis.ravel().astype(np.float64) for axis in np.mgrid[:EDGE, :EDGE])
    total = grain.copy()
    for direction in (-1.0, 1.0):
        y, x = rows.copy(), columns.copy()
        for _ in range(steps):
            here = _cell(y, x)
            y += direction * dy[here]
            x += direction * dx[here]
            total += grain[_cell(y, x)]
    return standardised(total.reshape(EDGE, EDGE))


def displaced(rng: np.random.Generator, field: F64, *, by: float) -> F64:
    """Displace a texture by a smooth noise with a standard deviation of ``by`` pixels."""
    rows, columns = np.mgrid[:EDGE, :EDGE]
    place = _cell(rows + by * filtered(rng, 1.8, 3.0), columns + by * filtered(rng, 1.8, 3.0))
    return standardised(field.ravel()[place])


def patchy(field: F64, *, level: float) -> F64:
    """Compress a texture towards two levels, so that it has patches with edges."""
    return standardised(field / np.sqrt(level + field * field))


def standardised(field: F64) -> F64:
    """Give a field zero mean and unit variance."""
    centred = field - field.mean()
    return np.asarray(centred / np.sqrt((centred * centred).mean()))


def _cell(y: F64, x: F64) -> np.ndarray:
    """Return the flat index of the nearest pixel, wrapped around; ``EDGE`` is a power of two."""
    row, column = np.rint(y).astype(np.int32), np.rint(x).astype(np.int32)
    return np.asarray((row & (EDGE - 1)) * EDGE + (column & (EDGE - 1)))


def _cloud(rng: np.random.Generator) -> F64:
    clouds = displaced(rng, patchy(filtered(rng, 1.7, 1.6), level=0.5), by=12.0)
    return standardised(clouds + 0.6 * filtered(rng, 1.8, 1.6))


def _hair(rng: np.random.Generator) -> F64:
    long = smeared(rng, filtered(rng, 0.7, 1.0), steps=14, bend=1.1)
    short = smeared(rng, filtered(rng, 0.3, 0.6), steps=7, bend=1.1)
    return standardised(long + 0.7 * short)


def _fibril(rng: np.random.Generator) -> F64:
    fibrils = smeared(rng, filtered(rng, 0.4, 0.7), steps=6, bend=1.3)
    return standardised(fibrils + 0.6 * filtered(rng, 0.9, 0.8))


def _blotch(rng: np.random.Generator) -> F64:
    large = displaced(rng, filtered(rng, 1.3, 0.8), by=14.0)
    return standardised(large + 0.2 * displaced(rng, filtered(rng, 0.4, 0.7), by=8.0))


#: Their order decides their seeds.
_KINDS: dict[str, Callable[[np.random.Generator], F64]] = {
    "white": lambda rng: filtered(rng, 0, 0),
    "grain": lambda rng: filtered(rng, 0, 0.6),
    "granule": lambda rng: filtered(rng, 0.0, 0.75),
    "fragment": lambda rng: displaced(rng, filtered(rng, 0.6, 0.8), by=5.0),
    "network": lambda rng: filtered(rng, 0.3, 1.1),
    "mottle": lambda rng: filtered(rng, 0.8, 1.2),
    "cloud": _cloud,
    "hair": _hair,
    "fibril": _fibril,
    "blotch": _blotch,
}


@cache
def bank(kind: str) -> tuple[F32, ...]:
    """Return the fields of a texture, each repeated so that every crop of it is one slice."""
    rng = np.random.default_rng(np.random.SeedSequence([2012, list(_KINDS).index(kind)]))
    fields = (_KINDS[kind](rng).astype(np.float32) for _ in range(_FIELDS))
    return tuple(np.pad(field, (0, IMAGE_SIZE), mode="wrap") for field in fields)


def crop(kind: str, rng: np.random.Generator) -> F32:
    """Return a random (256, 256) piece of unit variance; a view, not to be written to."""
    fields = bank(kind)
    pick, row, column, mirror = rng.integers((len(fields), EDGE, EDGE, 4))
    piece = fields[pick][row : row + IMAGE_SIZE, column : column + IMAGE_SIZE]
    return np.asarray(piece[:: 1 - 2 * (mirror & 1), :: 1 - 2 * (mirror >> 1)])


class Drift:
    """A random field that changes slowly with time and stays of unit variance."""

    def __init__(self, kind: str, rng: np.random.Generator, *, lifetime: float) -> None:
        self._fields = crop(kind, rng), crop(kind, rng)
        self._turn = 0.5 * math.pi / lifetime  # radians an hour: a new field after one lifetime

    def at(self, hours: float) -> F32:
        """Return the field (256, 256) at a time; it changes within about ``lifetime`` hours."""
        angle = self._turn * hours
        a, b = self._fields
        return np.asarray(np.float32(math.cos(angle)) * a + np.float32(math.sin(angle)) * b)
