"""A bulk prediction that an array job divides is, merged, the file of one that was not divided."""

from pathlib import Path

import pytest
from known_models import climatology

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


def test_merged_shards_are_the_undivided_file_even_if_some_are_lost(forecast, tmp_path):
    forecast(tmp_path / "whole.csv")
    output = tmp_path / "out" / "p.csv"
    for shards, counts in (
        (SHARDS, [16, 16, 8, 0]),
        (SHARDS[1:], [16, 8, 0]),
        (("3/3", "1/2"), [8, 24]),
    ):
        assert [len(forecast(output, shard).rows) for shard in shards] == counts
        assert not output.exists()
        forecast(output)
        assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
        assert [path.name for path in output.parent.iterdir()] == ["p.csv"]
        output.unlink()


def test_a_shard_is_resumed_and_merged_only_once_it_has_ended_and_is_of_the_same_model(
    forecast, tmp_path
):
    output = tmp_path / "p.csv"
    place = forecast(output, "2/4").output
    assert forecast(output, "2/4").resumed == 16
    with place.open("ab") as file:
        lock_file(file, busy="")
        with pytest.raises(PlaceInUse, match=r"shard-2-of-4.* is being written by another process"):
            forecast(output)
    with pytest.raises(ConfigInvalid, match=r"shard-2-of-4.* has forecasts of another model"):
        forecast(output, model=save(climatology(-5), tmp_path / "other"))


def test_one_sample_has_no_shards(at_home):
    with pytest.raises(ConfigInvalid, match=r"shard=1/2 is a share of data_dir"):
        predict.run(PredictConfig(shard="1/2"))
