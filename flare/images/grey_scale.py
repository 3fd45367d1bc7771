"""Convert the numbers of an uploaded array to grey levels 0..255, after deciding on their scale.

Integers are grey levels. Floats may be grey levels or fractions of 255; a wrong choice changes
every pixel by a factor of 255, so floats that could be either are refused unless the scale is
stated.
"""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flare.errors import NpyRejected
from flare.sample import IMAGE_SIZE, N_PLANES

#: ``fraction``: 1 is white; ``level``: 255 is white.
Scale = Literal["fraction", "level"]
FRACTION: Scale = "fraction"
LEVEL: Scale = "level"

#: A float plane with a value this large is on the scale of levels. Fractions that were interpolated
#: reach a little above 1, and no image of the Sun on SDOBenchmark's scale stays below 16.
SURELY_LEVEL = 16.0

GREY_HINT = "send grey levels 0..255 as an integer or float type, or floats in 0..1"
SCALE_HINT = (
    "state the scale: scale=fraction where 1 is white, scale=level where 255 is (a query or form "
    "field of the server, -P scale= of predict)"
)

_HIGHEST = {FRACTION: 1, LEVEL: 255}


def to_grey_levels(
    values: NDArray[Any], *, scale: Scale | None = None, batch: bool = False
) -> tuple[NDArray[np.uint8], Scale]:
    """Convert integers or floats to grey levels; a whole array has one scale.

    Without a stated scale, floats are fractions where no value is above 1 and some are not whole
    numbers. They are levels where a plane reaches 16, or holds whole numbers above 1, and no plane
    holds only fractions of 1. Planes of a single value, which count as missing, do not matter.

    ``values`` are C-contiguous, (..., 256, 256). ``scale`` is stated by the user; None decides by
    the values. The first axis of a ``batch`` is that of samples; messages then name the sample.

    Returns uint8 of the same shape, floats rounded to the nearest level (``values`` itself where it
    is uint8), and the scale that was used.

    Raises NpyRejected: ``not_finite``, ``out_of_range``, ``ambiguous_scale``, or ``wrong_dtype``
    for integers whose stated scale is fractions.
    """
    planes = values.reshape(-1, IMAGE_SIZE**2)
    if values.dtype.kind in "iu":
        if scale == FRACTION:
            detail = f"the array is of type {values.dtype}, stated to be fractions"
            raise NpyRejected("wrong_dtype", detail, hint="integers are levels; state no scale")
        if values.dtype == np.uint8:
            return values, LEVEL
        _check_range(planes.min(axis=1), planes.max(axis=1), _HIGHEST[LEVEL], batch)
        return values.astype(np.uint8), LEVEL
    # The first image nearly always has the scale of all: one pass over memory then.
    guess = scale or (FRACTION if planes[0].max() <= 1 else LEVEL)
    grey, lows, highs = _rounded(planes, guess)
    _check_range(lows, highs, _HIGHEST[scale or LEVEL], batch)
    used = scale or _scale_of(planes, lows, highs)
    if used != guess:
        grey = _rounded(planes, used)[0]
    return grey.reshape(values.shape), used


def _scale_of(planes: NDArray[Any], lows: NDArray[Any], highs: NDArray[Any]) -> Scale:
    """Return the scale that float planes (P, pixels) are on; ``lows`` and ``highs`` are (P,)."""
    there = lows < highs
    if not there.any():
        return LEVEL
    within_one = np.flatnonzero(there & (highs <= 1))
    dark = np.flatnonzero(there & (highs > 1) & (highs < SURELY_LEVEL))
    fractions = any(_has_fractions(planes[k]) for k in within_one)
    levels = bool((there & (highs >= SURELY_LEVEL)).any()) or any(
        not _has_fractions(planes[k]) for k in dark
    )
    if levels and not fractions:
        return LEVEL
    if fractions and not levels and not len(dark):
        return FRACTION
    low, high = float(lows[there].min()), float(highs[there].max())
    detail = f"floats from {low:.9g} to {high:.9g} may be fractions of 255 or grey levels"
    if levels:
        mixed = int(there[within_one].sum())
        detail = f"{mixed} planes hold floats of at most 1, others up to {high:g}"
    raise NpyRejected("ambiguous_scale", detail, hint=SCALE_HINT)


def _has_fractions(plane: NDArray[Any]) -> bool:
    return bool((plane != np.rint(plane)).any())


def _rounded(
    planes: NDArray[Any], scale: Scale
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Return float planes (P, pixels) as grey levels, with each plane's minimum and maximum."""
    grey = np.empty(planes.shape, dtype=np.uint8)
    lows, highs = np.empty(len(planes)), np.empty(len(planes))
    factor = np.float32(_HIGHEST[LEVEL] / _HIGHEST[scale])
    # One image at a time, so that intermediate results stay in the cache: four times faster.
    with np.errstate(invalid="ignore", over="ignore"):  # the range is checked afterwards
        for k, plane in enumerate(planes):
            lows[k], highs[k] = plane.min(), plane.max()
            grey[k] = np.rint(plane * factor)
    return grey, lows, highs  # NaN comes through both


def _check_range(lows: NDArray[Any], highs: NDArray[Any], highest: int, batch: bool) -> None:
    for k, (low, high) in enumerate(zip(lows.tolist(), highs.tolist(), strict=True)):
        most = highest if low < high else _HIGHEST[LEVEL]  # a single value only means missing
        which = f"sample {k // N_PLANES}: " if batch else ""
        if not (math.isfinite(low) and math.isfinite(high)):
            raise NpyRejected(
                "not_finite",
                f"{which}the array holds NaN or infinity",
                hint="send zeros for an image that is missing",
            )
        if low < 0 or high > most:
            detail = f"{which}the values of an image run from {low:.9g} to {high:.9g}"
            hint = GREY_HINT if most > 1 else "scale=fraction takes floats in 0..1"
            raise NpyRejected("out_of_range", detail, hint=hint)
