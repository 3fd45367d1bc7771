"""A bulk prediction that an array job divides is, merged, the file of one that was not divided."""

from pathlib import Path

import pytest
from known_models import climatology
from pydantic import ValidationError

from flare.config import PredictConfig
from flare.errors import ConfigInvalid, PlaceInUse
from flare.files import lock_file
from flare.forecasters.storage import save
from flare.workflows import predict

from tiny import write_tiny_dataset

SHARDS = ("1/4", "2/4", "3/4", "4/4")  # of three batches: 16, 16 and 8 samples


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    place = tmp_path_factory.mktemp("shards")
    return write_tiny_dataset(place / "tiny", training_regions=1, test_regions=20)


@pytest.fixture
def forecast(at_home, data, tmp_path):
    model = save(climatology(-6), tmp_path / "model")

    def ask(output: Path, shard: str = "", model: Path = model):
        given = {"data_dir": data, "model": str(model), "processes": 1, "shard": shard}
        return predict.run(PredictConfig(output=output, **given))

    return ask


@pytest.fixture
def whole(forecast, tmp_path):
    forecast(tmp_path / "whole.csv")
    return (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("shards", [SHARDS, SHARDS[1:], ("3/3", "1/2")])
def test_merged_shards_are_the_undivided_file_even_if_some_are_lost(
    forecast, whole, tmp_path, shards
):
    output = tmp_path / "out" / "p.csv"
    counts = [len(forecast(output, shard).rows) for shard in shards]
    assert not output.exists()
    assert counts == {"1/4": [16, 16, 8, 0], "2/4": [16, 8, 0], "3/3": [8, 24]}[shards[0]]
    forecast(output)
    assert output.read_bytes() == whole
    assert [path.name for path in output.parent.iterdir()] == ["p.csv"]


def test_a_finished_shard_forecasts_nothing_again(forecast, tmp_path):
    forecast(tmp_path / "p.csv", "2/4")
    assert forecast(tmp_path / "p.csv", "2/4").resumed == 16


def test_a_shard_of_another_model_is_refused(forecast, tmp_path):
    forecast(tmp_path / "p.csv", "2/4", save(climatology(-5), tmp_path / "other"))
    with pytest.raises(ConfigInvalid, match=r"shard-2-of-4.* has forecasts of another model"):
        forecast(tmp_path / "p.csv")


def test_a_shard_that_is_still_running_is_waited_for(forecast, tmp_path):
    place = forecast(tmp_path / "p.csv", "2/4").output
    with place.open("ab") as file:
        lock_file(file, busy="")
        with pytest.raises(PlaceInUse, match=r"shard-2-of-4.* is being written by another process"):
            forecast(tmp_path / "p.csv")


@pytest.mark.parametrize("shard", ["0/4", "5/4", "4", "a/b", "-1/4", "1/0"])
def test_what_is_no_shard_is_refused(shard):
    with pytest.raises(ValidationError, match="such as 3/16"):
        PredictConfig(shard=shard)


def test_one_sample_has_no_shards(at_home):
    with pytest.raises(ConfigInvalid, match=r"shard=1/2 is a share of data_dir"):
        predict.run(PredictConfig(shard="1/2"))
