"""How far recent inputs and forecasts have moved from those of the training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from flare.forecasters.training_inputs import SHARES, TrainingInputs
from flare.goes import HEADLINE_EVENT
from flare.sample import CHANNELS, N_STEPS

Floats = NDArray[np.float64]

#: Fewer samples say nothing of a distribution.
FEWEST_SAMPLES = 20

#: Above it a distribution has moved, by the usual rule of thumb: Siddiqi 2006, "Credit Risk
#: Scorecards"; below 0.1 it has not.
MOVED = 0.25

#: Deciles of the training are the bins.
_BINS = 10
_CONFIDENCE = 0.99

#: In the place of a channel: the probability of the headline event.
FORECAST = f"forecast {HEADLINE_EVENT}"


@dataclass(frozen=True)
class Drift:
    """The distance of one distribution from that of the training.

    ``psi`` is the population stability index over deciles of the training, ``ks`` the largest
    distance of the cumulative distributions (0 to 1); NaN with fewer than ``FEWEST_SAMPLES``.
    ``missing`` is the share of images that are missing, and in training ``missing_before``.
    ``moved``: the index is above ``MOVED``, and above what chance gives so few samples.
    """

    name: str
    n: int
    psi: float
    ks: float
    moved: bool
    missing: float = float("nan")
    missing_before: float = float("nan")


def drifts(
    training: TrainingInputs, brightness: Floats, missing: Floats, probability: Floats
) -> list[Drift]:
    """Compare N samples with the training: a row for each channel, then one for the forecasts.

    ``brightness`` is (N, C), NaN without an image; ``missing`` is the number of a sample's images
    of each channel that are missing, (N, C); ``probability`` is that of the headline event, (N,).
    """
    before = np.mean(training.missing, axis=0)
    rows = [
        _drift(
            channel,
            brightness[:, k],
            training.brightness[channel],
            training.n_samples,
            float(missing[:, k].mean()) / N_STEPS if len(missing) else float("nan"),
            float(before[k]),
        )
        for k, channel in enumerate(CHANNELS)
    ]
    known = training.probabilities.get(HEADLINE_EVENT, ())
    return [*rows, _drift(FORECAST, probability, known, training.n_forecasts)]


def _drift(
    name: str, values: Floats, quantiles: tuple[float, ...], n_before: int, *shares: float
) -> Drift:
    there = values[np.isfinite(values)]
    n = len(there)
    if n < FEWEST_SAMPLES or not quantiles:
        return Drift(name, n, float("nan"), float("nan"), False, *shares)
    before = np.asarray(quantiles)
    psi, bins = population_stability(there, before)
    ks = stats.ks_1samp(there, lambda x: np.interp(x, before, SHARES), method="asymp")
    # The index of samples of one distribution is chi-squared with bins - 1 degrees of freedom
    # times (1/n + 1/m): Yurdakul 2018, "Statistical properties of population stability index".
    chance = stats.chi2.ppf(_CONFIDENCE, max(bins - 1, 1)) * (1 / n + 1 / max(n_before, 1))
    return Drift(name, n, psi, float(ks.statistic), psi > max(MOVED, float(chance)), *shares)


def population_stability(values: Floats, before: Floats) -> tuple[float, int]:
    """Return the population stability index of values, and its number of bins.

    ``before`` are quantiles of the training at equal steps. The sum over bins is
    (q - p) ln(q / p), with half a sample more in each bin, so that an empty one has a logarithm.
    0 is perfect.
    """
    edges = np.unique(np.quantile(before, np.linspace(0, 1, _BINS + 1)[1:-1]))
    counts = [
        np.bincount(np.searchsorted(edges, some, side="right"), minlength=len(edges) + 1)
        for some in (before, values)
    ]
    p, q = ((one + 0.5) / (one.sum() + 0.5 * len(one)) for one in counts)
    return float(np.sum((q - p) * np.log(q / p))), len(edges) + 1


def summaries(
    brightness: list[Mapping[str, float | None]], missing: list[list[str]]
) -> tuple[Floats, Floats]:
    """Return the arrays of ``drifts``, (N, C) each, from values and missing images by channel."""
    numbers = [[np.nan if one.get(c) is None else one[c] for c in CHANNELS] for one in brightness]
    counts = [[float(one.count(c)) for c in CHANNELS] for one in missing]
    shape = (-1, len(CHANNELS))
    return np.array(numbers, dtype=np.float64).reshape(shape), np.array(counts).reshape(shape)
