from pathlib import Path

import pytest
from pydantic import ValidationError

from flare.config import (
    ENTRY_POINTS,
    BaselineConfig,
    MainConfig,
    PackConfig,
    PredictConfig,
    PromoteConfig,
    TrainConfig,
)
from flare.config.search import SearchConfig

CONFIGS = ENTRY_POINTS.values()


@pytest.mark.parametrize("config", CONFIGS)
def test_every_parameter_is_described_and_has_an_allowed_default_and_no_other_is_taken(config):
    defaults = config()
    assert config.model_validate(defaults.model_dump()) == defaults
    assert [name for name, field in config.model_fields.items() if not field.description] == []
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        config(no_such_parameter=1)


def test_a_config_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        TrainConfig().seed = 1


def test_nothing_is_read_from_the_environment(monkeypatch):
    before = TrainConfig()
    for name in TrainConfig.model_fields:
        monkeypatch.setenv(name.upper(), "32")
    assert TrainConfig() == before


def test_a_dotenv_file_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("EPOCHS=7\n")
    monkeypatch.chdir(tmp_path)
    assert TrainConfig().epochs == 15


def test_an_empty_text_is_not_a_path():
    assert PackConfig(pack_dir="").pack_dir is None
    assert PredictConfig(output="").output is None
    assert PredictConfig(data_dir="").data_dir is None
    assert PackConfig(pack_dir="data/packed").pack_dir == Path("data/packed")


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_images_may_be_averaged_down_by_powers_of_two(size):
    assert PackConfig(image_size=size).image_size == size


@pytest.mark.parametrize("size", [0, 16, 100, 512])
def test_any_other_image_size_is_refused_with_the_choices(size):
    with pytest.raises(ValidationError, match="choose one of 32, 64, 128, 256"):
        PackConfig(image_size=size)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": 2**31},
        {"epochs": 0},
        {"batch_size": 1},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"dropout": 1},
        {"validation_share": 0},
        {"validation_share": 1},
        {"resamples": 99},
        {"model_name": ""},
        {"model_name": "a/b"},
        {"model_name": "a:b"},
        {"architecture": "vit"},
        {"accelerator": "tpu"},
        {"mirror": "perhaps"},
    ],
    ids=str,
)
def test_a_parameter_out_of_its_bounds_is_refused_by_name(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        TrainConfig(**wrong)


@pytest.mark.parametrize("version", ["best", "latest", "previous", "1", "42"])
def test_a_version_is_a_number_or_a_word_for_one(version):
    assert PromoteConfig(version=version).version == version


@pytest.mark.parametrize("version", ["0", "-1", "1.0", "newest", "", "1\n"])
def test_no_other_text_is_a_version(version):
    with pytest.raises(ValidationError):
        PromoteConfig(version=version)


@pytest.mark.parametrize("stage", [BaselineConfig, TrainConfig])
def test_the_whole_job_takes_every_parameter_of_its_stages_with_the_same_default(stage):
    whole = MainConfig().model_dump() | {"image_size": 128, "epochs": 15}
    stage_defaults = stage().model_dump()
    assert {name: whole[name] for name in stage_defaults} == stage_defaults


def test_the_whole_job_has_smaller_images_and_fewer_epochs_than_a_training():
    assert MainConfig().image_size < TrainConfig().image_size
    assert MainConfig().epochs < TrainConfig().epochs


def test_a_search_is_as_seeded_as_a_training():
    assert SearchConfig(seed=3, split_seed=4).seed == 3
    assert SearchConfig().split_seed == TrainConfig().split_seed


@pytest.mark.parametrize("folds", [-1, 1, 21])
@pytest.mark.parametrize("config", [BaselineConfig, TrainConfig, MainConfig])
def test_folds_that_leave_nothing_to_fit_on_are_refused(config, folds):
    with pytest.raises(ValidationError, match="folds"):
        config(folds=folds)
