"""Define a sample: ten channels at four times before the forecast window, and which are present.

A cube is uint8 of shape (T, C, H, W) = (4, 10, 256, 256), grey levels as in SDOBenchmark's images;
``present`` is a boolean (T, C). A missing image is False there and zero in the cube. Zero is also a
valid grey level (-250 G in a magnetogram), so a cube is never read without ``present``.
Layout, offsets and pixel ranges: i4Ds/SDOBenchmark, STRUCTURE.md and its image pipeline.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare.errors import InputInvalid

Cube = NDArray[np.uint8]  # (T, C, H, W), or (N, T, C, H, W) where several are meant
Present = NDArray[np.bool_]  # (T, C), or (N, T, C)
PlaneSums = NDArray[np.int64]  # (T, C, 2), or (N, T, C, 2)

#: Ångström for AIA's channels; continuum and magnetogram are HMI's. The order of the planes.
CHANNELS = ("94", "131", "171", "193", "211", "304", "335", "1700", "continuum", "magnetogram")
MAGNETOGRAM = CHANNELS.index("magnetogram")

#: Minutes from the start of the input window; the last is ten minutes before its end.
STEP_OFFSETS_MINUTES = (0, 420, 630, 710)
INPUT_WINDOW_HOURS = 12
FORECAST_WINDOW_HOURS = 24

N_STEPS, N_CHANNELS, IMAGE_SIZE = len(STEP_OFFSETS_MINUTES), len(CHANNELS), 256
N_PLANES = N_STEPS * N_CHANNELS
CUBE_SHAPE = (N_STEPS, N_CHANNELS, IMAGE_SIZE, IMAGE_SIZE)


def _before(offset_minutes: int) -> str:
    minutes = INPUT_WINDOW_HOURS * 60 - offset_minutes
    return f"{minutes / 60:g} h" if minutes >= 60 else f"{minutes} min"


#: Names of the time steps: how long before the forecast window.
STEP_NAMES = tuple(_before(minutes) for minutes in STEP_OFFSETS_MINUTES)


@dataclass(frozen=True)
class PixelScale:
    """How a channel's physical values became grey levels 0..255.

    ``log10`` channels are AIA's, in DN/s; linear ones are HMI's, the magnetogram in gauss.
    """

    low: float
    high: float
    log10: bool


PIXEL_SCALES: dict[str, PixelScale] = {
    "94": PixelScale(0.1, 800, log10=True),
    "131": PixelScale(0.7, 1900, log10=True),
    "171": PixelScale(5, 3500, log10=True),
    "193": PixelScale(20, 5500, log10=True),
    "211": PixelScale(7, 3500, log10=True),
    "304": PixelScale(0.1, 3500, log10=True),
    "335": PixelScale(0.4, 1000, log10=True),
    "1700": PixelScale(220, 5000, log10=True),
    "continuum": PixelScale(0, 65535, log10=False),
    "magnetogram": PixelScale(-250, 250, log10=False),
}


def channel_title(channel: str) -> str:
    """Return the name of a channel in figures and texts: ``171 Å``, ``continuum``."""
    return f"{channel} Å" if channel.isdigit() else channel


def channel_unit(channel: str) -> str:
    """Return the unit of a channel's physical values."""
    return {"magnetogram": "gauss", "continuum": "counts"}.get(channel, "DN/s")


def physical_values(
    grey: NDArray[np.uint8] | NDArray[np.floating], channel: str
) -> NDArray[np.float32]:
    """Convert grey levels 0..255 of one channel to DN/s (AIA) or gauss (magnetogram), any shape."""
    scale = PIXEL_SCALES[channel]
    fraction = grey.astype(np.float32) / np.float32(255)
    if scale.log10:
        values = scale.low * np.power(np.float32(scale.high / scale.low), fraction)
    else:
        values = scale.low + (scale.high - scale.low) * fraction
    return np.asarray(values, dtype=np.float32)


def grey_levels(values: NDArray[np.floating], channel: str) -> NDArray[np.float64]:
    """Convert DN/s or gauss to grey levels, the inverse of `physical_values`; not rounded."""
    scale = PIXEL_SCALES[channel]
    wide = np.asarray(values, dtype=np.float64)
    if scale.log10:
        fraction = np.log(wide / scale.low) / np.log(scale.high / scale.low)
    else:
        fraction = (wide - scale.low) / (scale.high - scale.low)
    return np.asarray(255 * fraction)


