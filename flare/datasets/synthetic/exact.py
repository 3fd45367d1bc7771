"""Compute exponentials and logarithms with the same bits on every processor.

NumPy uses different ones for each kind of processor, which differ in the last bit: enough to change
a grey level here and there, and with it the fingerprint of a dataset. Sums, products and square
roots are the same everywhere (IEEE 754), so these functions use nothing else.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# ln 2 in two parts, the first with zeros at its end, so that its multiples are exact.
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_EXP_TERMS, _LOG_TERMS = 14, 11

_STEPS = 1024  # table entries to a unit of exp's argument, and to an octave of log's
_LIMIT = 12  # exp of an image is asked for between -12 and 12
_OCTAVES = 24  # log of an image between 2**-24 and 2**24
_MANTISSA_BITS, _KEPT_BITS, _EXPONENT_BIAS = 23, 10, 127


def exp(x: F64) -> F64:
    """Return e**x of float64 values of any shape, to about one unit of the last place."""
    power = np.rint(x * (1 / (_LN2_HIGH + _LN2_LOW)))
    rest = x - power * _LN2_HIGH - power * _LN2_LOW
    total = np.ones_like(rest)
    for n in range(_EXP_TERMS, 0, -1):
        total = 1 + rest * total / n
    return np.asarray(np.ldexp(total, power.astype(np.int32)))


def log(x: F64) -> F64:
    """Return the natural logarithm of positive float64 values of any shape."""
    mantissa, power = np.frexp(x)
    small = mantissa < 0.7071067811865476
    mantissa, power = np.where(small, 2 * mantissa, mantissa), power - small
    s = (mantissa - 1) / (mantissa + 1)
    square, total = s * s, np.zeros_like(s)
    for n in range(2 * _LOG_TERMS - 1, 0, -2):
        total = total * square + 1 / n
    return np.asarray(power * (_LN2_HIGH + _LN2_LOW) + 2 * s * total)


def exp_of_image(x: F32) -> F32:
    """Return e**x of an image, from a table: to half a thousandth, where 12 > x > -12."""
    place = x * np.float32(_STEPS) + np.float32(_LIMIT * _STEPS + 0.5)
    return np.asarray(_exp_table().take(place.astype(np.int32), mode="clip"))


def log_of_image(x: F32) -> F32:
    """Return the logarithm of a positive image, from a table: to half a thousandth."""
    bits = np.ascontiguousarray(x).view(np.int32) >> (_MANTISSA_BITS - _KEPT_BITS)
    place = bits - np.int32((_EXPONENT_BIAS - _OCTAVES) << _KEPT_BITS)
    return np.asarray(_log_table().take(place, mode="clip"))


@cache
def _exp_table() -> F32:
    steps = np.arange(-_LIMIT * _STEPS, _LIMIT * _STEPS + 1, dtype=np.float64)
    return exp(steps / _STEPS).astype(np.float32)


@cache
def _log_table() -> F32:
    """Logarithms of the middles of all floats with the same exponent and first mantissa bits."""
    middles = 1 + (np.arange(1 << _KEPT_BITS) + 0.5) / (1 << _KEPT_BITS)
    octaves = np.ldexp(1.0, np.arange(-_OCTAVES, _OCTAVES))
    return log(octaves[:, None] * middles).astype(np.float32).ravel()
