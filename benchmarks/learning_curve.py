"""What more data would bring: forest and network after fewer and more training regions.

``python -m benchmarks.learning_curve --data_dir DATA`` takes ever larger parts of the training
regions, each part within the next, fits both on them, and scores their probabilities on the
validation regions; on synthetic data next to the oracle's. The network has the same number of
optimizer steps whatever the part. The test split is not opened.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.timing import machine
from flare.config import TrainConfig
from flare.config.groups import SYNTHETIC_DIR
from flare.datasets.splits import split_by_region
from flare.forecast import Forecast
from flare.forecasters.forest import fit_forest
from flare.forecasters.references.oracle import oracle_of
from flare.goes import HEADLINE_EVENT
from flare.plots.style import CYCLE, GREY, dress, legend, mark_synthetic, new_figure
from flare.seeding import Stream, stream
from flare.verification.inputs import Observations
from flare.verification.scorecard import score_forecasts
from flare.verification.scores import Score
from flare.workflows.evaluation.references import features_of
from flare.workflows.fitting.cross_validation import forecast_rows
from flare.workflows.fitting.network import prepare_inputs, train_network
from flare.workflows.fitting.training_data import TrainingData, open_packed

_SCORES = ("brier_skill_score", "roc_area")

#: Of a part: regions, samples, and the scores of each forecaster by their names.
Point = tuple[int, int, dict[str, dict[str, Score]]]


def part_of(data: TrainingData, share: float) -> TrainingData:
    """Keep so many of the training regions, always the same ones first."""
    regions = data.active_regions[data.split.train]
    names = stream(0, Stream.SPLIT, 10**6).permutation(np.unique(regions))
    chosen = names[: max(1, round(share * len(names)))]
    rows = data.split.train[np.isin(regions, chosen)]
    return replace(data, split=replace(data.split, train=rows))


def scores_of(forecast: Forecast, data: TrainingData) -> dict[str, Score]:
    """Score forecasts of the validation rows."""
    card = score_forecasts(
        forecast, Observations.from_table(data.rows.table.iloc[data.split.validation])
    )
    return {name: card.get(HEADLINE_EVENT, name) for name in _SCORES}


def learn(data: TrainingData, config: TrainConfig, features: NDArray[np.float64]) -> Point:
    """Fit forest and network on the training rows of a part."""
    rows, held = data.split.train, data.split.validation
    network, _ = train_network(data, config, prepare_inputs(data, config))
    forest = fit_forest(features[rows], data.peak_flux[rows], spec=network.spec, origin=data.origin)
    forecasts = {
        "forest": forest.predict_features(features[held]),
        config.architecture: forecast_rows(network, data.rows, held, title="validate"),
    }
    scores = {name: scores_of(one, data) for name, one in forecasts.items()}
    return len(set(data.active_regions[rows].tolist())), len(rows), scores


def main() -> None:
    """Parse, learn, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, default=SYNTHETIC_DIR)
    parser.add_argument("--image_size", type=int, default=128)
    parser.add_argument("--architecture", default="cnn")
    parser.add_argument("--epochs", type=int, default=6, help="with all regions")
    parser.add_argument("--shares", default="0.0625,0.125,0.25,0.5,1")
    parser.add_argument("--figure", type=Path, default=Path("outputs/learning_curve.png"))
    given = parser.parse_args()
    config = TrainConfig(
        data_dir=given.data_dir, image_size=given.image_size, architecture=given.architecture
    )
    pack = open_packed(config, config.image_size)
    rows = pack.split("training")
    split = split_by_region(rows.table, validation_share=config.validation_share, seed=0)
    data = TrainingData(pack, rows, split)
    features = features_of(rows, "features")
    held = rows.table.iloc[split.validation]
    oracle = oracle_of(given.data_dir, held, rows.table.iloc[split.train])
    best = None if oracle is None else scores_of(oracle, data)
    points = []
    for share in map(float, given.shares.split(",")):
        epochs = math.ceil(given.epochs / share)
        settings = config.model_copy(update={"epochs": epochs, "patience": epochs})
        points.append(learn(part_of(data, share), settings, features))
        print(f"{points[-1][0]} regions: done", flush=True)
    print(table(points, best))
    kind = "SYNTHETIC data" if pack.synthetic else pack.name
    print(f"\n{kind}, {len(held)} validation samples at {config.image_size} px; {machine('torch')}")
    given.figure.parent.mkdir(parents=True, exist_ok=True)
    figure = draw(points, best)
    (mark_synthetic(figure) if pack.synthetic else figure).savefig(given.figure, dpi=150)


def table(points: list[Point], oracle: dict[str, Score] | None) -> str:
    """Return a Markdown table of the scores with their intervals."""
    names = list(points[0][2])
    heads = [f"{name}: {score}" for name in names for score in ("BSS", "ROC area")]
    lines = ["| regions | samples | " + " | ".join(heads) + " |", "|---:|---:|" + "---:|" * 4]
    for regions, samples, scores in points:
        cells = [scores[name][score].text() for name in names for score in _SCORES]
        lines.append(f"| {regions} | {samples} | " + " | ".join(cells) + " |")
    if oracle is not None:
        lines.append(f"\noracle: BSS {oracle[_SCORES[0]].text()}, ROC {oracle[_SCORES[1]].text()}")
    return "\n".join(lines)


def draw(points: list[Point], oracle: dict[str, Score] | None) -> Figure:
    """Draw the Brier skill by the number of training regions."""
    figure = new_figure(5.4, 3.6)
    axes = figure.subplots()
    regions = np.array([point[0] for point in points])
    for k, (name, colour) in enumerate(zip(points[0][2], CYCLE, strict=False)):
        scores = [point[2][name][_SCORES[0]] for point in points]
        value = np.array([score.value for score in scores])
        low, high = (np.array([getattr(s, end) for s in scores]) for end in ("low", "high"))
        axes.errorbar(
            regions * (1 + 0.02 * k),  # side by side
            value,
            yerr=[value - low, high - value],
            color=colour,
            marker="o",
            capsize=3,
            label=name,
        )
    if oracle is not None:
        axes.axhline(oracle[_SCORES[0]].value, color=GREY, linestyle="--", label="oracle")
    axes.set_xscale("log")
    axes.set_xticks(regions, [str(n) for n in regions])
    axes.minorticks_off()
    axes.margins(y=0.3)  # room for the legend
    dress(axes, title="Learning curve", x="training regions", y=f"{HEADLINE_EVENT} BSS, validation")
    legend(axes, "lower right")
    return figure


if __name__ == "__main__":
    main()
