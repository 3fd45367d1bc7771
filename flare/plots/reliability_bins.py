"""Forecasts in bins of their probability, and what a reliable forecaster would show there."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flare.errors import VerificationInvalid
from flare.plots.intervals import Grouped, bands, grouped_shares
from flare.seeding import Stream, stream
from flare.verification.inputs import (
    BoolArray,
    FloatArray,
    outcome_array,
    probability_array,
    ratio,
)

Bins = Literal["width", "count"]


@dataclass(frozen=True)
class ReliabilityBins:
    """Forecasts in B bins.

    ``edges`` is (B + 1,): a bin holds its lower edge, the last both. ``mean_probability`` is (B,),
    NaN in empty bins; ``observed`` is how often the event happened, with intervals. Between
    ``band_low`` and ``band_high``, both (B,), that share would lie of a reliable forecaster.
    """

    edges: FloatArray
    mean_probability: FloatArray
    observed: Grouped
    event_counts: NDArray[np.intp]
    band_low: FloatArray
    band_high: FloatArray


def reliability_bins(
    observed: BoolArray,
    probability: FloatArray,
    *,
    n_bins: int,
    bins: Bins,
    weights: FloatArray | None,
    level: float,
) -> ReliabilityBins:
    """Count forecasts and events by bins of equal width over 0..1, or of equal counts.

    Raises
    ------
    VerificationInvalid
        Empty or unequal arrays, a probability outside 0..1, or no bins.
    """
    observed = outcome_array("observed", observed)
    probability = probability_array("probability", probability, observed.shape)
    edges = bin_edges(probability, n_bins=n_bins, bins=bins)
    index = np.digitize(probability, edges[1:-1])
    groups = index == np.arange(len(edges) - 1)[:, None]  # (B, N)
    counts = groups.sum(axis=1)
    band_low, band_high = consistency_band(probability, index, n_bins=len(groups), level=level)
    return ReliabilityBins(
        edges=edges,
        mean_probability=ratio(groups @ probability, counts),
        observed=grouped_shares(observed, groups, weights=weights, level=level),
        event_counts=(groups & observed).sum(axis=1),
        band_low=band_low,
        band_high=band_high,
    )


def bin_edges(probability: FloatArray, *, n_bins: int, bins: Bins) -> FloatArray:
    """Return the edges, rising: at most n_bins + 1 of them.

    Equal counts are quantiles of what was forecast. Where many forecasts are the same number there
    are fewer bins: a bin is never divided within it.
    """
    if n_bins < 1:
        raise VerificationInvalid(f"{n_bins} bins hold no forecasts; ask for at least one")
    if bins == "width":
        return np.linspace(0, 1, n_bins + 1)
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, n_bins + 1)))
    return edges if len(edges) > 1 else np.repeat(edges, 2)


def consistency_band(
    probability: FloatArray,
    index: NDArray[np.intp],
    *,
    n_bins: int,
    level: float,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Return how far from reliable the shares of bins look by chance alone, both ends (B,).

    Forecasts are drawn with replacement, and for each an event with the probability that was
    forecast: consistency resampling, Broecker & Smith 2007, doi:10.1175/WAF993.1. Samples count as
    independent, so with several of one region the true band is wider.

    Parameters
    ----------
    index
        The bin of each probability, (N,).
    """
    generator = stream(seed, Stream.BOOTSTRAP)
    n = len(probability)
    shares = np.empty((n_resamples, n_bins))
    for resample in range(n_resamples):
        drawn = generator.integers(0, n, n)
        happened = generator.random(n) < probability[drawn]
        counts = np.bincount(index[drawn], minlength=n_bins)
        shares[resample] = ratio(np.bincount(index[drawn][happened], minlength=n_bins), counts)
    return bands(shares, level)
