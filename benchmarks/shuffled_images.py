"""A control: what the network learns from images that are not those of its labels.

`python -m benchmarks.shuffled_images` trains the default network twice on the default synthetic
set, once as it is and once with the images dealt out anew among the training and validation
samples, and scores both on the test split, whose images stay where they are. What the second one
scores above no skill would have come from somewhere else than the images: a leak.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from flare.config import SYNTHETIC_DIR, SplitConfig, TrainConfig
from flare.datasets.packed import PackedSplit
from flare.datasets.splits import split_by_region
from flare.seeding import Stream, stream
from flare.verification.scorecard import Scorecard, score_forecasts
from flare.workflows.data import TrainingData, open_packed
from flare.workflows.scoring import forecast_rows, issued, observed, tuned_and_scored
from flare.workflows.train import network_settings, train_network

_SCORES = (
    ("C1.0", "roc_area"),
    ("M1.0", "roc_area"),
    ("M1.0", "brier_skill_score"),
    ("M1.0", "true_skill_statistic"),
)


def shuffled(data: TrainingData, *, seed: int) -> TrainingData:
    """Deal the labels out anew, among the training rows and among the validation rows."""
    flux = data.peak_flux.copy()
    for part, rows in enumerate((data.split.train, data.split.validation)):
        flux[rows] = flux[stream(seed, Stream.SHUFFLE, 10**6 + part).permutation(rows)]
    return replace(data, rows=replace(data.rows, table=data.rows.table.assign(peak_flux=flux)))


def trained_and_scored(data: TrainingData, test: PackedSplit, config: TrainConfig) -> Scorecard:
    """Train the network of a config, and score it on the test rows."""
    network = train_network(data, network_settings(config))
    ready, _ = tuned_and_scored(network, data, resamples=100)
    forecast = forecast_rows(ready, test, np.arange(len(test)), title="test")
    return score_forecasts(issued(ready, forecast), observed(test))


def main() -> None:
    """Train twice and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, default=SYNTHETIC_DIR)
    parser.add_argument("--epochs", type=int, default=TrainConfig().epochs)
    given = parser.parse_args()
    config = TrainConfig(data_dir=given.data_dir, epochs=given.epochs)
    split: SplitConfig = config
    pack = open_packed(
        split.data_dir, split.pack_dir, image_size=split.image_size, processes=split.processes
    )
    rows = pack.split("training")
    parts = split_by_region(
        rows.table, validation_share=split.validation_share, seed=split.split_seed
    )
    data, test = TrainingData(pack, rows, parts), pack.split("test")
    cards = {
        "as they are": trained_and_scored(data, test, config),
        "shuffled": trained_and_scored(shuffled(data, seed=0), test, config),
    }
    kind = "SYNTHETIC DATA" if pack.synthetic else pack.name
    print(f"{kind}, {len(test)} test samples; score [95 % interval over regions]\n")
    print("| images | " + " | ".join(f"{event} {name}" for event, name in _SCORES) + " |")
    print("|---|" + "---|" * len(_SCORES))
    for name, card in cards.items():
        scores = [card.get(*wanted) for wanted in _SCORES]
        told = " | ".join(f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in scores)
        print(f"| {name} | {told} |")


if __name__ == "__main__":
    main()
