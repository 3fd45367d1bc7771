"""Several versions as one: checked, postprocessed out of fold, registered, used like any other."""

import io
import json
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from flare.config import (
    EnsembleConfig,
    EvaluateConfig,
    PredictConfig,
    PromoteConfig,
)
from flare.errors import ConfigInvalid, ModelNotFound
from flare.tracking.packaging import kinds_of, requirements
from flare.tracking.registry import registered, version_tags
from flare.tracking.tags import ON_VALIDATION, OUT_OF_FOLD, POSTPROCESSING_TAG
from flare.workflows import ensemble, evaluate, predict, promote
from flare.workflows.prediction.resolve_model import of_version, resolve
from serving.models.follower import Follower
from serving.models.source import source_of
from serving.settings import Settings

from tiny import write_tiny_dataset
from workplace import working_in

NAME = "both"  # a model of its own: the shared one keeps its two versions


def config(home, **changes: object) -> EnsembleConfig:
    small = {name: value for name, value in home.small.items() if name != "image_size"}
    usual = {"models": "1,2", "resamples": 100}
    return EnsembleConfig(**small | usual | changes)


@pytest.fixture(scope="module")
def trained(home, models):
    """An ensemble of the forest and the network; it takes no part in the other tests' registry."""
    with working_in(home.folder), pytest.MonkeyPatch.context() as patch:
        real = ensemble.postprocess_and_register
        patch.setattr(
            ensemble,
            "postprocess_and_register",
            lambda *given, **named: real(*given, **named | {"model_name": NAME}),
        )
        return ensemble.run(config(home))


def artifact(run_id: str, path: str) -> str:
    place = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path)
    return Path(place).read_text(encoding="utf-8")


def test_it_is_a_version_postprocessed_on_what_no_member_was_fitted_on_and_names_its_members(
    trained, at_home, models
):
    assert trained.version.kind == "ensemble"
    tags, of_member = version_tags(trained.version), version_tags(registered("solar-flare")[0])
    assert tags[POSTPROCESSING_TAG] == OUT_OF_FOLD
    assert tags["flare.split_fingerprint"] == of_member["flare.split_fingerprint"]
    run_id = trained.version.run_id
    about = json.loads(artifact(run_id, "members.json"))["members"]
    assert [one["version"] for one in about] == [1, 2]
    assert about[0]["run_id"] == models.forest.version.run_id
    client = MlflowClient()
    names = {one.path for one in client.list_artifacts(run_id)}
    assert {"model_card.md", "validation_forecasts.csv", "environment.json"} <= names
    figures = {one.path for one in client.list_artifacts(run_id, "figures")}
    assert {"figures/members.png", "figures/sample_predictions.png"} <= figures
    assert client.get_run(run_id).info.status == "FINISHED"
    needed = requirements(*kinds_of(trained.forecaster))
    assert any(line.startswith("torch==") for line in needed)
    assert not any(line.startswith("torch==") for line in requirements("forest"))


def test_members_are_calibrated_fold_by_fold_on_the_folds_that_they_stored(
    models, at_home, monkeypatch
):
    asked = []

    def ended(forecast, peak_flux, folds, postprocessing):
        asked.append((folds, postprocessing))
        raise InterruptedError

    monkeypatch.setattr(ensemble, "calibrate_by_fold", ended)
    with pytest.raises(InterruptedError):
        ensemble.run(config(at_home))
    ((folds, postprocessing),) = asked
    for one in (models.network, models.forest):
        stored = pd.read_csv(io.StringIO(artifact(one.version.run_id, "out_of_fold.csv")))
        assert stored["id"].is_unique
        assert stored["fold"].nunique() == 3
        assert {"log10_flux", "lower", "upper", "probability_M1.0"} <= set(stored)
    assert folds.tolist() == stored["fold"].tolist()
    assert postprocessing == models.forest.forecaster.postprocessing


def test_its_forecasts_are_the_mean_of_the_members_flux(trained, at_home, models):
    cubes = np.full((2, 4, 10, 32, 32), 90, dtype=np.uint8)
    present = np.ones((2, 4, 10), dtype=bool)
    loaded = of_version(trained.version).forecaster
    # As it is before it is moved to where the ensemble's own probabilities allow it.
    loaded = loaded.with_postprocessing(replace(loaded.postprocessing, interval_level=None))
    members = [one.forecaster.predict(cubes, present) for one in (models.forest, models.network)]
    np.testing.assert_allclose(
        loaded.predict(cubes, present).log10_flux,
        np.mean([one.log10_flux for one in members], axis=0),
        atol=1e-5,
    )


def test_it_is_evaluated_promoted_and_served_like_any_other(trained, home, at_home, tmp_path):
    version = str(trained.version.version)
    scored = evaluate.run(
        EvaluateConfig(
            data_dir=home.data, model=version, model_name=NAME, resamples=100,
            output_dir=tmp_path / "report",
        )
    )  # fmt: skip
    assert scored.comparison.model.startswith("ensemble v")
    promote.run(PromoteConfig(version="latest", model_name=NAME))
    assert resolve("Production", NAME).forecaster.kind == "ensemble"
    source = source_of(Settings(model_name=NAME, state_dir=tmp_path / "state"))
    follower = Follower(source, poll_seconds=60)
    follower.poll_once()
    assert follower.snapshot().forecaster.kind == "ensemble"
    output = tmp_path / "forecasts.csv"
    predict.run(PredictConfig(data_dir=home.data, processes=1, model_name=NAME, output=output))
    assert len(pd.read_csv(output)) == 8
    model = mlflow.pyfunc.load_model(trained.version.uri)
    cubes = np.random.default_rng(0).integers(0, 256, (1, 4, 10, 32, 32), dtype=np.uint8)
    assert 0 <= model.predict(cubes)["mx_probability"][0] <= 1


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"models": "1"}, ConfigInvalid, "has 1 models"),
        ({"models": "1,1"}, ConfigInvalid, "has a model twice"),
        ({"models": "1,99"}, ModelNotFound, "no version 99"),
        ({"models": "1,models:/solar-flare/2"}, ConfigInvalid, "regions of .* are unknown"),
        ({"split_seed": 5}, ConfigInvalid, "was trained on split"),
    ],
)
def test_members_that_do_not_fit_are_refused(models, at_home, changes, error, says):
    with pytest.raises(error, match=says):
        ensemble.run(config(at_home, **changes))


def test_members_of_another_dataset_are_refused(models, at_home, tmp_path):
    other = write_tiny_dataset(tmp_path / "other", seed=7)
    with pytest.raises(ConfigInvalid, match="other data"):
        ensemble.run(config(at_home, data_dir=other))


def test_without_forecasts_out_of_fold_it_is_postprocessed_on_validation_and_says_so(
    models, at_home, caplog, monkeypatch
):
    monkeypatch.setattr(ensemble, "read_out_of_fold", lambda *_: None)
    real = ensemble.postprocess_and_register
    monkeypatch.setattr(
        ensemble,
        "postprocess_and_register",
        lambda *given, **named: real(*given, **named | {"model_name": NAME}),
    )
    result = ensemble.run(config(at_home))
    assert version_tags(result.version)[POSTPROCESSING_TAG] == ON_VALIDATION
    assert any("optimistic" in line for line in caplog.messages)
