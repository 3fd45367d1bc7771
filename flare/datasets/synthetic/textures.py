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

Texture = Callable[[np.random.Generator], F64]


def filtered(slope: float, blur: float) -> Texture:
    """Make noise of amplitude k^-slope, with a Gaussian cut at scales below ``blur`` pixels."""

    def make(rng: np.random.Generator) -> F64:
        white = rng.standard_normal((EDGE, EDGE))
        frequency = np.fft.fftfreq(EDGE)
        k2 = frequency[:, None] ** 2 + frequency[None, : EDGE // 2 + 1] ** 2
        k2 = np.maximum(k2, EDGE**-2.0)
        amplitude = exp(-0.5 * slope * log(k2) - 2 * np.pi**2 * blur**2 * k2)
        spectrum = np.fft.rfft2(white) * amplitude
        spectrum[0, 0] = 0
        return standardised(np.fft.irfft2(spectrum, s=(EDGE, EDGE)))

    return make


def smeared(grains: Texture, *, steps: int, bend: float) -> Texture:
    """Smear grains ``steps`` pixels each way along lines that all bend about one direction.

    ``bend``: how far the lines turn away from it; 0 would leave them straight.
    """

    def make(rng: np.random.Generator) -> F64:
        grain = grains(rng).ravel()
        dx = 1 + bend * _DIRECTION(rng)
        dy = bend * _DIRECTION(rng)
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

    return make


def displaced(texture: Texture, *, by: float) -> Texture:
    """Displace a texture by a smooth noise with a standard deviation of ``by`` pixels."""

    def make(rng: np.random.Generator) -> F64:
        field = texture(rng)
        rows, columns = np.mgrid[:EDGE, :EDGE]
        place = _cell(rows + by * _SWIRL(rng), columns + by * _SWIRL(rng))
        return standardised(field.ravel()[place])

    return make


def patchy(texture: Texture, *, level: float) -> Texture:
    """Compress a texture towards two levels, so that it has patches with edges."""

    def make(rng: np.random.Generator) -> F64:
        field = texture(rng)
        return standardised(field / np.sqrt(level + field * field))

    return make


def mixed(*parts: tuple[float, Texture]) -> Texture:
    """Add textures with weights."""

    def make(rng: np.random.Generator) -> F64:
        total = np.zeros((EDGE, EDGE))
        for weight, texture in parts:
            total += weight * texture(rng)
        return standardised(total)

    return make


def standardised(field: F64) -> F64:
    """Give a field zero mean and unit variance."""
    centred = field - field.mean()
    return np.asarray(centred / np.sqrt((centred * centred).mean()))


def _cell(y: F64, x: F64) -> np.ndarray:
    """Return the flat index of the nearest pixel, wrapped around; ``EDGE`` is a power of two."""
    row, column = np.rint(y).astype(np.int32), np.rint(x).astype(np.int32)
    return np.asarray((row & (EDGE - 1)) * EDGE + (column & (EDGE - 1)))


_DIRECTION = filtered(2.5, 6.0)
_SWIRL = filtered(1.8, 3.0)

_KINDS: dict[str, Texture] = {
    "white": filtered(0, 0),
    "grain": filtered(0, 0.6),
    "granule": filtered(0.0, 0.75),
    "fragment": displaced(filtered(0.6, 0.8), by=5.0),
    "network": filtered(0.3, 1.1),
    "mottle": filtered(0.8, 1.2),
    "cloud": mixed(
        (1.0, displaced(patchy(filtered(1.7, 1.6), level=0.5), by=12.0)), (0.6, filtered(1.8, 1.6))
    ),
    "hair": mixed(
        (1.0, smeared(filtered(0.7, 1.0), steps=14, bend=1.1)),
        (0.7, smeared(filtered(0.3, 0.6), steps=7, bend=1.1)),
    ),
    "fibril": mixed(
        (1.0, smeared(filtered(0.4, 0.7), steps=6, bend=1.3)), (0.6, filtered(0.9, 0.8))
    ),
    "blotch": mixed(
        (1.0, displaced(filtered(1.3, 0.8), by=14.0)), (0.2, displaced(filtered(0.4, 0.7), by=8.0))
    ),
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
