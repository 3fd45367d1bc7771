"""Measure scores with intervals, compared with loops over the resamples.

``python -m benchmarks.scores``: ``score_forecasts`` on as many samples and active regions as the
test split of SDOBenchmark has, compared with a loop that calls the same score functions once a
resample, and one that calls scikit-learn and ``scores`` for those of the scores that they have. The
loops do few resamples: every resample costs them the same, so their rate is that of a thousand.
"""

import argparse
import statistics
from collections.abc import Callable

import numpy as np
import xarray as xr
from scores.categorical import BinaryContingencyManager
from scores.probability import brier_score as their_brier_score
from sklearn import metrics

from benchmarks.timing import Timing, machine, time_in_turn
from flare.forecast import Forecast
from flare.goes import event_outcomes
from flare.verification.inputs import Observations
from flare.verification.scorecard import score_forecasts
from flare.verification.scores import event_scores, flux_scores

N_SAMPLES, N_REGIONS = 900, 91
EVENTS = ("C1.0", "M1.0", "X1.0")
OURS = "score_forecasts"

FROM_SCORES = (
    "peirce_skill_score",
    "heidke_skill_score",
    "probability_of_detection",
    "probability_of_false_detection",
    "false_alarm_ratio",
    "critical_success_index",
    "frequency_bias",
)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resamples", type=int, default=1000, help="for score_forecasts")
    parser.add_argument("--loop_resamples", type=int, default=20, help="for the two loops")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    forecasts, observed = made_up()
    few = resampled_rows(observed, given.loop_resamples)
    work: dict[str, tuple[Callable[[], object], int]] = {
        "loop: scikit-learn, scores": (lambda: loop_theirs(forecasts, observed, few), len(few)),
        "loop: our score functions": (lambda: loop_ours(forecasts, observed, few), len(few)),
        OURS: (
            lambda: score_forecasts(forecasts, observed, n_resamples=given.resamples),
            given.resamples,
        ),
    }
    timings = time_in_turn({name: run for name, (run, _) in work.items()}, repeats=given.repeats)
    n_scores = len(score_forecasts(forecasts, observed, n_resamples=1).scores)
    print(f"{N_SAMPLES} samples, {N_REGIONS} regions, {n_scores} scores; {given.repeats} repeats.")
    print(machine("numpy", "scikit-learn", "scores"))
    print()
    print(table(timings, {name: amount for name, (_, amount) in work.items()}))


def made_up() -> tuple[Forecast, Observations]:
    """Return forecasts with some skill of labels of which a quarter is quiet."""
    generator = np.random.default_rng(0)
    log10_flux = generator.uniform(-7, -3.6, N_SAMPLES)
    log10_flux[generator.random(N_SAMPLES) < 0.25] = -9
    forecast = log10_flux + generator.normal(0, 0.7, N_SAMPLES)
    probability = 1 / (1 + np.exp(-3 * (forecast[:, None] - [-6, -5, -4])))
    thresholds = dict.fromkeys(EVENTS, 0.4)
    forecasts = Forecast(forecast, forecast - 1, forecast + 1, probability, EVENTS, thresholds)
    return forecasts, Observations(10**log10_flux, np.sort(np.arange(N_SAMPLES) % N_REGIONS))


def resampled_rows(observed: Observations, n: int) -> list[np.ndarray]:
    """Return the rows of n resamples of the active regions."""
    generator = np.random.default_rng(1)
    of_region = [np.flatnonzero(observed.active_region == r) for r in range(N_REGIONS)]
    return [
        np.concatenate(
            [of_region[region] for region in generator.integers(0, N_REGIONS, N_REGIONS)]
        )
        for _ in range(n)
    ]


def loop_ours(forecasts: Forecast, observed: Observations, resamples: list[np.ndarray]) -> None:
    """Call our functions once a resample, on the rows that it drew."""
    for rows in resamples:
        some, labels = forecasts.take(rows), observed.take(rows)
        once = np.ones((1, len(rows)))
        for event in (*EVENTS, "M1.0"):  # M1.0 again, as the published event
            outcomes = event_outcomes(labels.peak_flux, (event,))[:, 0]
            probability = some.probability[:, EVENTS.index(event)]
            event_scores(outcomes, probability, threshold=0.4, weights=once)
        flux_scores(
            labels.peak_flux,
            some.log10_flux,
            lower=some.lower,
            upper=some.upper,
            factor=1,
            weights=once,
        )


def loop_theirs(forecasts: Forecast, observed: Observations, resamples: list[np.ndarray]) -> None:
    """Compute, of our scores, those that scikit-learn and ``scores`` have, once a resample."""
    for rows in resamples:
        some, labels = forecasts.take(rows), observed.take(rows)
        for event in (*EVENTS, "M1.0"):
            outcomes = event_outcomes(labels.peak_flux, (event,))[:, 0]
            score_theirs(outcomes, some.probability[:, EVENTS.index(event)])
        truth = np.log10(labels.peak_flux)
        metrics.mean_absolute_error(truth, some.log10_flux)
        metrics.root_mean_squared_error(truth, some.log10_flux)
        metrics.mean_absolute_error(labels.peak_flux, 10**some.log10_flux)


def score_theirs(outcomes: np.ndarray, probability: np.ndarray) -> None:
    """Compute the scores of one event with the two packages."""
    alarms, truth = probability >= 0.4, xr.DataArray(outcomes.astype(float))
    binary = BinaryContingencyManager(xr.DataArray(alarms.astype(float)), truth)
    for name in FROM_SCORES:
        getattr(binary, name)()
    at_half = BinaryContingencyManager(xr.DataArray((probability >= 0.5).astype(float)), truth)
    at_half.peirce_skill_score()
    at_half.heidke_skill_score()
    metrics.precision_score(outcomes, alarms)
    metrics.recall_score(outcomes, alarms)
    metrics.f1_score(outcomes, alarms)
    metrics.accuracy_score(outcomes, alarms)
    their_brier_score(xr.DataArray(probability), truth)
    metrics.roc_auc_score(outcomes, probability)
    metrics.average_precision_score(outcomes, probability)


def table(timings: dict[str, Timing], amounts: dict[str, int]) -> str:
    """Return a Markdown table whose rates and ratios are of the median repeat."""
    peer = next(iter(timings))
    lines = [
        "| | resamples | median (s) | shortest to longest (s) | resamples/s | ratio "
        "| 1000 take (s) | processors (s) |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, timing in timings.items():
        rate = amounts[name] / timing.median
        ratio = statistics.median(
            amounts[name] / own / (amounts[peer] / other)
            for own, other in zip(timing.seconds, timings[peer].seconds, strict=True)
        )
        lines.append(
            f"| {name} | {amounts[name]} | {timing.median:.2f} | {timing.spread} | {rate:.0f} "
            f"| {ratio:.1f} | {1000 / rate:.2f} | {timing.cpu_median:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
