"""What pack, baseline and train log and register, and that they leave the test split alone."""

import json
import shutil
from dataclasses import replace

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from flare.config import BaselineConfig, PackConfig, TrainConfig
from flare.config.groups import NO_RESULT
from flare.datasets.pack.reader import Pack
from flare.errors import ConfigInvalid, DatasetInvalid
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.calibration import METHODS, RATE
from flare.goes import EVENTS
from flare.tracking.runs import start
from flare.workflows import baseline, train
from flare.workflows.data import pack
from flare.workflows.fitting import forest
from flare.workflows.fitting.cross_validation import OutOfFoldForecasts, training_folds
from flare.workflows.fitting.network import prepare_inputs, train_network
from flare.workflows.fitting.network_folds import cross_validate_network
from flare.workflows.fitting.training_data import TrainingData, training_data

from tiny import write_tiny_dataset
from workplace import SMALL_FOREST, SMALL_NETWORK, working_in

CUBES = np.full((1, 4, 10, 32, 32), 90, dtype=np.uint8)
PRESENT = np.ones((1, 4, 10), dtype=bool)


@pytest.fixture
def runs(models, fetch):
    return {"forest": fetch(models.forest.version.run_id), "network": fetch(network_id(models))}


def network_id(models) -> str:
    return models.network.version.run_id


def artifacts(run_id: str) -> set[str]:
    client = MlflowClient()
    top = client.list_artifacts(run_id)
    inside = [
        one for entry in top if entry.is_dir for one in client.list_artifacts(run_id, entry.path)
    ]
    return {one.path for one in [*top, *inside]}


def test_both_are_finished_runs_and_versions_of_one_model_with_their_kind_and_data(models, runs):
    versions = [(one.version.version, one.version.kind) for one in (models.forest, models.network)]
    assert versions == [(1, "forest"), (2, "cnn")]
    for name, entry, kind in (("forest", "baseline", "forest"), ("network", "train", "cnn")):
        run = runs[name]
        wanted = {"flare.entry": entry, "flare.kind": kind, "flare.data": "tiny"}
        assert run.info.status == "FINISHED"
        assert wanted.items() <= run.data.tags.items()
        assert run.data.tags["flare.synthetic"] == "true"
        assert len(run.data.tags["flare.data_fingerprint"]) == 64
        assert "SYNTHETIC" in run.data.tags["mlflow.note.content"]
        # Every region that it was fitted or postprocessed on.
        assert getattr(models, name).forecaster.origin.active_regions == tuple(
            range(11000, 11080, 10)
        )


def test_every_parameter_is_logged_as_mlproject_spells_it_and_what_changes_no_result_is_a_tag(runs):
    for name, config in (("forest", BaselineConfig), ("network", TrainConfig)):
        assert set(runs[name].data.params) == set(config.model_fields) - NO_RESULT
    params, tags = runs["network"].data.params, runs["network"].data.tags
    assert params["learning_rate"] == "0.001"
    assert (params["pack_dir"], params["mirror"], params["shift"]) == ("", "true", "0.0")
    assert (tags["flare.processes"], tags["flare.accelerator"]) == ("1", "cpu")
    assert (tags["flare.resume"], tags["flare.precision"]) == ("", "32-true")
    assert "flare.accelerator" not in runs["forest"].data.tags


@pytest.mark.parametrize("name", ["forest", "network"])
def test_validation_scores_are_metrics_with_their_interval_and_the_versions_tags(
    models, runs, name
):
    metrics = runs[name].data.metrics
    for score in ("brier_skill_score", "true_skill_statistic"):
        low, value, high = (
            metrics[f"validation/M1.0/{score}{end}"] for end in ("_low", "", "_high")
        )
        # A percentile interval of four regions need not hold the value itself.
        assert -1 <= low <= high <= 1
        assert -1 <= value <= 1
    assert metrics["validation/M1.0/n_events"] >= 1
    assert metrics["validation/flux/log10_flux_mae"] > 0
    assert not [key for key in metrics if key.startswith("test/")]
    trained = getattr(models, name)
    tags = MlflowClient().get_model_version("solar-flare", str(trained.version.version)).tags
    value = trained.validation.value("M1.0", "brier_skill_score")
    assert float(tags["flare.validation_brier_skill_score"]) == pytest.approx(value, abs=1e-6)


def test_a_network_logs_every_epoch_as_a_step_and_both_log_their_figures(models, at_home):
    history = MlflowClient().get_metric_history(network_id(models), "epoch/train/loss")
    assert [one.step for one in history] == [1, 2]
    forest = artifacts(models.forest.version.run_id)
    assert {"figures/feature_importance.png", "feature_importance.json"} <= forest
    assert {"figures/training_curve.png", "validation.json"} <= artifacts(network_id(models))


