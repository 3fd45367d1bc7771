"""What every score takes, and the checks that come before a number is computed.

Observed outcomes are booleans (N,). Weights say how often each sample counts: None for once, (N,)
for one weighting, (R, N) for R resamples, whose scores then have shape (R,).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import VerificationInvalid

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def outcome_array(name: str, outcomes: ArrayLike) -> BoolArray:
    """Return booleans of shape (N,).

    Raises
    ------
    VerificationInvalid
        There are none, or they are not booleans: a probability is no outcome.
    """
    array = np.asarray(outcomes)
    if array.ndim != 1 or array.size == 0:
        raise VerificationInvalid(
            f"{name} has shape {array.shape}; wanted (N,) with at least one sample"
        )
    if array.dtype != np.bool_:
        raise VerificationInvalid(
            f"{name} is {array.dtype}; wanted booleans, as in probability >= threshold"
        )
    return array


def number_array(name: str, numbers: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return finite float64 numbers of the given shape.

    Raises
    ------
    VerificationInvalid
        The shape is another, or a number is NaN or infinite.
    """
    array = np.asarray(numbers, dtype=np.float64)
    if array.shape != shape:
        raise VerificationInvalid(f"{name} has shape {array.shape}; wanted {shape}")
    if array.ndim == 0 and not np.isfinite(array):
        raise VerificationInvalid(f"{name} is {array}; wanted a finite number")
    if not np.isfinite(array).all():
        index = tuple(int(axis) for axis in np.argwhere(~np.isfinite(array))[0])
        raise VerificationInvalid(
            f"{name}{list(index)} is {array[index]}; score only samples that have a forecast "
            "and a label"
        )
    return array


def probability_array(name: str, probability: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return probabilities of the given shape.

    Raises
    ------
    VerificationInvalid
        One of them is outside 0..1 or NaN, or the shape is another.
    """
    array = number_array(name, probability, shape)
    outside = (array < 0) | (array > 1)
    if outside.any():
        raise VerificationInvalid(
            f"{name} has the value {array[outside][0]}; a probability lies in 0..1"
        )
    return array


def row_array(rows: ArrayLike, n: int) -> NDArray[np.intp]:
    """Return row numbers in 0..n-1, from row numbers or from booleans (n,).

    Negative numbers count from the end.

    Raises
    ------
    VerificationInvalid
        There is no such row, or there are not n booleans.
    """
    array = np.asarray(rows)
    if array.dtype == np.bool_ and array.shape == (n,):
        return np.flatnonzero(array)
    if array.size == 0 and array.ndim == 1:
        return np.empty(0, dtype=np.intp)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise VerificationInvalid(
            f"rows are {array.dtype} of shape {array.shape}; wanted row numbers or ({n},) booleans"
        )
    if array.min() < -n or array.max() >= n:
        raise VerificationInvalid(f"rows {array.min()}..{array.max()} of {n} samples")
    return array.astype(np.intp) % n


def weight_array(weights: ArrayLike | None, n: int) -> FloatArray:
    """Return weights of shape (n,) or (R, n); None stands for ones.

    Raises
    ------
    VerificationInvalid
        The last axis is not n.
    """
    if weights is None:
        return np.ones(n)
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim not in (1, 2) or array.shape[-1] != n:
        raise VerificationInvalid(f"weights have shape {array.shape}; wanted ({n},) or (R, {n})")
    return array


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> FloatArray:
    """Divide, with NaN wherever the denominator is 0."""
    top, bottom = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    quotient = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=quotient, where=bottom != 0)
    return quotient
