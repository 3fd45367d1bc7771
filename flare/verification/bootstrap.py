"""Intervals by the bootstrap over active regions, of scores and of shares and means of groups.

Samples of one region share images and labels, so resampling samples would make every interval too
narrow. Block bootstrap: Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 8.
Groups are booleans (G, N): which samples are in which. Weights are (R, N), from ``region_weights``.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import VerificationInvalid
from flare.seeding import Stream, stream
from flare.verification.inputs import BoolArray, FloatArray, ratio, weight_array

#: Of the intervals of scores, where no other level is asked for.
LEVEL = 0.95


def region_weights(active_regions: ArrayLike, *, n_resamples: int = 1000, seed: int) -> FloatArray:
    """Draw as many active regions as there are, with replacement, and count their samples.

    ``active_regions`` are NOAA numbers, (N,); the same seed and regions give the same weights: how
    often each sample counts in each resample, (R, N), whole numbers as float64.

    Raises VerificationInvalid: there are no samples or no resamples.
    """
    regions = np.asarray(active_regions)
    if regions.ndim != 1 or regions.size == 0:
        raise VerificationInvalid(f"active regions have shape {regions.shape}; wanted (N,), N >= 1")
    if n_resamples < 1:
        raise VerificationInvalid(f"{n_resamples} resamples give no interval; ask for at least 1")
    names, index = np.unique(regions, return_inverse=True)
    generator = stream(seed, Stream.BOOTSTRAP)
    # Drawing G of G regions with replacement and counting them is one multinomial draw.
    draws = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), n_resamples)
    return draws.astype(np.float64)[:, index]


def interval(values: FloatArray, level: float = LEVEL) -> tuple[float, float]:
    """Return the percentile interval of the resampled values (R,).

    Resamples in which the score is undefined (NaN) are left out; where they are more than half,
    both ends are NaN: there were too few events.

    Raises VerificationInvalid: the level is not strictly between 0 and 1, or there are no values.
    """
    if not 0 < level < 1:
        raise VerificationInvalid(f"an interval level of {level} is outside 0..1; use e.g. 0.95")
    if values.size == 0:
        raise VerificationInvalid("no resampled values; ask for at least one resample")
    defined = values[~np.isnan(values)]
    if 2 * defined.size < values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Grouped:
    """A value of each group with its interval, NaN where there is none; all (G,)."""

    value: FloatArray
    low: FloatArray
    high: FloatArray
    counts: NDArray[np.intp]


def bands(values: FloatArray, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper ends (K,) of the intervals of resampled values (R, K)."""
    ends = np.array([interval(column, level) for column in values.T]).reshape(-1, 2)
    return ends[:, 0], ends[:, 1]


def wilson_interval(
    events: FloatArray, counts: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Return the ends of the interval of a share, from independent samples.

    NaN where there are none. Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    share = ratio(events, counts)
    centre = ratio(events + z2 / 2, counts + z2)
    half = np.sqrt(z2 * (share * (1 - share) * counts + z2 / 4)) / (counts + z2)
    empty = np.equal(counts, 0)
    return (
        np.where(empty, np.nan, np.maximum(centre - half, 0)),
        np.where(empty, np.nan, np.minimum(centre + half, 1)),
    )


def grouped_shares(
    outcomes: BoolArray, groups: BoolArray, *, weights: FloatArray | None, level: float = LEVEL
) -> Grouped:
    """Return the observed frequency of an event in each group.

    The interval is the wider of that over resampled regions and Wilson's: a group of one region,
    or one without events, has no spread that resampling could show. Without weights it
    is Wilson's.
    """
    counts, events = groups.sum(axis=1), (groups & outcomes).sum(axis=1)
    low, high = wilson_interval(events, counts, level)
    if weights is not None:
        resampled = _resampled_means(outcomes.astype(np.float64), groups, weights)
        resampled_low, resampled_high = bands(resampled, level)
        low, high = np.fmin(low, resampled_low), np.fmax(high, resampled_high)
    return Grouped(ratio(events, counts), low, high, counts)


def grouped_means(
    values: FloatArray, groups: BoolArray, *, weights: FloatArray | None, level: float = LEVEL
) -> Grouped:
    """Return the mean of each group; no interval without weights, nor where one region is all."""
    counts = groups.sum(axis=1)
    means = ratio(groups @ values, counts)
    low = high = np.full(len(groups), np.nan)
    if weights is not None:
        low, high = bands(_resampled_means(values, groups, weights), level)
        alone = np.isclose(low, high, rtol=1e-9, atol=0)
        low, high = np.where(alone, np.nan, low), np.where(alone, np.nan, high)
    return Grouped(means, low, high, counts)


def _resampled_means(values: FloatArray, groups: BoolArray, weights: FloatArray) -> FloatArray:
    weights = weight_array(weights, len(values))
    return ratio(weights @ (groups * values).T, weights @ groups.T)  # (R, G)
