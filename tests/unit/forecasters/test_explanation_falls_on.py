"""Explanations fall on what synthetic labels were made of, and not where labels were shuffled."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.explanation import (
    Falls,
    cells,
    contrast_maps,
    holding_half,
    inversion_masks,
    occlusion_maps,
)
from benchmarks.shuffled_images import shuffled
from flare.config import TrainConfig
from flare.datasets.splits import split_by_region
from flare.datasets.synthetic import synthesize
from flare.verification.bootstrap import region_weights
from flare.workflows.fitting.forest import fit_rows, training_features
from flare.workflows.fitting.training_data import TrainingData, open_packed


def test_the_fewest_places_that_hold_half_are_chosen():
    assert holding_half(np.array([[1.0, 5.0], [3.0, 1.0]])).tolist() == [[False, True], [False] * 2]
    assert holding_half(np.array([[2.0, 3.0], [3.0, 2.0]])).sum() == 2
    assert cells(np.ones((64, 64))).tolist() == np.full((8, 8), 64.0).tolist()


@pytest.mark.slow
def test_a_forest_rests_on_the_inversion_line_and_not_where_the_labels_were_shuffled(
    tmp_path: Path,
):
    synthesize(tmp_path / "data", n_training=360, n_test=80, seed=3, difficulty="easy")
    config = TrainConfig(data_dir=tmp_path / "data", image_size=64)
    pack = open_packed(config, 64)
    rows, test = pack.split("training"), pack.split("test")
    parts = split_by_region(rows.table, validation_share=0.25, seed=0)
    data = TrainingData(pack, rows, parts)
    first = test.table.reset_index(drop=True).groupby("active_region").head(1)
    chosen, weights = first.index.tolist(), region_weights(first["active_region"], seed=0)
    masks = inversion_masks(config.data_dir, first["id"].tolist())
    features, falls = training_features(data), {}
    settings = {"n_trees": 60, "min_samples_leaf": 3, "max_features": 0.3}
    for name, some in (("as they are", data), ("shuffled", shuffled(data, seed=1))):
        forest = fit_rows(features, some, parts.train, settings, seed=0)
        falls[name] = Falls(occlusion_maps(forest, test, chosen)["C1.0"], masks, weights)
    contrast = Falls(contrast_maps(test, chosen), masks, weights).share()[0]
    assert falls["as they are"].area()[0] < 0.04
    assert falls["as they are"].share()[1] > contrast > falls["as they are"].area()[0]
    assert falls["as they are"].points()[1] > 10
    assert falls["shuffled"].points()[0] < falls["as they are"].points()[1] / 3
