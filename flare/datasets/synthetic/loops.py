"""Draw coronal loops: field lines of a region's concentrations, as thin bright threads."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare.datasets.synthetic.exact import F32, F64, exp
from flare.datasets.synthetic.field import GRID, View
from flare.datasets.synthetic.sources import Sources
from flare.sample import IMAGE_SIZE

_LINES, _STEPS = 540, 84
# Pixels of 256 from point to point, its growth with height, and its maximum.
_STRIDE, _LONGER, _LONGEST = 2.0, 0.03, 3.2
_DEPTH = 5.0  # of the charges below the surface, so that lines leave a concentration as a fan


@dataclass(frozen=True)
class Loops:
    """Threads with a temperature.

    ``cell`` and ``share`` (4, P): coarse pixels around each point and how it divides among them.
    ``line`` (P,): the thread of each point. ``heat`` and ``brightness``, ``phase`` (L,): standard
    normal temperature (hot is positive), brightness, and phase of its flickering.
    """

    cell: NDArray[np.intp]
    share: F32
    line: NDArray[np.intp]
    heat: F64
    brightness: F64
    phase: F64

    def image(self, temperature: float, hours: float) -> F32:
        """Draw the loops as a filter of one standardised temperature shows them, (128, 128)."""
        weight = exp(-0.5 * ((self.heat - temperature) / 0.6) ** 2) * self.brightness
        weight = weight * (1 + 0.6 * _wave(self.phase + hours / 6.3))
        values = weight.astype(np.float32)[self.line] * self.share
        image = np.bincount(self.cell.ravel(), values.ravel(), minlength=GRID * GRID)
        return np.asarray(image[: GRID * GRID].reshape(GRID, GRID), dtype=np.float32)


def _wave(turns: F64) -> F64:
    """Return a wave of period 1 between -1 and 1: two parabolas, as a sine differs by machine."""
    t = turns - np.floor(turns)
    return np.asarray(np.where(t < 0.5, 8 * t * (1 - 2 * t), 8 * (t - 0.5) * (2 * t - 2)) * 1.0)


def loops_of(sources: Sources, view: View, rng: np.random.Generator) -> Loops:
    """Trace field lines from random points of the concentrations and project them."""
    points, run = _trace(sources, rng)  # (steps, 3, lines), (steps, lines)
    above = np.logical_and.accumulate(points[:, 2] >= 0, axis=0)
    x, y = view.project(*points.astype(np.float64).swapaxes(0, 1))
    scale = GRID / IMAGE_SIZE
    x, y = (x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5
    inside = above & (x > 0) & (x < GRID - 2) & (y > 0) & (y < GRID - 2)
    _, line = np.nonzero(inside)
    x, y, height = x[inside], y[inside], points[:, 2][inside]
    column, row = x.astype(np.intp), y.astype(np.intp)
    fx, fy = x - column, y - row
    # Dense at the foot; a long step stands for as many points as it is long.
    thin = exp(-height / 80) * (1 + exp(-run[inside] / 16)) * _stride(height)
    share = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy]) * thin
    corner = row * GRID + column
    cell = np.stack([corner, corner + 1, corner + GRID, corner + GRID + 1])
    length = np.where(above, run, 0).max(axis=0) / 234
    heat = rng.normal(0.9 - 2.2 * length, 0.7)  # short loops are hot
    brightness = rng.lognormal(-0.7, 0.7, _LINES) / (0.2 + length + 0.6 * length * length)
    phase = rng.uniform(0, 1, _LINES)
    return Loops(cell, share.astype(np.float32), line, heat, brightness, phase)


def _stride(height: F32) -> F32:
    """Return the distance to the next point at a height, in pixels."""
    longer = np.float32(_LONGER) * np.maximum(height, 0)
    return np.asarray(np.minimum(np.float32(_STRIDE) + longer, np.float32(_LONGEST)))


def _trace(sources: Sources, rng: np.random.Generator) -> tuple[F32, F32]:
    """Follow the field of buried charges outwards from each start.

    Returns points (steps, 3, lines) and the way to them (steps, lines), in pixels.
    """
    strength = np.abs(sources.flux)
    start = rng.choice(len(strength), size=_LINES, p=strength / strength.sum())
    spread = sources.width[start] * 1.3
    position = np.zeros((3, _LINES), dtype=np.float32)
    position[0] = sources.u[start] + spread * rng.standard_normal(_LINES)
    position[1] = sources.v[start] + spread * rng.standard_normal(_LINES)
    outwards = np.sign(sources.flux[start]).astype(np.float32)
    deep = np.full_like(sources.u, -_DEPTH)
    charges = np.stack([sources.u, sources.v, deep]).astype(np.float32)[:, :, None]
    flux = (sources.flux / strength.max()).astype(np.float32)[:, None]
    way = np.zeros(_LINES, dtype=np.float32)
    path = np.empty((_STEPS, 3, _LINES), dtype=np.float32)
    ways = np.empty((_STEPS, _LINES), dtype=np.float32)
    for step in range(_STEPS):
        path[step], ways[step] = position, way
        apart = position[:, None, :] - charges  # (3, charges, lines)
        distance2 = apart[0] * apart[0] + apart[1] * apart[1] + apart[2] * apart[2]
        field = (apart * (flux / (distance2 * np.sqrt(distance2)))).sum(axis=1)  # (3, lines)
        size = np.sqrt(field[0] * field[0] + field[1] * field[1] + field[2] * field[2])
        stride = _stride(position[2])
        position = position + field * (outwards * stride / (size + np.float32(1e-20)))
        way = way + stride
    return path, ways
