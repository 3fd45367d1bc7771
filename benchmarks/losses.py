"""Losses, sampling and augmentation, measured out of fold on training regions: SYNTHETIC data.

``python -m benchmarks.losses`` parts the training regions of the default synthetic set into two
folds, trains a small CNN on images of 64 pixels without each, and scores what all of them forecast
for the regions left out; once for each way to train below. The test split is never opened. What
was forecast is saved in ``--output_dir``, so a measurement that was interrupted continues.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray

from flare.config.groups import PackOptions
from flare.config.network_groups import ObjectiveOptions
from flare.datasets.splits import folds_by_region
from flare.forecast import Forecast, natural_probabilities
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.calibration import choose_calibration, cross_calibrated
from flare.forecasters.postprocessing.fit import fit_postprocessing
from flare.goes import EVENTS, event_outcomes
from flare.models import NetworkConfig, build
from flare.models.normalisation import ChannelNormalisation, fit_normalisation
from flare.sample import reduce_cubes
from flare.seeding import Stream, integer_seed, stream
from flare.training.augment import build_augmentation
from flare.training.losses import INTERVAL_LEVEL, build_loss
from flare.training.processes import keep_freed_memory
from flare.training.sampling import build_sampler, class_weights
from flare.verification.probabilistic import brier_skill_score, roc_area
from flare.workflows.fitting.training_data import open_packed

Floats = NDArray[np.float64]

PLAIN = ObjectiveOptions(
    head="multitask", flux_loss="l1", label_floor=1e-9, event_loss="bce", sampling="natural"
)
FOLDS, SIZE, BATCH = 2, 64, 16


def with_changes(**changes: object) -> ObjectiveOptions:
    """Return the plain objective with other options."""
    return PLAIN.model_copy(update=changes)


#: Every way to train that is measured; the first is what the others are compared with.
WAYS: dict[str, ObjectiveOptions] = {
    "l1, bce, natural, mirrors": PLAIN,
    "the same, seed 1": PLAIN,
    "the same, seed 2": PLAIN,
    "l1, floor 1e-8": with_changes(label_floor=1e-8),
    "l1, floor 1e-7": with_changes(label_floor=1e-7),
    "huber": with_changes(flux_loss="huber"),
    "huber, floor 1e-8": with_changes(flux_loss="huber", label_floor=1e-8),
    "huber, floor 1e-7": with_changes(flux_loss="huber", label_floor=1e-7),
    "pinball": with_changes(flux_loss="pinball"),
    "pinball, floor 1e-7": with_changes(flux_loss="pinball", label_floor=1e-7),
    "censored": with_changes(flux_loss="censored"),
    "weighted_bce, balance 0.5": with_changes(event_loss="weighted_bce"),
    "weighted_bce, balance 1": with_changes(event_loss="weighted_bce", event_balance=1.0),
    "focal, gamma 2": with_changes(event_loss="focal"),
    "score_oriented": with_changes(event_loss="score_oriented"),
    "class_balanced": with_changes(sampling="class_balanced"),
    "region_balanced": with_changes(sampling="region_balanced"),
    "no mirrors": with_changes(mirror=False),
    "mirrors, shift 0.05, jitter 0.3, dropout 0.03": with_changes(
        shift=0.05, brightness_jitter=0.3, image_dropout=0.03
    ),
}


class Bench:
    """The training split at 64 pixels, and its folds."""

    def __init__(self, data_dir: Path) -> None:
        split = open_packed(PackOptions(data_dir=data_dir), 128).split("training")
        self.cubes = np.concatenate(
            [
                reduce_cubes(np.asarray(split.cubes[k : k + 32]), SIZE)
                for k in range(0, len(split.cubes), 32)
            ]
        )
        self.present = np.asarray(split.present)
        self.flux = split.table["peak_flux"].to_numpy(dtype=np.float64)
        self.regions = split.table["active_region"].to_numpy(dtype=np.int64)
        self.folds = folds_by_region(split.table, FOLDS, seed=0)

    def tensors(self, rows: NDArray[np.intp], normalise: ChannelNormalisation):
        """Return inputs, mask and labels of some rows."""
        present = torch.from_numpy(self.present[rows])
        labels = SimpleNamespace(
            log10_flux=torch.from_numpy(np.log10(self.flux[rows])).float(),
            events=torch.from_numpy(event_outcomes(self.flux[rows])).float(),
        )
        return normalise(torch.from_numpy(self.cubes[rows]), present), present, labels


def out_of_fold(bench: Bench, objective: ObjectiveOptions, *, epochs: int, seed: int):
    """Return log10 flux (N, Q) and probabilities (N, E) of every sample, as the networks issue."""
    flux = np.empty((len(bench.flux), objective.n_quantiles))
    probability = np.empty((len(bench.flux), len(EVENTS)))
    for fold in range(FOLDS):
        known, left = (np.flatnonzero(bench.folds != fold), np.flatnonzero(bench.folds == fold))
        network, normalise = trained(bench, known, objective, epochs=epochs, seed=seed)
        with torch.inference_mode():
            for some in np.array_split(left, len(left) // 32 + 1):
                inputs, present, _ = bench.tensors(some, normalise)
                predicted_flux, logits = network(inputs, present)
                flux[some], probability[some] = (
                    predicted_flux.numpy(),
                    logits.double().sigmoid().numpy(),
                )
    return flux, probability


def trained(
    bench: Bench, rows: NDArray[np.intp], objective: ObjectiveOptions, *, epochs: int, seed: int
):
    """Train a small network on some rows, much as ``Training`` does, so many epochs."""
    torch.manual_seed(integer_seed(seed, Stream.WEIGHTS))
    config = NetworkConfig(width=8, hidden=32, n_quantiles=objective.n_quantiles)
    network, normalise = build(config), fit_normalisation(bench.cubes, bench.present, rows)
    rates = (event_outcomes(bench.flux[rows]).sum(axis=0) + 0.5) / (len(rows) + 1)
    network.heads.start_at(float(np.median(np.log10(bench.flux[rows]))), rates.tolist())
    loss = build_loss(objective, bench.flux[rows])
    sampler = build_sampler(objective, rows, bench.flux[rows], bench.regions[rows])
    augment = build_augmentation(objective)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)
    steps = epochs * (len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.05)
    for epoch in range(epochs):
        order = sampler(stream(seed, Stream.SHUFFLE, epoch))
        for k in range(len(rows) // BATCH):
            inputs, present, labels = bench.tensors(order[k * BATCH : (k + 1) * BATCH], normalise)
            if augment is not None:
                draws = augment.draw(stream(seed, Stream.AUGMENT, epoch, k), BATCH)
                inputs, present = augment(inputs, present, draws)
            value = loss(*network(inputs, present), labels)
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return network.eval(), normalise


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


def main() -> None:
    """Train, keep, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, default=Path("data/synthetic"))
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/losses"))
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    bench = Bench(given.data_dir)
    given.output_dir.mkdir(parents=True, exist_ok=True)
    for name, objective in WAYS.items():
        file = given.output_dir / f"{name}.npz"
        if not file.exists():
            started = time.perf_counter()
            seed = int(name[-1]) if "seed" in name else 0
            flux, probability = out_of_fold(bench, objective, epochs=given.epochs, seed=seed)
            np.savez(file, flux=flux, probability=probability)
            print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    print(report(bench, WAYS, given.output_dir))


if __name__ == "__main__":
    main()
