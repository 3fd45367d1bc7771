"""Inputs of scores and their checks.

Observed outcomes are booleans (N,). Weights are how often each sample counts: None for once, (N,)
for one weighting, (R, N) for R resamples, whose scores then have shape (R,).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.goes import LABEL_SCALES, QUIET_FLUX

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def outcome_array(name: str, outcomes: ArrayLike) -> BoolArray:
    """Return booleans of shape (N,).

    Raises VerificationInvalid: there are none, or they are not booleans.
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

    Raises VerificationInvalid: the shape is another, or a number is NaN or infinite.
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

    Raises VerificationInvalid: one of them is outside 0..1 or NaN, or the shape is another.
    """
    array = number_array(name, probability, shape)
    outside = (array < 0) | (array > 1)
    if outside.any():
        raise VerificationInvalid(
            f"{name} has the value {array[outside][0]}; a probability lies in 0..1"
        )
    return array


def weight_array(weights: ArrayLike | None, n: int) -> FloatArray:
    """Return weights of shape (n,) or (R, n); None for ones.

    Raises VerificationInvalid: the last axis is not n.
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


def event_arrays(
    observed: ArrayLike, probability: ArrayLike, weights: ArrayLike | None = None
) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Return checked outcomes (N,), probabilities (N,) and weights (N,) or (R, N) of an event."""
    outcomes = outcome_array("observed", observed)
    chance = probability_array("probability", probability, outcomes.shape)
    return outcomes, chance, weight_array(weights, len(outcomes))


def weighted_mean(values: FloatArray, weights: ArrayLike | None) -> FloatArray:
    """Return the mean of values (N,); NaN where all weights are 0."""
    counts = weight_array(weights, len(values))
    return ratio(counts @ values, counts.sum(axis=-1))


@dataclass(frozen=True)
class Observations:
    """Labels of N samples: ``peak_flux`` in W m^-2 and the NOAA ``active_region``, both (N,)."""

    peak_flux: FloatArray
    active_region: NDArray[np.integer]

    @classmethod
    def from_table(cls, table: "pd.DataFrame") -> "Observations":
        """Return the labels of a table with the columns of ``read_table``."""
        return cls(
            table["peak_flux"].to_numpy(dtype=np.float64),
            table["active_region"].to_numpy(dtype=np.int64),
        )

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Observations":
        """Return the labels of some samples: row numbers, or booleans (N,)."""
        return Observations(self.peak_flux[rows], self.active_region[rows])


def check_scorable(forecast: Forecast, observations: Observations, scale: str) -> None:
    """Raise VerificationInvalid unless forecasts and observations can be scored."""
    if scale not in LABEL_SCALES:
        raise VerificationInvalid(f"no label scale {scale!r}; choose from {list(LABEL_SCALES)}")
    n = np.size(observations.peak_flux)
    if n == 0:
        raise VerificationInvalid("no samples to score; the split is empty")
    flux = number_array("peak_flux", observations.peak_flux, (n,))
    if observations.peak_flux.dtype != np.float64:
        # float32 has no 1e-5: an M1.0 would be scored as a C9.9.
        raise VerificationInvalid(f"peak_flux is {observations.peak_flux.dtype}; wanted float64")
    if flux.min() <= 0:
        raise VerificationInvalid(f"a peak_flux of {flux.min()} W m^-2; quiet is {QUIET_FLUX}")
    if np.shape(observations.active_region) != (n,):
        raise VerificationInvalid(
            f"active_region has shape {np.shape(observations.active_region)}; wanted {(n,)}"
        )
    for name in ("log10_flux", "lower", "upper"):
        number_array(name, getattr(forecast, name), (n,))
    if np.any(forecast.lower > forecast.upper):
        raise VerificationInvalid("an interval whose lower end is above its upper end")
    probability_array("probability", forecast.probability, (n, len(forecast.events)))
    for event in forecast.events:
        if event not in forecast.thresholds:
            raise VerificationInvalid(
                f"no threshold for {event}; wanted one for each of {list(forecast.events)}"
            )
        probability_array(f"threshold of {event}", forecast.thresholds[event], ())
