"""Whatever opens a pack finds the same in one of JPEGs as in one of grey levels."""

import pytest

from flare.config import BaselineConfig, EvaluateConfig, PackConfig, TrainConfig
from flare.workflows import baseline, evaluate, pack, train

from workplace import SMALL_FOREST, SMALL_NETWORK


@pytest.fixture
def both(at_home, models):
    """Return a function that calls one with the settings of either storage."""
    common = at_home.small | {"resamples": 100, "model_name": "storages"}

    def run(function, **given):
        return [function(common | given | {"storage": kind}) for kind in ("raw", "jpeg")]

    return run


def test_a_forest_of_either_storage_has_the_same_validation_scores(both):
    raw, jpeg = both(lambda given: baseline.run(BaselineConfig(**given, **SMALL_FOREST)))
    assert jpeg.validation.metrics("validation") == raw.validation.metrics("validation")


def test_a_network_of_either_storage_has_the_same_validation_scores(both):
    raw, jpeg = both(lambda given: train.run(TrainConfig(**given, **SMALL_NETWORK)))
    assert jpeg.validation.metrics("validation") == raw.validation.metrics("validation")


def test_an_evaluation_of_either_storage_has_the_same_scores(at_home, models, tmp_path):
    cards = []
    for storage in ("raw", "jpeg"):
        config = EvaluateConfig(
            data_dir=at_home.data,
            model="2",
            resamples=100,
            output_dir=tmp_path / storage,
            storage=storage,
        )
        cards.append(evaluate.run(config).comparison.scorecards)
    for name, card in cards[0].items():
        assert cards[1][name].metrics("test") == card.metrics("test")


def test_the_jpeg_pack_has_a_place_of_its_own(at_home):
    config = PackConfig(data_dir=at_home.data, image_size=32, storage="jpeg", processes=1)
    made = pack.run(config)
    assert made.folder == at_home.data / "packed-jpeg"
    assert made.split("test").cubes.shape[-1] == 32
