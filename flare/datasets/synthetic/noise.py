"""Banks of periodic random fields, made once per process and then cropped at random.

Making a field costs a Fourier transform, a crop nothing: this is what lets forty images of 256
pixels be drawn in some tens of milliseconds. A bank does not depend on the user's seed.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from flare.sample import IMAGE_SIZE

F32 = NDArray[np.float32]

_EDGE = 512
_FIELDS = 2  # per kind; offsets and mirrors make them many


def _power_law(slope: float, blur: float) -> Callable[[F32], F32]:
    """Amplitude k^-slope, and a Gaussian cut at scales below ``blur`` pixels."""

    def spectrum(k: F32) -> F32:
        return np.asarray(np.maximum(k, 1 / _EDGE) ** -slope * np.exp(-2 * (np.pi * k * blur) ** 2))

    return spectrum


_SPECTRA: dict[str, Callable[[F32], F32]] = {
    "white": _power_law(0, 0),
    "grain": _power_law(0, 0.7),
    "granule": _power_law(-0.3, 0.9),
    "fragment": _power_law(0.5, 1.2),
    "network": _power_law(0.3, 1.4),
    "mottle": _power_law(0.8, 1.4),
    "cloud": _power_law(1.6, 1.6),
    "direction": _power_law(2.5, 6.0),
}
_KINDS = (*_SPECTRA, "wisp")


@cache
def _bank(kind: str) -> tuple[F32, ...]:
    rng = np.random.default_rng(np.random.SeedSequence([2012, _KINDS.index(kind)]))
    make = _wisps if kind == "wisp" else _filtered
    return tuple(_tiled(make(rng, kind)) for _ in range(_FIELDS))


def _filtered(rng: np.random.Generator, kind: str) -> F32:
    white = rng.standard_normal((_EDGE, _EDGE))
    freq = np.fft.fftfreq(_EDGE)
    k = np.hypot(freq[:, None], freq[None, : _EDGE // 2 + 1])
    spectrum = np.fft.rfft2(white) * _SPECTRA[kind](k.astype(np.float32))
    spectrum[0, 0] = 0
    return _standardised(np.fft.irfft2(spectrum, s=(_EDGE, _EDGE)))


def _wisps(rng: np.random.Generator, _: str) -> F32:
    """Smear grains along a smooth direction field, for the hair of the quiet corona."""
    grains = _filtered(rng, "mottle")
    angle = 1.3 * _filtered(rng, "direction")
    dx, dy = np.cos(angle), np.sin(angle)
    rows, columns = np.mgrid[:_EDGE, :_EDGE]
    total = grains.copy()
    for direction in (-1, 1):
        y, x = rows.astype(np.float64), columns.astype(np.float64)
        for _step in range(14):
            i, j = np.rint(y).astype(np.intp) % _EDGE, np.rint(x).astype(np.intp) % _EDGE
            y, x = y + direction * dy[i, j], x + direction * dx[i, j]
            total += grains[np.rint(y).astype(np.intp) % _EDGE, np.rint(x).astype(np.intp) % _EDGE]
    return _standardised(total)


def _standardised(field: NDArray[np.floating]) -> F32:
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def _tiled(field: F32) -> F32:
    """Repeat the periodic field so that every crop is one slice."""
    return np.pad(field, (0, IMAGE_SIZE), mode="wrap")


def crop(kind: str, rng: np.random.Generator) -> F32:
    """Return a random (256, 256) piece of unit variance; a view, not to be written to."""
    pick, row, column, mirror = rng.integers((_FIELDS, _EDGE, _EDGE, 4))
    piece = _bank(kind)[pick][row : row + IMAGE_SIZE, column : column + IMAGE_SIZE]
    return np.asarray(piece[:: 1 - 2 * (mirror & 1), :: 1 - 2 * (mirror >> 1)])


class Drift:
    """A random field that changes slowly with time and stays of unit variance."""

    def __init__(self, kind: str, rng: np.random.Generator, *, lifetime: float) -> None:
        self._fields = crop(kind, rng), crop(kind, rng)
        self._turn = 0.5 * np.pi / lifetime  # radians an hour: a new field after one lifetime

    def at(self, hours: float) -> F32:
        """Return the field (256, 256) at a time; hours apart much below ``lifetime`` look alike."""
        angle = self._turn * hours
        a, b = self._fields
        return np.asarray(np.float32(np.cos(angle)) * a + np.float32(np.sin(angle)) * b)
