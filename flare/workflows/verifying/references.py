"""Reference forecasts for full-disk and regional samples: climatology and persistence."""

import numpy as np
from numpy.typing import NDArray

from flare.verification.inputs import BoolArray, FloatArray
from flare.workflows.verifying.flares import FlareList
from flare.workflows.verifying.samples import Samples
from flare.workflows.verifying.tables import Times

LONG_TERM, PERSISTENCE = "climatology long-term", "persistence"


def prior_name(days: int) -> str:
    """Return the name of the climatology of the days before."""
    return f"climatology {days} d"


def reference_forecasts(
    samples: Samples, event: str, flares: FlareList | None, *, days: int
) -> dict[str, FloatArray]:
    """Return the probabilities of the references, (N,) each, from what was known at each time.

    Climatology is the event rate of the windows that had ended at the time of the forecast: of
    those of the last ``days``, and of all in the list before the first forecast (where it reaches
    back as many days). Persistence repeats the outcome of the last such window as 0 or 1. With a
    flare list for the full disk, windows follow each other without a gap up to the time of the
    forecast; otherwise they are those of the samples. Where there is none before,
    climatology takes the rate of all samples, and persistence takes climatology.
    """
    if flares is None or samples.by_region:
        return _from_samples(samples, event, days)
    rate = float(samples.outcomes[event].mean())
    n_before = max(1, int(np.timedelta64(days, "D") / samples.window))
    prior = _prior_rate(flares, event, samples.times, samples.window, n_before)
    last = _prior_rate(flares, event, samples.times, samples.window, 1)
    forecasts = {prior_name(days): np.where(np.isnan(prior), rate, prior)}
    n_all = int((samples.times[0] - flares.begins) / samples.window)
    if n_all >= n_before:
        first = samples.times[:1]
        long_term = _prior_rate(flares, event, first, samples.window, n_all)
        forecasts[LONG_TERM] = np.full(len(samples), long_term[0])
    forecasts[PERSISTENCE] = np.where(np.isnan(last), forecasts[prior_name(days)], last)
    return forecasts


def _prior_rate(
    flares: FlareList, event: str, times: Times, window: np.timedelta64, n: int
) -> FloatArray:
    """Return the event rate of the ``n`` windows before each time, NaN where the list has none."""
    total, known = np.zeros(len(times)), np.zeros(len(times))
    for k in range(1, n + 1):
        starts = times - k * window
        covered = starts >= flares.begins
        if not covered.any():
            break
        total += flares.outcomes(event, starts, window) & covered
        known += covered
    rate = np.full(len(times), np.nan)
    np.divide(total, known, out=rate, where=known > 0)
    return rate


def _from_samples(samples: Samples, event: str, days: int) -> dict[str, FloatArray]:
    outcomes = samples.outcomes[event]
    ends = samples.starts + samples.window
    order = np.argsort(ends, kind="stable")
    counted = np.append(0, np.cumsum(outcomes[order]))
    last = np.searchsorted(ends[order], samples.times, side="right")
    first = np.searchsorted(ends[order], samples.times - np.timedelta64(days, "D"), side="right")
    n = last - first
    rate = float(outcomes.mean())
    prior = np.where(n > 0, (counted[last] - counted[first]) / np.maximum(n, 1), rate)
    persistent = prior.copy()
    for region in np.unique(samples.regions):
        rows = np.flatnonzero(samples.regions == region)
        persistent[rows] = _last_outcome(
            samples.times[rows], ends[rows], outcomes[rows], otherwise=prior[rows]
        )
    return {prior_name(days): prior, PERSISTENCE: persistent}


def _last_outcome(
    times: Times, ends: Times, outcomes: BoolArray, *, otherwise: FloatArray
) -> FloatArray:
    """Return the outcome of the last window that had ended at each time."""
    order: NDArray[np.intp] = np.argsort(ends, kind="stable")
    place = np.searchsorted(ends[order], times, side="right") - 1
    last = outcomes[order][np.maximum(place, 0)].astype(np.float64)
    return np.where(place >= 0, last, otherwise)
