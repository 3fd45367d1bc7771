"""Reliability of probabilities, in bins: forecast probability against observed frequency."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import VerificationInvalid
from flare.seeding import Stream, stream
from flare.verification.bootstrap import LEVEL, Grouped, bands, grouped_shares
from flare.verification.inputs import (
    BoolArray,
    FloatArray,
    event_arrays,
    ratio,
)

Bins = Literal["width", "count"]


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
    observed, probability, counts = event_arrays(observed, probability, weights)
    _, index = _binned(probability, n_bins=n_bins, bins="width")
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
    """Split a Brier score into calibration, discrimination and uncertainty.

    Reliability - resolution + uncertainty (Murphy 1973,
    doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2) is the Brier score where all forecasts of
    a bin are equal. Else variance - covariance within the bins is missing from it (Stephenson et
    al. 2008, doi:10.1175/2007WAF2006116.1). Reliability and resolution are biased upwards where
    bins hold few samples. NaN where the weights are all 0.
    """
    observed, probability, counts = event_arrays(observed, probability, weights)
    _, index = _binned(probability, n_bins=n_bins, bins="width")
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
    total, n_events = n.sum(axis=-1), o.sum(axis=-1)
    filled = np.where(n > 0, n, 1)
    rate = ratio(n_events, total)
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


def reliability_table(
    observed: BoolArray, probability: FloatArray, *, weights: FloatArray, level: float
) -> tuple[dict[str, float], ...]:
    """Return mean probability and observed frequency of at most six bins of equal counts.

    ``observed`` and ``probability`` are (N,), ``weights`` of resampled regions (R, N). Each bin has
    ``forecast``, ``observed`` with its interval ``low`` to ``high``, and the number ``n``.
    """
    _, index = _binned(probability, n_bins=6, bins="count")
    groups = index == np.unique(index)[:, None]  # (B, N)
    shares = grouped_shares(observed, groups, weights=weights, level=level)
    columns = (ratio(groups @ probability, shares.counts), shares.value, shares.low, shares.high)
    names = ("forecast", "observed", "low", "high")
    return tuple(
        {**dict(zip(names, map(float, row), strict=True)), "n": int(n)}
        for *row, n in zip(*columns, shares.counts, strict=True)
    )


def binned_frequencies(
    observed: BoolArray, probability: FloatArray, *, n_bins: int = 10, laplace: bool = False
) -> list[dict[str, float]]:
    """Return the non-empty bins of equal width over 0..1, (N,) and (N,) going in.

    Each has its lower edge ``low``, its mean ``forecast``, the ``observed`` frequency, and the
    numbers ``n`` of forecasts and ``events``. With ``laplace`` the frequency is (events + 1) /
    (n + 2), Laplace's rule of succession, so that a bin of few forecasts is not at 0 or 1.
    """
    observed, probability, _ = event_arrays(observed, probability)
    edges, index = _binned(probability, n_bins=n_bins, bins="width")
    rows = []
    for one in np.unique(index):
        n, events = int((index == one).sum()), int(observed[index == one].sum())
        frequency = (events + 1) / (n + 2) if laplace else events / n
        forecast = float(probability[index == one].mean())
        of_bin = {"low": float(edges[one]), "forecast": forecast, "observed": frequency}
        rows.append({**of_bin, "n": n, "events": events})
    return rows


@dataclass(frozen=True)
class ReliabilityBins:
    """Forecasts in B bins.

    ``edges`` is (B + 1,): a bin holds its lower edge, the last both. ``mean_probability`` is (B,),
    NaN in empty bins; ``observed`` is the observed frequency, with intervals. Between
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
    level: float = LEVEL,
) -> ReliabilityBins:
    """Count forecasts and events by bins of equal width over 0..1, or of equal counts.

    Raises VerificationInvalid: empty or unequal arrays, a probability outside 0..1, or no bins.
    """
    observed, probability, _ = event_arrays(observed, probability)
    edges, index = _binned(probability, n_bins=n_bins, bins=bins)
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


def _binned(
    probability: FloatArray, *, n_bins: int, bins: Bins
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return the edges of the bins, and the bin of each probability, (N,)."""
    edges = bin_edges(probability, n_bins=n_bins, bins=bins)
    return edges, np.digitize(probability, edges[1:-1])


def bin_edges(probability: FloatArray, *, n_bins: int, bins: Bins) -> FloatArray:
    """Return the edges, rising: at most n_bins + 1 of them.

    Equal counts are quantiles of what was forecast. Where many forecasts are the same number there
    are fewer bins: a bin is never divided within it.
    """
    if n_bins < 1:
        raise VerificationInvalid(f"{n_bins} bins hold no forecasts; ask for at least one")
    if bins == "width":
        return np.arange(n_bins + 1) / n_bins  # np.linspace has 0.30000000000000004
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
    """Return the range of the shares of bins of a reliable forecaster, both ends (B,).

    Forecasts are drawn with replacement, and for each an event with the probability that was
    forecast: consistency resampling, Broecker & Smith 2007, doi:10.1175/WAF993.1. Samples count as
    independent, so with several of one region the true band is wider.

    ``index`` is the bin of each probability, (N,).
    """
    generator = stream(seed, Stream.BOOTSTRAP)
    n = len(probability)
    shares = np.empty((n_resamples, n_bins))
    for resample in range(n_resamples):
        sample = generator.integers(0, n, n)
        simulated = generator.random(n) < probability[sample]
        counts = np.bincount(index[sample], minlength=n_bins)
        shares[resample] = ratio(np.bincount(index[sample][simulated], minlength=n_bins), counts)
    return bands(shares, level)