def cube_of_planes(planes: NDArray[np.uint8]) -> Cube:
    """View (40, H, W) planes, or a (4, 10, H, W) cube, as a cube.

    Planes are ordered step by step, the channels of ``CHANNELS`` within each step.

    Raises InputInvalid: the shape is neither of the two, or the images are not square.
    """
    shape = planes.shape
    if len(shape) == 3 and shape[0] == N_PLANES:
        planes = planes.reshape(N_STEPS, N_CHANNELS, *shape[1:])
    if planes.ndim != 4 or planes.shape[:2] != (N_STEPS, N_CHANNELS) or shape[-1] != shape[-2]:
        raise InputInvalid(
            f"an array of shape {tuple(shape)} is not a sample; send (40, 256, 256), "
            "the 10 channels of the first time step first, or (4, 10, 256, 256)"
        )
    return planes


def present_of_cube(cube: Cube) -> Present:
    """Return which planes are present, (..., T, C) from (..., T, C, H, W).

    A plane of a single value counts as missing, as in `flare.images.planes.decode_plane`: it is a
    gap that was filled, and models were trained with such images masked.
    """
    # The middle line decides for nearly all of them: only the others are read to the end.
    middle = cube[..., cube.shape[-2] // 2, :]
    present = np.asarray((middle != middle[..., :1]).any(axis=-1))
    alike = ~present
    if alike.any():
        planes = cube[alike]
        present[alike] = (planes != planes[:, :1, :1]).any(axis=(-2, -1))
    return present


def plane_sums(cubes: Cube) -> PlaneSums:
    """Sum the grey levels and their squares of every image: int64 (..., 2) from (..., H, W).

    They are whole numbers, so sums over any images, in any order, are exact.
    """
    # Of at most 257 pixels a line, float32 holds the sums of a line exactly.
    wide: type[np.floating] = np.float32 if cubes.shape[-1] <= 257 else np.float64
    planes: NDArray[np.floating] = cubes.astype(wide)
    sums = planes.sum(axis=-1), np.einsum("...i,...i->...", planes, planes)
    return np.stack([one.sum(axis=-1, dtype=np.float64) for one in sums], axis=-1).astype(np.int64)


#: Planes that `reduce_cubes` averages at once, so that intermediate arrays fit the caches.
_AT_ONCE = 10


def reduce_cubes(cubes: Cube, size: int) -> Cube:
    """Shrink the images of cubes to ``size`` pixels by averaging blocks, rounded half up.

    Used by the pack and by forecasters, so that training and serving use the same pixels.

    ``cubes`` are uint8 (..., S, S) with S a multiple of ``size``.

    Raises InputInvalid: S is not a multiple of ``size``.
    """
    edge = cubes.shape[-1]
    if edge < size or edge % size or cubes.shape[-2] != edge:
        raise InputInvalid(
            f"images of {cubes.shape[-2]} x {edge} pixels cannot be averaged down to {size}; "
            f"send squares whose edge is a multiple of {size}"
        )
    if edge == size:
        return cubes
    planes = cubes.reshape(-1, edge, edge)
    reduced = np.empty((len(planes), size, size), dtype=np.uint8)
    for first in range(0, len(planes), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        reduced[part] = _average_blocks(planes[part], edge // size)
    return reduced.reshape(*cubes.shape[:-2], size, size)


def _average_blocks(planes: NDArray[np.uint8], block: int) -> NDArray[np.unsignedinteger]:
    """Average blocks of planes (P, S, S): strided sums are 14 times faster than a mean."""
    # 16 * 16 * 255 + 128 still fits 16 bits.
    wide: type[np.unsignedinteger] = np.uint16 if block <= 16 else np.uint32
    if block % 2 == 0:  # two neighbours are one number of 16 bits, and are added as its halves
        pairs = np.ascontiguousarray(planes).view(np.uint16)
        sums, left = ((pairs & 0xFF) + (pairs >> 8)).astype(wide, copy=False), block // 2
    else:
        sums, left = planes.astype(wide), block
    rows = sums[:, 0::block].copy()
    for k in range(1, block):
        rows += sums[:, k::block]
    total = rows[..., 0::left].copy()
    for k in range(1, left):
        total += rows[..., k::left]
    area = block * block
    total += wide(area // 2)
    total //= wide(area)
    return total
