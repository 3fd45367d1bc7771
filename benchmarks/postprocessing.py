"""What is fitted out of fold, measured on regions that had no part in it: SYNTHETIC data.

``python -m benchmarks.postprocessing`` divides the training split of the default synthetic set
by several seeds. For each a forest and its postprocessing are fitted on its training regions,
as ``baseline`` does, and measured on its validation regions: what calibration does to the Brier
score of the forest's probabilities, as they are and distorted; how many labels the flux interval
holds; the TSS with the thresholds on the test split; and all of it once more with labels shuffled
among the regions.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare.config.groups import PackOptions
from flare.datasets.splits import folds_by_region, split_by_region
from flare.forecast import Forecast
from flare.forecasters.base import ForecasterSpec
from flare.forecasters.forest import fit_forest
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.fit import fit_postprocessing
from flare.goes import EVENTS, HEADLINE_EVENT, event_outcomes
from flare.seeding import Stream, stream
from flare.verification.inputs import Observations
from flare.verification.probabilistic import brier_score
from flare.verification.scorecard import score_forecasts
from flare.workflows.evaluation.references import reference_data
from flare.workflows.fitting.training_data import features_of, open_packed

SHOWN = ("C1.0", HEADLINE_EVENT)
FOLDS = 3
SPEC = ForecasterSpec(image_size=128)

Floats = NDArray[np.float64]
Distortion = Callable[[Floats], Floats]


def by_odds(change: Distortion) -> Distortion:
    """Return a distortion that changes the log odds."""

    def distort(probability: Floats) -> Floats:
        inside = np.clip(probability, 1 / 600, 1 - 1 / 600)
        return 1 / (1 + np.exp(-change(np.log(inside / (1 - inside)))))

    return distort


DISTORTIONS: dict[str, Distortion] = {
    "as it is": lambda p: p,
    "squared": np.square,
    "square root": np.sqrt,
    "log odds doubled": by_odds(lambda z: 2 * z),
    "odds times 3": by_odds(lambda z: z + np.log(3)),
    "odds times 10": by_odds(lambda z: z + np.log(10)),
}


class Bench:
    """The packed default set, its features, and what is fitted on them."""

    def __init__(self, data_dir: Path) -> None:
        pack = open_packed(PackOptions(data_dir=data_dir), SPEC.image_size)
        self.training, self.test = pack.split("training"), pack.split("test")
        self.origin = reference_data(pack).origin
        self.features = features_of(self.training, "features of training")
        self.test_features = features_of(self.test, "features of test")
        self.flux = self.training.table["peak_flux"].to_numpy(dtype=np.float64)
        self.regions = self.training.table["active_region"].to_numpy(dtype=np.int64)

    def fit(self, rows: NDArray[np.intp], flux: Floats):
        """Fit a forest on some rows."""
        return fit_forest(self.features[rows], flux[rows], spec=SPEC, origin=self.origin)

    def forecasts(self, seed: int, flux: Floats) -> tuple[Forecast, NDArray[np.intp], tuple]:
        """Return forecasts out of fold, their folds, and what else a seed came to."""
        split = split_by_region(self.training.table, validation_share=0.25, seed=seed)
        rows = split.train
        folds = folds_by_region(self.training.table.iloc[rows], FOLDS, seed=seed)
        parts = np.empty((len(rows), 1 + len(EVENTS)))
        for fold in range(FOLDS):
            left = folds == fold
            forecast = self.fit(rows[~left], flux).predict_features(self.features[rows[left]])
            parts[left] = np.column_stack([forecast.log10_flux, forecast.probability])
        level = parts[:, 0]
        out_of_fold = Forecast(level, level, level, parts[:, 1:], EVENTS)
        forest = self.fit(rows, flux)
        held = forest.predict_features(self.features[split.validation])
        return out_of_fold, folds, (split, held, forest.predict_features(self.test_features))


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, default=Path("data/synthetic"))
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    bench = Bench(given.data_dir)
    changes: dict[str, dict[str, list[float]]] = {
        name: {event: [] for event in SHOWN} for name in DISTORTIONS
    }
    coverage, skill, shuffled = [], [], []
    for seed in range(given.seeds):
        out_of_fold, folds, (split, held, on_test) = bench.forecasts(seed, bench.flux)
        train, validation = bench.flux[split.train], bench.flux[split.validation]
        for name, distort in DISTORTIONS.items():
            for event, change in _brier_changes(
                distort, out_of_fold, folds, train, bench.regions[split.train], held, validation
            ).items():
                changes[name][event].append(change)
        postprocessing = fit_postprocessing(
            out_of_fold, train, folds, level=SPEC.interval_level, regions=bench.regions[split.train]
        )
        done = finished(postprocessing, held)
        inside = (done.lower <= np.log10(validation)) & (np.log10(validation) <= done.upper)
        coverage.append(float(inside.mean()))
        skill.append(_skill(postprocessing, on_test, bench.test.table))
        shuffled.append(_shuffled(bench, seed))
        print(f"seed {seed}: done", flush=True)
    report(changes, coverage, skill, shuffled)


def finished(postprocessing: PostProcessing, raw: Forecast) -> Forecast:
    """Tune raw forecasts."""
    return postprocessing.apply(raw.log10_flux, raw.probability, raw.events)


def _brier_changes(
    distort: Distortion,
    out_of_fold: Forecast,
    folds: NDArray[np.intp],
    train: Floats,
    regions: NDArray[np.integer],
    held: Forecast,
    validation: Floats,
) -> dict[str, float]:
    """Return by how much calibration changes the Brier score of each event on validation."""
    seen = replace(out_of_fold, probability=distort(out_of_fold.probability))
    raw = replace(held, probability=distort(held.probability))
    postprocessing = fit_postprocessing(
        seen, train, folds, level=SPEC.interval_level, regions=regions
    )
    done = finished(postprocessing, raw)
    outcomes = event_outcomes(validation)
    return {
        event: float(
            brier_score(outcomes[:, k], done.probability[:, k])
            - brier_score(outcomes[:, k], raw.probability[:, k])
        )
        for event in SHOWN
        for k in [EVENTS.index(event)]
    }


def _skill(postprocessing: PostProcessing, raw: Forecast, table) -> tuple[float, float, float]:
    """Return the TSS of the headline event on a table's labels, with its interval."""
    done = finished(postprocessing, raw)
    score = score_forecasts(done, Observations.from_table(table)).get(
        HEADLINE_EVENT, "true_skill_statistic"
    )
    return score.value, score.low, score.high


