"""Coronal loops: field lines of a region's concentrations, drawn as thin bright threads."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare.datasets.synthetic.field import GRID
from flare.datasets.synthetic.sources import Sources
from flare.datasets.synthetic.view import F32, F64, View
from flare.sample import IMAGE_SIZE

_LINES, _STEPS, _STRIDE = 320, 90, 2.6  # pixels of 256 from point to point
_DEPTH = 5.0  # of the charges below the surface, so that lines leave a concentration as a fan


@dataclass(frozen=True)
class Loops:
    """Threads with a temperature.

    ``cell`` and ``share`` (4, P): coarse pixels around each point and how it divides among them.
    ``line`` (P,): the thread of each point. ``heat`` and ``brightness``, ``phase`` (L,): standard
    normal temperature (hot is positive), brightness, and where in its flickering a thread is.
    """

    cell: NDArray[np.intp]
    share: F32
    line: NDArray[np.intp]
    heat: F64
    brightness: F64
    phase: F64

    def drawn(self, temperature: float, hours: float) -> F32:
        """Draw what a filter of one temperature (standardised) sees, (128, 128)."""
        weight = np.exp(-0.5 * ((self.heat - temperature) / 0.6) ** 2) * self.brightness
        weight = weight * (1 + 0.6 * np.sin(self.phase + hours))
        values = weight.astype(np.float32)[self.line] * self.share
        image = np.bincount(self.cell.ravel(), values.ravel(), minlength=GRID * GRID)
        return np.asarray(image[: GRID * GRID].reshape(GRID, GRID), dtype=np.float32)


def loops_of(sources: Sources, view: View, rng: np.random.Generator) -> Loops:
    """Trace field lines from random points of the concentrations and project them."""
    points = _trace(sources, rng)  # (steps, lines, 3)
    above = np.logical_and.accumulate(points[..., 2] >= 0, axis=0)
    x, y = view.project(points[..., 0], points[..., 1], points[..., 2])
    scale = GRID / IMAGE_SIZE
    x, y = (x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5
    inside = above & (x > 0) & (x < GRID - 2) & (y > 0) & (y < GRID - 2)
    step, line = np.nonzero(inside)
    x, y, height = x[inside], y[inside], points[..., 2][inside]
    column, row = x.astype(np.intp), y.astype(np.intp)
    fx, fy = x - column, y - row
    thin = np.exp(-height / 70) * (1 + 1.2 * np.exp(-step / 8))  # dense at the foot
    share = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy]) * thin
    corner = row * GRID + column
    cell = np.stack([corner, corner + 1, corner + GRID, corner + GRID + 1])
    length = above.sum(axis=0) / _STEPS
    heat = rng.normal(0.9 - 2.2 * length, 0.7)  # short loops are hot
    brightness = rng.lognormal(-0.5, 0.9, _LINES) / (0.25 + length)
    phase = rng.uniform(0, 2 * np.pi, _LINES)
    return Loops(cell, share.astype(np.float32), line, heat, brightness, phase)


def _trace(sources: Sources, rng: np.random.Generator) -> F64:
    """Follow the field of buried charges outwards from each start, (steps, lines, 3)."""
    strength = np.abs(sources.flux)
    start = rng.choice(len(strength), size=_LINES, p=strength / strength.sum())
    spread = sources.width[start] * 1.3
    position = np.stack(
        [
            sources.u[start] + spread * rng.standard_normal(_LINES),
            sources.v[start] + spread * rng.standard_normal(_LINES),
            np.zeros(_LINES),
        ]
    )
    outwards = np.sign(sources.flux[start])
    charges = np.stack([sources.u, sources.v, np.full_like(sources.u, -_DEPTH)])
    path = np.empty((_STEPS, 3, _LINES))
    for step in range(_STEPS):
        path[step] = position
        apart = position[:, :, None] - charges[:, None, :]  # (3, lines, charges)
        distance2 = np.einsum("klj,klj->lj", apart, apart)
        field = np.einsum("klj,lj->kl", apart, sources.flux / distance2**1.5)
        field *= outwards / np.sqrt(np.einsum("kl,kl->l", field, field) + 1e-30)
        position = position + _STRIDE * field
    return path.transpose(0, 2, 1)
