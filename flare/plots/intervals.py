"""Shares and means of groups of samples with their intervals, as figures show them.

Groups are booleans (G, N): which samples are in which. Weights are (R, N), as ``region_weights``
of ``flare.verification.bootstrap`` draws them.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from flare.verification.bootstrap import interval
from flare.verification.inputs import BoolArray, FloatArray, ratio, weight_array


@dataclass(frozen=True)
class Grouped:
    """A value of each group with its interval, NaN where there is none; all (G,)."""

    value: FloatArray
    low: FloatArray
    high: FloatArray
    counts: NDArray[np.intp]


def bands(values: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
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
    happened: BoolArray, groups: BoolArray, *, weights: FloatArray | None, level: float
) -> Grouped:
    """Return how often something happened in each group.

    The interval is the wider of that over resampled regions and Wilson's: a group of one region,
    or one in which nothing happened, has no spread that resampling could show. Without weights it
    is Wilson's.
    """
    counts, events = groups.sum(axis=1), (groups & happened).sum(axis=1)
    low, high = wilson_interval(events, counts, level)
    if weights is not None:
        drawn = _resampled_means(happened.astype(np.float64), groups, weights)
        resampled_low, resampled_high = bands(drawn, level)
        low, high = np.fmin(low, resampled_low), np.fmax(high, resampled_high)
    return Grouped(ratio(events, counts), low, high, counts)


def grouped_means(
    values: FloatArray, groups: BoolArray, *, weights: FloatArray | None, level: float
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


def draw_intervals(
    axes: Axes, x: FloatArray, found: Grouped, *, color: str, label: str | None = None
) -> None:
    """Draw the groups that are not empty: a point each, and a bar where there is an interval."""
    barred = ~np.isnan(found.low)
    axes.vlines(x[barred], found.low[barred], found.high[barred], color=color, linewidth=1.2)
    some = found.counts > 0
    axes.plot(
        x[some], found.value[some], color=color, marker="o", markersize=4.5, linestyle="",
        label=label,
    )  # fmt: skip
