"""What the ways to train of ``benchmarks.losses`` came to, as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare.config.network_groups import ObjectiveOptions
from flare.forecast import Forecast, natural_probabilities
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.calibration import choose_calibration, cross_calibrated
from flare.forecasters.postprocessing.fit import fit_postprocessing
from flare.goes import EVENTS, event_outcomes
from flare.training.losses import INTERVAL_LEVEL
from flare.training.sampling import class_weights
from flare.verification.probabilistic import brier_skill_score, roc_area

Floats = NDArray[np.float64]

FLUX_HEADER = """\
| way | log10 MAE (dex) | difference | with both at least B1.0 | interval holds | its width (dex) |
|---|---:|---:|---:|---:|---:|"""

EVENT_HEADER = """\
| way | event | rate | mean probability: raw | natural | calibrated | BSS | difference | \
BSS calibrated | ROC area |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"""


@dataclass(frozen=True)
class Result:
    """What networks of one way forecast for every sample that they were not trained on."""

    flux: Floats  # (N, Q)
    raw: Floats  # (N, E)
    natural: Floats  # (N, E)


def report(bench, ways: Mapping[str, ObjectiveOptions], folder: Path) -> str:
    """Return two tables, of the flux and of the events, as Markdown."""
    results = {
        name: _read(folder / f"{name}.npz", bench, objective) for name, objective in ways.items()
    }
    first = next(iter(results.values()))
    n = len(bench.flux)
    lines = [f"{n} samples, {len(np.unique(bench.regions))} regions; +- is one standard error", ""]
    lines += [FLUX_HEADER, *(_flux_row(name, one, first, bench) for name, one in results.items())]
    lines += ["", EVENT_HEADER]
    lines += [
        _event_row(name, one, first, bench, event)
        for event in ("C1.0", "M1.0")
        for name, one in results.items()
    ]
    return "\n".join(lines)


def _read(file: Path, bench, objective: ObjectiveOptions) -> Result:
    stored = np.load(file)
    natural = stored["probability"].copy()
    for fold in np.unique(bench.folds):
        weights = class_weights(objective, bench.flux[bench.folds != fold])
        if weights:
            left = bench.folds == fold
            natural[left] = natural_probabilities(natural[left], weights)
    return Result(np.clip(stored["flux"], -9, -2), stored["probability"], natural)


def _flux_row(name: str, result: Result, first: Result, bench) -> str:
    observed = np.log10(bench.flux)
    errors, others = (np.abs(_middle(one) - observed) for one in (result, first))
    floored = np.abs(np.maximum(_middle(result), -7) - np.maximum(observed, -7))
    held, width = _interval(result, bench)
    return (
        f"| {name} | {errors.mean():.3f} | {_difference(errors - others, bench)} "
        f"| {floored.mean():.3f} | {held:.3f} | {width:.2f} |"
    )


def _event_row(name: str, result: Result, first: Result, bench, event: str) -> str:
    k = EVENTS.index(event)
    outcomes = event_outcomes(bench.flux)[:, k]
    p = result.natural[:, k]
    method = choose_calibration(p, outcomes, bench.folds, regions=bench.regions).method
    calibrated = cross_calibrated(method, p, outcomes, bench.folds)
    rate = outcomes.mean()
    # The difference of two skill scores is that of their Brier scores over the climatology's.
    gain = (first.natural[:, k] - outcomes) ** 2 - (p - outcomes) ** 2
    return (
        f"| {name} | {event} | {rate:.3f} | {result.raw[:, k].mean():.3f} | {p.mean():.3f} "
        f"| {calibrated.mean():.3f} ({method}) | {brier_skill_score(outcomes, p):+.3f} "
        f"| {_difference(gain / (rate * (1 - rate)), bench)} "
        f"| {brier_skill_score(outcomes, calibrated):+.3f} | {roc_area(outcomes, p):.3f} |"
    )


def _middle(result: Result) -> Floats:
    return result.flux[:, result.flux.shape[1] // 2]


def _interval(result: Result, bench) -> tuple[float, float]:
    """Return the coverage and mean width of intervals fitted on the other fold."""
    observed = np.log10(bench.flux)
    held, width = np.empty(len(observed)), np.empty(len(observed))
    for fold in np.unique(bench.folds):
        left = bench.folds == fold
        postprocessing = fit_postprocessing(
            _forecast(result, ~left),
            bench.flux[~left],
            np.zeros(np.count_nonzero(~left), dtype=int),
            level=INTERVAL_LEVEL,
        )
        raw = _forecast(result, left)
        lower, upper = postprocessing.interval(raw.log10_flux, (raw.lower, raw.upper))
        held[left] = (lower <= observed[left]) & (observed[left] <= upper)
        width[left] = upper - lower
    return float(held.mean()), float(width.mean())


def _forecast(result: Result, rows: NDArray[np.bool_]) -> Forecast:
    flux = result.flux[rows]
    return PostProcessing().apply(
        flux[:, flux.shape[1] // 2],
        result.natural[rows],
        EVENTS,
        ends=(flux[:, 0], flux[:, -1]),
    )


def _difference(values: Floats, bench) -> str:
    """Return the mean with its standard error, where values of one region go together."""
    _, index = np.unique(bench.regions, return_inverse=True)
    sums = np.bincount(index, values - values.mean())
    spread = np.square(sums).sum() * len(sums) / (len(sums) - 1)
    return f"{values.mean():+.3f} +- {np.sqrt(spread) / len(values):.3f}"
