"""Reliability: whether the event happens in 30 % of the cases in which 30 % was forecast."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import VerificationInvalid
from flare.verification.inputs import (
    BoolArray,
    FloatArray,
    outcome_array,
    probability_array,
    ratio,
    weight_array,
)


@dataclass(frozen=True)
class ReliabilityCurve:
    """Forecasts in B bins of equal width over 0..1.

    ``edges`` is (B + 1,); ``mean_probability`` and ``observed_frequency`` are (B,), NaN in empty
    bins; ``counts`` and ``event_counts`` are (B,). A bin holds its lower edge, the last both.
    """

    edges: FloatArray
    mean_probability: FloatArray
    observed_frequency: FloatArray
    counts: NDArray[np.intp]
    event_counts: NDArray[np.intp]


def _bins(probability: FloatArray, n_bins: int) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return the edges (B + 1,) and the bin of each probability (N,)."""
    if n_bins < 1:
        raise VerificationInvalid(f"{n_bins} bins hold no forecasts; ask for at least one")
    edges = np.linspace(0, 1, n_bins + 1)
    return edges, np.digitize(probability, edges[1:-1])


def reliability_curve(
    observed: BoolArray, probability: FloatArray, *, n_bins: int = 10
) -> ReliabilityCurve:
    """Compare forecast probability and observed frequency bin by bin.

    Raises
    ------
    VerificationInvalid
        Empty or unequal arrays, a probability outside 0..1, or no bins.
    """
    observed = outcome_array("observed", observed)
    probability = probability_array("probability", probability, observed.shape)
    edges, index = _bins(probability, n_bins)
    counts = np.bincount(index, minlength=n_bins)
    events = np.bincount(index[observed], minlength=n_bins)
    return ReliabilityCurve(
        edges=edges,
        mean_probability=ratio(np.bincount(index, probability, minlength=n_bins), counts),
        observed_frequency=ratio(events, counts),
        counts=counts,
        event_counts=events,
    )


def expected_calibration_error(
    observed: BoolArray,
    probability: FloatArray,
    *,
    n_bins: int = 10,
    weights: ArrayLike | None = None,
) -> FloatArray:
    """Return the mean distance of forecast probability and observed frequency over bins (ECE).

    Each bin counts by its share of the samples. In 0..1, perfect 0, upwards biased where bins hold
    few samples; climatology scores near 0, so it says nothing of skill. Shape () or (R,). Guo et
    al. 2017, arXiv:1706.04599.
    """
    observed = outcome_array("observed", observed)
    probability = probability_array("probability", probability, observed.shape)
    counts = weight_array(weights, len(observed))
    _, index = _bins(probability, n_bins)
    in_bin = np.eye(n_bins)[index]  # (N, B)
    excess = counts @ (in_bin * (probability - observed)[:, None])  # (..., B)
    return ratio(np.abs(excess).sum(axis=-1), counts.sum(axis=-1))