def test_training_and_validation_rows_are_separate_dataset_inputs(runs):
    for run in runs.values():
        inputs = run.inputs.dataset_inputs
        samples = {one.tags[0].value: json.loads(one.dataset.profile)["samples"] for one in inputs}
        assert set(samples) == {"training", "validation"}
        assert {one.dataset.name for one in inputs} == {"tiny training", "tiny validation"}
        assert sum(samples.values()) == 16
        fingerprint = run.data.tags["flare.data_fingerprint"]
        assert {one.dataset.digest[:16] for one in inputs} == {fingerprint[:16]}


@pytest.fixture(scope="module")
def data(home, models):
    """The training rows that both models were made from."""
    config = TrainConfig(**home.small)
    with working_in(home.folder), start("rows", name="rows") as tracked:
        return training_data(config, tracked)


def fitted(family: str, data: TrainingData, *, seed: int) -> float:
    """Return P(C1.0) of a newly fitted forecaster, without postprocessing, for one cube."""
    if family == "forest":
        settings = forest.forest_settings(BaselineConfig(**SMALL_FOREST))
        features, rows = forest.training_features(data), data.split.train
        forecaster = forest.fit_rows(features, data, rows, settings, seed=seed)
    else:
        config = TrainConfig(**SMALL_NETWORK, seed=seed)
        forecaster, _ = train_network(data, config, prepare_inputs(data, config))
    return forecaster.predict(CUBES, PRESENT).probability_of("C1.0")[0]


def out_of_fold(family: str, data: TrainingData, *, folds: int = 3) -> OutOfFoldForecasts:
    """Return the forecasts that the postprocessing of a new forecaster is fitted on."""
    if family == "forest":
        settings = forest.forest_settings(BaselineConfig(**SMALL_FOREST))
        return forest.fit_and_forecast(data, settings, seed=0, folds=folds, split_seed=0)[1]
    numbers = training_folds(data, folds, seed=0)
    config = TrainConfig(**SMALL_NETWORK)
    inputs = prepare_inputs(data, config)
    return cross_validate_network(data, config, inputs, numbers, epochs=1)[0]


@pytest.fixture(scope="module")
def unchanged(data):
    """The forecasts out of fold of each family, on the labels as they are."""
    return {family: out_of_fold(family, data) for family in ("forest", "network")}


@pytest.mark.parametrize("family", ["forest", "network"])
def test_labels_that_are_left_out_do_not_change_their_forecast(data, unchanged, family):
    before = unchanged[family]
    left = before.folds == 1  # some of M7: fold 0 has quiet ones and X alone, a bin each
    # Within its decade: the classes and the folds stay, and the bins of a distribution change.
    flux = data.peak_flux.copy()
    decade = 10.0 ** np.floor(np.log10(flux[before.rows[left]]))
    weak = flux[before.rows[left]] < 3 * decade
    flux[before.rows[left]] = decade * np.where(weak, 9.0, 1.1)
    other = replace(data, rows=replace(data.rows, table=data.rows.table.assign(peak_flux=flux)))
    after = out_of_fold(family, other)
    np.testing.assert_array_equal(after.folds, before.folds)
    one, two = (
        np.column_stack([some.forecast.log10_flux, some.forecast.probability])
        for some in (before, after)
    )
    np.testing.assert_array_equal(one[left], two[left])
    assert (one[~left] != two[~left]).any()


@pytest.mark.parametrize("family", ["forest", "network"])
def test_validation_labels_do_not_change_what_postprocessing_is_fitted_on(data, unchanged, family):
    flux = data.peak_flux.copy()
    flux[data.split.validation] = 1e-3
    other = replace(data, rows=replace(data.rows, table=data.rows.table.assign(peak_flux=flux)))
    before, after = unchanged[family], out_of_fold(family, other)
    np.testing.assert_array_equal(before.rows, data.split.train)
    np.testing.assert_array_equal(before.forecast.probability, after.forecast.probability)


def test_without_folds_it_is_the_validation_rows_that_postprocessing_is_fitted_on(data):
    np.testing.assert_array_equal(out_of_fold("forest", data, folds=0).rows, data.split.validation)


def test_calibrations_and_what_they_gain_are_logged(runs):
    for run in runs.values():
        gains = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/calibration.json")
        for event in EVENTS:
            assert run.data.tags[f"flare.calibration/{event}"] == gains[event]["method"]
            assert gains[event]["method"] in (*METHODS, RATE)
            assert 0 <= gains[event]["brier_score_raw"] <= 1
            assert 0 <= gains[event]["brier_score"] <= 1
            assert gains[event]["n_events"] >= 0


def test_too_many_folds_are_refused_before_anything_is_fitted(at_home, newest):
    with pytest.raises(DatasetInvalid, match="too few for folds=20; use fewer folds, folds=0"):
        train.run(TrainConfig(**at_home.small, **SMALL_NETWORK, folds=20, model_name="nothing"))
    assert "epoch/train/loss" not in newest("train").data.metrics