def _shuffled(bench: Bench, seed: int) -> tuple[float, float, float]:
    """Return the TSS on the test split of a forest that learned from shuffled labels.

    Every sample gets the label of a sample of another region, drawn at random.
    """
    order = stream(seed, Stream.SHUFFLE, 0).permutation(len(bench.flux))
    flux = bench.flux[order]
    out_of_fold, folds, (split, _, on_test) = bench.forecasts(seed, flux)
    postprocessing = fit_postprocessing(
        out_of_fold,
        flux[split.train],
        folds,
        level=SPEC.interval_level,
        regions=bench.regions[split.train],
    )
    return _skill(postprocessing, on_test, bench.test.table)


def report(
    changes: dict[str, dict[str, list[float]]],
    coverage: list[float],
    skill: list[tuple[float, float, float]],
    shuffled: list[tuple[float, float, float]],
) -> None:
    """Print what was measured as Markdown."""
    n = len(coverage)
    print(f"\nSYNTHETIC, {n} splits of the training regions; mean, and the worst of them\n")
    print(f"| the forest's probability | {' | '.join(f'Brier score {e}' for e in SHOWN)} |")
    print("|---|---:|---:|")
    for name, of_event in changes.items():
        cells = [f"{np.mean(of_event[e]):+.4f} (worst {np.max(of_event[e]):+.4f})" for e in SHOWN]
        print(f"| {name} | {' | '.join(cells)} |")
    low, high = min(coverage), max(coverage)
    print(f"\n90 % interval on validation: {np.mean(coverage):.3f}, {low:.3f} to {high:.3f}")
    print(f"TSS {HEADLINE_EVENT} on test: {np.mean([s[0] for s in skill]):.3f}")
    holds = sum(bottom <= 0 <= top for _, bottom, top in shuffled)
    mean = np.mean([s[0] for s in shuffled])
    print(f"labels shuffled: {mean:+.3f}, the interval holds 0 in {holds} of {n}")


if __name__ == "__main__":
    main()
