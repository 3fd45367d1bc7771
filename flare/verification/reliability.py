"""Reliability: whether the event happens in 30 % of the cases in which 30 % was forecast.

Forecasts are put into bins of equal width. The Brier score falls into parts over the same bins.
"""

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


@dataclass(frozen=True)
class BrierParts:
    """The five parts of a Brier score over bins of the forecast probability, () or (R,) each.

    ``reliability`` (perfect 0) is the squared distance of forecast and observed frequency,
    ``resolution`` (perfect is ``uncertainty``, no skill 0) the variance of the observed frequency
    between bins, ``uncertainty`` that of the outcomes, b (1 - b) for an event rate b, which no
    forecast changes. The two within bins are of forecasts that differ in one bin.
    """

    reliability: FloatArray
    resolution: FloatArray
    uncertainty: FloatArray
    within_bin_variance: FloatArray
    within_bin_covariance: FloatArray

    @property
    def brier_score(self) -> FloatArray:
        """The sum of the parts: exactly the Brier score, whatever the bins."""
        within = self.within_bin_variance - self.within_bin_covariance
        return self.reliability - self.resolution + self.uncertainty + within


def brier_decomposition(
    observed: BoolArray,
    probability: FloatArray,
    *,
    n_bins: int = 10,
    weights: ArrayLike | None = None,
) -> BrierParts:
    """Say how much of a Brier score is bad calibration and how much a lack of discrimination.

    Reliability - resolution + uncertainty (Murphy 1973,
    doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2) is the Brier score where all forecasts of
    a bin are equal. Else variance - covariance within the bins is missing from it (Stephenson et
    al. 2008, doi:10.1175/2007WAF2006116.1). Reliability and resolution are biased upwards where
    bins hold few samples. NaN where the weights are all 0.
    """
    observed = outcome_array("observed", observed)
    probability = probability_array("probability", probability, observed.shape)
    counts = weight_array(weights, len(observed))
    _, index = _bins(probability, n_bins)
    # About the centre of each bin, so that small variances are not differences of large sums.
    centre = np.bincount(index, probability, minlength=n_bins) / np.maximum(
        np.bincount(index, minlength=n_bins), 1
    )
    offset = probability - centre[index]
    columns = np.stack([np.ones_like(offset), offset, observed, offset**2, offset * observed], 1)
    in_bin = np.eye(n_bins)[index]  # (N, B)
    per_bin = columns[:, :, None] * in_bin[:, None, :]  # (N, 5, B)
    sums = counts @ per_bin.reshape(len(observed), -1)
    n, p, o, pp, po = np.moveaxis(sums.reshape(*sums.shape[:-1], 5, n_bins), -2, 0)  # (..., B)
    total, happened = n.sum(axis=-1), o.sum(axis=-1)
    filled = np.where(n > 0, n, 1)
    rate = ratio(happened, total)
    excess = centre + (p - o) / filled

    def share(values: FloatArray) -> FloatArray:
        return ratio(values.sum(axis=-1), total)

    return BrierParts(
        reliability=share(n * np.square(excess)),
        resolution=share(n * np.square(o / filled - rate[..., None])),
        uncertainty=rate * (1 - rate),
        within_bin_variance=share(pp - p * p / filled),
        within_bin_covariance=2 * share(po - p * o / filled),
    )
