"""A control: what the network learns from images that are not those of its labels.

`python -m benchmarks.shuffled_images` trains the network once on a synthetic set as it is, and some
times with the images dealt out anew among the training and among the validation samples. All are
scored on the test split, whose images stay where they are. What a shuffled one scores above no
skill would have come from somewhere else than the images: a leak.

Its ROC area is not near 0.5 each time: whatever little it fits by chance, and the weights that it
began with, run along what images differ in most, bright against faint, one way or the other. It is
the Brier skill score that must not be above climatology's, and the ROC areas that must lie on both
sides of 0.5.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from flare.config import TrainConfig
from flare.config.groups import SYNTHETIC_DIR
from flare.datasets.pack.reader import PackedSplit
from flare.datasets.splits import split_by_region
from flare.seeding import Stream, stream
from flare.verification.inputs import Observations
from flare.verification.scorecard import Scorecard, score_forecasts
from flare.workflows.evaluation.references import climatology_of
from flare.workflows.fitting.cross_validation import (
    forecast_rows,
    postprocess_and_score,
    validation_forecasts,
)
from flare.workflows.fitting.network import prepare_inputs, train_network
from flare.workflows.fitting.training_data import TrainingData, open_packed

_SCORES = (
    ("C1.0", "roc_area"),
    ("M1.0", "roc_area"),
    ("C1.0", "brier_skill_score"),
    ("M1.0", "brier_skill_score"),
)


def shuffled(data: TrainingData, *, seed: int) -> TrainingData:
    """Deal the labels out anew, among the training rows and among the validation rows."""
    flux = data.peak_flux.copy()
    for part, rows in enumerate((data.split.train, data.split.validation)):
        flux[rows] = flux[stream(seed, Stream.SHUFFLE, 10**6 + part).permutation(rows)]
    return replace(data, rows=replace(data.rows, table=data.rows.table.assign(peak_flux=flux)))


def trained_and_scored(data: TrainingData, test: PackedSplit, config: TrainConfig) -> Scorecard:
    """Train the network of a config, and score it on the test rows."""
    network, _ = train_network(data, config, prepare_inputs(data, config))
    forecasts = validation_forecasts(network, data, seed=config.split_seed)
    ready, _ = postprocess_and_score(network, data, forecasts, resamples=100)
    forecast = forecast_rows(ready, test, np.arange(len(test)), title="test")
    return score_forecasts(forecast, Observations.from_table(test.table))


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, default=SYNTHETIC_DIR)
    parser.add_argument("--image_size", type=int, default=64)
    parser.add_argument("--shuffles", type=int, default=8)
    given = parser.parse_args()
    config = TrainConfig(data_dir=given.data_dir, image_size=given.image_size)
    data, test = _opened(config)
    kind = "SYNTHETIC DATA" if data.pack.synthetic else data.pack.name
    print(f"{kind}, {len(test)} test samples at {config.image_size} px [95 % interval]\n")
    print("| images | " + " | ".join(f"{event} {name}" for event, name in _SCORES) + " |")
    print("|---|" + "---:|" * len(_SCORES))
    print(_row("as they are", trained_and_scored(data, test, config)), flush=True)
    result = []
    for k in range(given.shuffles):
        # Other weights to begin with too: their answer to bright images is part of the luck.
        other = config.model_copy(update={"seed": k})
        card = trained_and_scored(shuffled(data, seed=k), test, other)
        result.append([card.value(*wanted) for wanted in _SCORES])
        print(_row(f"shuffled, {k}", card), flush=True)
    middle = " | ".join(f"{value:.2f}" for value in np.mean(result, axis=0))
    print(f"| mean of the shuffled | {middle} |")
    flat = climatology_of(data)
    forecast = flat.predict(test.cubes[:], test.present)
    print(_row("climatology", score_forecasts(forecast, Observations.from_table(test.table))))


def _opened(config: TrainConfig) -> tuple[TrainingData, PackedSplit]:
    pack = open_packed(config, config.image_size)
    rows = pack.split("training")
    parts = split_by_region(
        rows.table, validation_share=config.validation_share, seed=config.split_seed
    )
    return TrainingData(pack, rows, parts), pack.split("test")


def _row(name: str, card: Scorecard) -> str:
    scores = [card.get(*wanted) for wanted in _SCORES]
    cells = " | ".join(one.text(".2f") for one in scores)
    return f"| {name} | {cells} |"


if __name__ == "__main__":
    main()
