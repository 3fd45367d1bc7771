"""The direction a region is seen from, its magnetic field, and its coronal loops.

Lengths are image pixels: 1.2 arcsec, about 0.87 Mm at disk centre. A region has its own tangent
plane: ``u`` to solar west, ``v`` to solar north, ``height`` outwards. Images have north up.

The smooth field of the concentrations gives the density of coverage; a random field decides which
fragments exist. That gives the saturated, frayed look of plage in HMI's magnetograms.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flare.datasets.synthetic.exact import F32, F64, exp, log_of_image
from flare.datasets.synthetic.region import Sources
from flare.sample import IMAGE_SIZE

SOLAR_RADIUS = 960 / 1.2
_CENTRE = (IMAGE_SIZE - 1) / 2

GRID = 128  # smooth maps are drawn at half the resolution; concentrations are wider than a pixel
_EDGE_GAUSS = 100.0  # smooth field at which half of the area is covered by fragments
_FRAGMENT_GAUSS = 220.0
_MIXING = 0.35
_HAZE = 16  # cells of an edge in which the haze of a coarse map is averaged

_LINES, _STEPS = 540, 84
# Pixels of 256 from point to point, its growth with height, and its maximum.
_STRIDE, _LONGER, _LONGEST = 2.0, 0.03, 3.2
_DEPTH = 5.0  # of the charges below the surface, so that lines leave a concentration as a fan


@dataclass(frozen=True)
class View:
    """The direction of a region at (latitude, longitude) in degrees; the disk's tilt is left out.

    ``mu`` (256, 256): cosine of the angle to the vertical, 0 beyond the limb. ``beyond``
    (256, 256): distance above the limb in pixels, 0 on the disk.
    """

    west: tuple[float, float]
    north: tuple[float, float]
    up: tuple[float, float]
    mu: F32
    beyond: F32

    def project(self, u: F64, v: F64, height: F64 | float = 0.0) -> tuple[F64, F64]:
        """Return the column and row, in pixels, of points around the region's centre."""
        x = u * self.west[0] + v * self.north[0] + height * self.up[0]
        y = u * self.west[1] + v * self.north[1] + height * self.up[1]
        return _CENTRE + x, _CENTRE - y


def view_of(latitude: float, longitude: float) -> View:
    """Return the view of a region at heliographic coordinates in degrees."""
    lat, lon = math.radians(latitude), math.radians(longitude)
    up = (math.cos(lat) * math.sin(lon), math.sin(lat))
    axis = np.arange(IMAGE_SIZE, dtype=np.float32) - np.float32(_CENTRE)
    x = axis[None, :] + np.float32(SOLAR_RADIUS * up[0])
    y = np.float32(SOLAR_RADIUS * up[1]) - axis[:, None]
    rho2 = (x * x + y * y) / np.float32(SOLAR_RADIUS**2)
    mu = np.sqrt(np.maximum(1 - rho2, 0))
    beyond = np.maximum(np.sqrt(rho2) - 1, 0) * np.float32(SOLAR_RADIUS)
    west, north = (math.cos(lon), 0.0), (-math.sin(lat) * math.sin(lon), math.cos(lat))
    return View(west, north, up, mu, beyond)


@dataclass(frozen=True)
class Field:
    """One instant of a region's field.

    ``gauss`` (256, 256): along the line of sight, not saturated. ``cover`` (256, 256): logarithmic
    strength of the smooth field, 0 where half of the area is covered. ``strength`` (128, 128): the
    smooth unsigned field; ``inversion`` (128, 128): the weaker of its two polarities; in gauss.
    """

    gauss: F32
    cover: F32
    strength: F32
    inversion: F32


def field_at(sources: Sources, view: View, *, fragments: F32, mixing: F32) -> Field:
    """Draw the field of concentrations.

    ``fragments`` and ``mixing`` (256, 256), of unit variance, decide which fragments exist and
    which of the two polarities dominates where both are strong: there the field stays strong right
    up to a winding inversion line.
    """
    positive = _smooth(sources, view, sources.flux > 0)
    negative = _smooth(sources, view, sources.flux < 0)
    strength = positive + negative
    relative = np.maximum(strength, np.float32(1e-2)) * np.float32(1 / _EDGE_GAUSS)
    cover = enlarge(np.float32(1.1) * log_of_image(relative))
    frayed = np.maximum(fragments + cover, 0) * np.float32(_FRAGMENT_GAUSS)
    balance = enlarge((positive - negative) / np.maximum(strength, 1e-2))
    gauss = np.copysign(frayed, balance + np.float32(_MIXING) * mixing) * view.mu
    return Field(gauss, cover, strength, np.minimum(positive, negative))


def _smooth(sources: Sources, view: View, chosen: np.ndarray) -> F32:
    """Sum Gaussians of the chosen concentrations on the coarse grid, foreshortened."""
    scale = GRID / IMAGE_SIZE
    x, y = view.project(sources.u[chosen], sources.v[chosen])
    wide, high = view.west[0], view.north[1]
    width = sources.width[chosen]
    axis = (np.arange(GRID) + 0.5) / scale - 0.5
    across = exp(-0.5 * ((axis - x[:, None]) / (width * wide)[:, None]) ** 2)
    down = exp(-0.5 * ((axis - y[:, None]) / (width * high)[:, None]) ** 2)
    peak = np.abs(sources.flux[chosen]) / (2 * np.pi * width**2)
    total = np.zeros((GRID, GRID), dtype=np.float32)
    rows, columns = (down * peak[:, None]).astype(np.float32), across.astype(np.float32)
    # One by one and not a product of matrices: no thread of a BLAS, and the same sums everywhere.
    for row, column in zip(rows, columns, strict=True):
        total += row[:, None] * column
    return total


def enlarge(coarse: F32) -> F32:
    """Interpolate a coarse map to (256, 256)."""
    image = Image.fromarray(np.ascontiguousarray(coarse, dtype=np.float32))
    return np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR))


def blurred(field: F32, *, coarse: int, edge: int) -> F32:
    """Average a square map down to ``coarse`` pixels and interpolate to (edge, edge)."""
    return _spread(_averaged(field, coarse), edge)


def hazy(field: F32, *, near: float, far: float) -> F32:
    """Return the haze around bright places of a coarse map, on scales of 16 and 64 pixels."""
    small = _averaged(field, _HAZE)
    wide = blurred(small, coarse=_HAZE // 4, edge=_HAZE)
    return _spread(np.float32(near) * small + np.float32(far) * wide, GRID)


def _averaged(field: F32, edge: int) -> F32:
    block = field.shape[0] // edge
    return np.asarray(field.reshape(edge, block, edge, block).mean(axis=(1, 3)), dtype=np.float32)


def _spread(small: F32, edge: int) -> F32:
    image = Image.fromarray(small)
    smooth: F32 = np.asarray(image.resize((edge, edge), Image.Resampling.BICUBIC))
    # Bicubic interpolation overshoots below zero next to a bright spot.
    return np.asarray(np.maximum(smooth, 0))


def quiet_field(fine: F32, cells: F32) -> F32:
    """Return the field of the quiet Sun in gauss: small fragments in the lanes between cells."""
    lanes = np.maximum(np.float32(1.15) - np.abs(cells), 0)
    return np.asarray(np.float32(4.5) * lanes * fine * fine * fine)


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