@pytest.mark.parametrize("family", ["forest", "network"])
def test_the_same_seed_gives_the_same_forecaster_and_another_seed_another(models, data, family):
    registered = getattr(models, family).forecaster
    registered = registered.with_postprocessing(
        PostProcessing(distribution=registered.postprocessing.distribution)
    )
    registered = registered.predict(CUBES, PRESENT).probability_of("C1.0")[0]
    assert fitted(family, data, seed=0) == pytest.approx(registered, abs=1e-9)
    assert fitted(family, data, seed=1) != registered


@pytest.mark.parametrize("family", ["forest", "network"])
def test_a_training_never_opens_the_test_split_and_works_without_one(
    models, at_home, tmp_path, monkeypatch, family
):
    without = shutil.copytree(at_home.data, tmp_path / "without")
    shutil.rmtree(without / "test")
    opened = []
    split = Pack.split
    monkeypatch.setattr(Pack, "split", lambda pack, name: opened.append(name) or split(pack, name))
    shared = at_home.small | {"data_dir": without, "model_name": "without", "resamples": 100}
    if family == "forest":
        trained = baseline.run(BaselineConfig(**shared, **SMALL_FOREST))
    else:
        trained = train.run(TrainConfig(**shared, **SMALL_NETWORK))
    assert opened == ["training"]
    forecast = trained.forecaster.predict(CUBES, PRESENT)
    whole = getattr(models, family).forecaster.predict(CUBES, PRESENT)
    assert forecast.log10_flux == pytest.approx(whole.log10_flux, abs=1e-9)
    assert forecast.probability == pytest.approx(whole.probability, abs=1e-9)


def test_training_ends_when_no_epoch_in_patience_is_better(data):
    # A rate of 1 throws the weights about, so that the loss soon stops falling.
    wild = SMALL_NETWORK | {"epochs": 60, "patience": 2, "learning_rate": 1.0}
    config, records = TrainConfig(**wild), []
    _, best = train_network(data, config, prepare_inputs(data, config), on_epoch=records.append)
    assert len(records) == best.epoch + 1 + 2 < 60


@pytest.mark.skipif("__import__('torch').cuda.is_available()")
def test_a_missing_accelerator_is_named(at_home, newest):
    with pytest.raises(ConfigInvalid, match=r"accelerator=gpu .* use accelerator=auto"):
        train.run(TrainConfig(**at_home.small, **SMALL_NETWORK | {"accelerator": "gpu"}))
    assert newest("train").info.status == "FAILED"


def test_pack_logs_what_is_missing_and_the_datas_identity(at_home, fetch, newest):
    result = pack.run(PackConfig(data_dir=at_home.data, image_size=32, processes=1))
    run = newest("pack")
    assert result.samples == {"training": 16, "test": 8}
    assert run.data.metrics["missing/211"] == 2
    assert run.data.tags["flare.data_fingerprint"] == result.fingerprint
    assert artifacts(run.info.run_id) == {"pack.json", "rejected.csv"}


def test_a_damaged_pack_is_made_again_with_the_same_fingerprint(at_home, tmp_path):
    config = PackConfig(data_dir=at_home.data, pack_dir=tmp_path / "p", image_size=32, processes=1)
    first = pack.run(config)
    cubes = tmp_path / "p" / "training" / "cubes.u8"
    whole = cubes.read_bytes()
    cubes.write_bytes(whole[: len(whole) // 2])
    assert pack.run(config).fingerprint == first.fingerprint
    assert cubes.read_bytes() == whole


def test_an_image_that_cannot_be_read_is_counted_in_the_run(at_home, newest, tmp_path):
    data = write_tiny_dataset(tmp_path / "cut", training_regions=2, test_regions=1)
    image = next(data.glob("training/*/*/*__171.jpg"))
    image.write_bytes(image.read_bytes()[:300])
    pack.run(PackConfig(data_dir=data, image_size=32, processes=1))
    metrics = newest("pack").data.metrics
    assert (metrics["rejected/unreadable"], metrics["missing/171"]) == (1, 1)


def test_a_label_that_is_nan_ends_a_training_and_registers_nothing(at_home, newest, tmp_path):
    data = write_tiny_dataset(tmp_path / "nan")
    table = pd.read_csv(data / "training" / "meta_data.csv", dtype=str)
    table.loc[3, "peak_flux"] = "nan"
    table.to_csv(data / "training" / "meta_data.csv", index=False)
    with pytest.raises(DatasetInvalid, match=r"meta_data.csv.*peak_flux is 'nan'; write W m\^-2"):
        baseline.run(BaselineConfig(**at_home.small | {"data_dir": data}, model_name="nothing"))
    assert MlflowClient().search_model_versions("name='nothing'") == []
    run = newest("baseline")
    assert run.info.status == "FAILED"
    assert "peak_flux" in run.data.tags["flare.error"]
