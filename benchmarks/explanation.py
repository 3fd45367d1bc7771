"""Whether explanations fall on what the synthetic labels were made of.

`python -m benchmarks.explanation --data_dir FOLDER` trains a forest and a network on a synthetic
set, and the same on labels that were dealt out to other samples, and explains a test sample of each
region. The generator knows where flares come from: the inversion line, where the weaker of the two
polarities is strong and the hot kernels are. Of each kind of map it prints

- share: what part of the positive attribution falls into the places, 1 of 64 of the image each,
  that together hold half of the weaker polarity;
- area: the share of those places in the image, which a random map has on average;
- contrast: the share that a map of what hiding a place changes in the images has, whatever a model
  makes of it;
- points: the sum of a sample's attributions there, and in the rest of the image (log odds for
  Integrated Gradients).

Intervals are of the bootstrap over active regions. Of real regions nobody knows where flares come
from: there the places are those that hold half of the contrast.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.shuffled_images import shuffled
from flare.config import TrainConfig
from flare.datasets.pack.reader import PackedSplit
from flare.datasets.splits import split_by_region
from flare.datasets.synthetic.flares import LEVELS
from flare.datasets.synthetic.region import make_regions
from flare.datasets.synthetic.render import Surroundings
from flare.forecasters.base import Forecaster
from flare.forecasters.explanation.gradients import integrate_gradients
from flare.forecasters.explanation.occlusion import Occlusion
from flare.verification.bootstrap import region_weights
from flare.workflows.fitting.forest import fit_rows, training_features
from flare.workflows.fitting.network import prepare_inputs, train_network
from flare.workflows.fitting.training_data import TrainingData, open_packed

Floats = NDArray[np.float64]
GRID = 8


@dataclass(frozen=True)
class Falls:
    """Where the maps (N, G, G) of N samples fall, against the masks (N, G, G) of what matters.

    Each figure is a value with the lower and the upper end of its interval.
    """

    maps: Floats
    masks: NDArray[np.bool_]
    weights: Floats  # of resamples of active regions, (R, N)

    def share(self) -> list[float]:
        """Return the share of the positive attribution inside the masks, with its interval."""
        positive = np.maximum(self.maps, 0)
        return self._interval(_inside(positive, self.masks), positive.sum(axis=(1, 2)))

    def area(self) -> list[float]:
        """Return the share of the masks in the image."""
        area = self.masks.mean(axis=(1, 2))
        return self._interval(area, np.ones(len(area)))

    def points(self, *, inside: bool = True) -> list[float]:
        """Return the mean sum of the attributions inside or outside the masks of a sample."""
        sums = _inside(self.maps, self.masks if inside else ~self.masks)
        return self._interval(sums, np.ones(len(sums)))

    def _interval(self, above: Floats, below: Floats) -> list[float]:
        low, high = np.percentile(
            (self.weights @ above) / np.maximum(self.weights @ below, 1e-12), [2.5, 97.5]
        )
        return [float(above.sum() / max(below.sum(), 1e-12)), float(low), float(high)]


def _inside(maps: Floats, masks: NDArray[np.bool_]) -> Floats:
    return np.asarray((maps * masks).sum(axis=(1, 2)))


def cells(image: NDArray[np.floating]) -> Floats:
    """Sum an image over the places of the grid, (G, G)."""
    edge = image.shape[-1] // GRID
    return np.asarray(image.reshape(GRID, edge, GRID, edge).sum(axis=(1, 3), dtype=np.float64))


def holding_half(amounts: Floats) -> NDArray[np.bool_]:
    """Return the fewest places (G, G) that hold half of all."""
    order = np.argsort(-amounts, axis=None)
    held = np.cumsum(amounts.flat[order])
    mask = np.zeros(amounts.size, dtype=np.bool_)
    mask[order[: int(np.searchsorted(held, held[-1] / 2)) + 1]] = True
    return mask.reshape(amounts.shape)


def inversion_masks(data_dir: Path, ids: list[str], split: str = "test") -> NDArray[np.bool_]:
    """Return where the generator lets flares come from in some samples, (N, G, G)."""
    about = json.loads((data_dir / "dataset.json").read_text(encoding="utf-8"))
    regions = make_regions(
        split,
        about[f"n_{split}"],
        seed=about["seed"],
        level=LEVELS[about["difficulty"]],
        test=about["test"],
    )
    windows = {
        window.sample_id: (region, window) for region in regions for window in region.windows
    }
    masks = []
    for name in ids:
        region, window = windows[name]
        masks.append(holding_half(cells(Surroundings(region, about["seed"]).inversion(window))))
    return np.stack(masks)


def occlusion_maps(
    forecaster: Forecaster, rows: PackedSplit, chosen: list[int]
) -> dict[str, Floats]:
    """Return maps (N, G, G) of M1.0 and C1.0 in points, by event."""
    maps: dict[str, list[Floats]] = {"C1.0": [], "M1.0": []}
    for row in chosen:
        occlusion = Occlusion(rows.cubes[row], rows.present[row], GRID)
        forecasts = [forecaster.predict(*batch) for batch in occlusion.batches(32)]
        for event, some in maps.items():
            probability = np.concatenate([one.probability_of(event) for one in forecasts])
            some.append(occlusion.explanation(probability, event).places)
    return {event: np.stack(some) for event, some in maps.items()}


def gradient_maps(
    forecaster: Forecaster, rows: PackedSplit, chosen: list[int]
) -> dict[str, Floats]:
    """Return maps (N, G, G) of M1.0 and C1.0 in log odds, by event."""
    return {
        event: np.stack(
            [
                cells(
                    integrate_gradients(
                        forecaster, rows.cubes[row], rows.present[row], event=event, steps=24
                    ).pixels.sum(axis=(0, 1))
                )
                for row in chosen
            ]
        )
        for event in ("C1.0", "M1.0")
    }


def contrast_maps(rows: PackedSplit, chosen: list[int]) -> Floats:
    """Return how much hiding each place changes in the images, (N, G, G)."""
    maps = []
    for row in chosen:
        occlusion = Occlusion(rows.cubes[row], rows.present[row], GRID)
        changed = np.abs(occlusion.cube.astype(np.float64) - occlusion.quiet)
        maps.append(cells(changed[rows.present[row]].sum(axis=0)))
    return np.stack(maps)


def trained(data: TrainingData, config: TrainConfig) -> dict[str, Forecaster]:
    """Train a forest and two networks on the labels as they are in ``data``."""
    settings = {"n_trees": 100, "min_samples_leaf": 3, "max_features": 0.3}
    forest = fit_rows(training_features(data), data, data.split.train, settings, seed=config.seed)
    models: dict[str, Forecaster] = {"forest": forest}
    for name, features in (("network", True), ("network of images alone", False)):
        own = config.model_copy(update={"features": features})
        network, _ = train_network(data, own, prepare_inputs(data, own))
        models[name] = network.exported()
    return models


def main() -> None:
    """Train, explain and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--image_size", type=int, default=64)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    config = TrainConfig(data_dir=given.data_dir, image_size=given.image_size, epochs=given.epochs)
    pack = open_packed(config, config.image_size)
    rows, test = pack.split("training"), pack.split("test")
    parts = split_by_region(
        rows.table, validation_share=config.validation_share, seed=config.split_seed
    )
    data = TrainingData(pack, rows, parts)
    first = test.table.reset_index(drop=True).groupby("active_region").head(1)
    chosen = first.index[: given.samples].tolist()  # one sample a region
    table = test.table.iloc[chosen]
    changed = contrast_maps(test, chosen)
    if pack.synthetic:
        masks = inversion_masks(given.data_dir, table["id"].tolist())
    else:
        masks = np.stack([holding_half(one) for one in changed])
    weights = region_weights(table["active_region"], n_resamples=1000, seed=0)
    contrast = Falls(changed, masks, weights)
    print(
        f"{'SYNTHETIC DATA' if pack.synthetic else pack.name}, {len(chosen)} test samples of as "
        f"many regions, {config.image_size} px; area {_text(contrast.area())}, "
        f"contrast {_text(contrast.share())}\n"
    )
    print("| labels | model | map | event | share | points inside | outside |")
    print("|---|---|---|---|---:|---:|---:|")
    for labels, some in (("as they are", data), ("shuffled", shuffled(data, seed=1))):
        for name, model in trained(some, config).items():
            kinds: dict[str, Callable[..., dict[str, Floats]]] = {"occlusion": occlusion_maps}
            if name != "forest":
                kinds["gradients"] = gradient_maps
            for kind, draw in kinds.items():
                for event, maps in draw(model, test, chosen).items():
                    falls = Falls(maps, masks, weights)
                    cells_ = falls.share(), falls.points(), falls.points(inside=False)
                    print(
                        f"| {labels} | {name} | {kind} | {event} | "
                        f"{' | '.join(map(_text, cells_))} |",
                        flush=True,
                    )


def _text(interval: list[float]) -> str:
    value, low, high = interval
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
