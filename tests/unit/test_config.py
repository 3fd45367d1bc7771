from pathlib import Path

import pytest
from pydantic import ValidationError

from flare.config import (
    ENTRY_POINTS,
    BaselineConfig,
    MainConfig,
    NowcastConfig,
    PackConfig,
    PredictConfig,
    PromoteConfig,
    SearchConfig,
    TrainConfig,
)


@pytest.mark.parametrize("config", ENTRY_POINTS.values())
def test_every_parameter_is_described_and_has_an_allowed_default_and_no_other_is_taken(config):
    defaults = config()
    assert config.model_validate(defaults.model_dump()) == defaults
    assert [name for name, field in config.model_fields.items() if not field.description] == []
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        config(no_such_parameter=1)


def test_a_config_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        TrainConfig().seed = 1


def test_nothing_is_read_from_the_environment_or_a_dotenv_file(tmp_path, monkeypatch):
    before = TrainConfig()
    (tmp_path / ".env").write_text("EPOCHS=7\n")
    monkeypatch.chdir(tmp_path)
    for name in TrainConfig.model_fields:
        monkeypatch.setenv(name.upper(), "32")
    assert TrainConfig() == before


def test_an_empty_text_is_not_a_path():
    assert PackConfig(pack_dir="").pack_dir is None
    assert PredictConfig(output="", data_dir="").model_dump() == PredictConfig().model_dump()
    assert PackConfig(pack_dir="data/packed").pack_dir == Path("data/packed")


@pytest.mark.parametrize(
    ("config", "name", "values"),
    [
        (PackConfig, "image_size", [32, 64, 128, 256]),
        (PromoteConfig, "version", ["best", "latest", "previous", "1", "42"]),
        (NowcastConfig, "time", ["now", "2026-04-04T12:00Z"]),
    ],
)
def test_what_a_parameter_may_be(config, name, values):
    assert [getattr(config(**{name: value}), name) for value in values] == values


@pytest.mark.parametrize(
    ("config", "name", "values", "message"),
    [
        (TrainConfig, "seed", [-1, 2**31], "seed"),
        (TrainConfig, "epochs", [0], "epochs"),
        (TrainConfig, "batch_size", [1], "batch_size"),
        (TrainConfig, "learning_rate", [0, float("nan")], "learning_rate"),
        (TrainConfig, "dropout", [1], "dropout"),
        (TrainConfig, "validation_share", [0, 1], "validation_share"),
        (TrainConfig, "resamples", [99], "resamples"),
        (TrainConfig, "model_name", ["", "a/b", "a:b"], "model_name"),
        (TrainConfig, "architecture", ["vit"], "architecture"),
        (TrainConfig, "accelerator", ["tpu"], "accelerator"),
        (TrainConfig, "mirror", ["perhaps"], "mirror"),
        (BaselineConfig, "folds", [-1, 1, 21], "folds"),
        (PackConfig, "image_size", [0, 16, 100, 512], "choose one of 32, 64, 128, 256"),
        (PromoteConfig, "version", ["0", "-1", "1.0", "newest", "", "1\n"], "version"),
        (PredictConfig, "shard", ["0/4", "5/4", "4", "a/b", "-1/4", "1/0"], "such as 3/16"),
        (NowcastConfig, "time", ["noon", "2026-04-04T12:00", ""], "write ISO 8601 with a zone"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_any_other_value_is_refused_by_the_name_of_its_parameter(config, name, values, message):
    for value in values:
        with pytest.raises(ValidationError, match=message):
            config(**{name: value})


@pytest.mark.parametrize("stage", [BaselineConfig, TrainConfig])
def test_the_whole_job_takes_the_parameters_of_its_stages_with_smaller_images_and_fewer_epochs(
    stage,
):
    whole, defaults = MainConfig().model_dump(), stage().model_dump()
    different = {name for name, value in defaults.items() if whole[name] != value}
    assert different == {"image_size", "epochs"} & defaults.keys()
    assert all(whole[name] < defaults[name] for name in different)


def test_a_search_is_as_seeded_as_a_training():
    assert SearchConfig(seed=3, split_seed=4).seed == 3
    assert SearchConfig().split_seed == TrainConfig().split_seed
