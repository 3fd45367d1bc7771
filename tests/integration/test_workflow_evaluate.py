import json
import shutil

import pandas as pd
import pytest
from mlflow import MlflowClient

from flare.config import EvaluateConfig
from flare.config.groups import PackOptions
from flare.errors import ConfigInvalid, DatasetNotFound, ModelNotFound
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.goes import EVENTS
from flare.tracking.registry import RegisteredVersion, put_run_text
from flare.workflows import evaluate
from flare.workflows.evaluation.references import fit_references, reference_data
from flare.workflows.fitting.training_data import open_packed
from flare.workflows.prediction.resolve_model import resolve

from tiny import write_tiny_dataset


@pytest.fixture
def run(models, fetch):
    return fetch(models.evaluation.run_id)


@pytest.fixture
def report(models, at_home):
    return json.loads((models.evaluation.report / "report.json").read_text(encoding="utf-8"))


def evaluated(home, folder, **given):
    settings = {"data_dir": home.data, "resamples": 100, "output_dir": folder} | given
    return evaluate.run(EvaluateConfig(**settings))


#: The reference forecasts in the order in which they are reported.
OTHERS = [
    "forest",
    "logistic regression",
    "inversion line",
    "climatology",
    "constant",
    "persistence",
]


def test_all_are_scored_on_the_same_samples_and_logged_as_metrics(models, run):
    cards = models.evaluation.comparison.scorecards
    assert list(cards) == ["cnn v2", *OTHERS]
    scores = [card.get("M1.0", "brier_score") for card in cards.values()]
    assert {(one.n, one.n_events) for one in scores} == {(8, 2)}
    assert cards["climatology"].value("M1.0", "true_skill_statistic") == pytest.approx(0)
    logged = run.data.metrics
    for score in ("true_skill_statistic", "brier_skill_score", "roc_area"):
        value = cards["cnn v2"].value("M1.0", score)
        assert logged[f"test/M1.0/{score}"] == pytest.approx(value)
    for name in ("forest", "climatology"):
        value = cards[name].value("M1.0", "brier_skill_score")
        assert logged[f"test/M1.0/brier_skill_score/{name}"] == pytest.approx(value)
    low, value, high = (
        logged[f"test/M1.0/brier_skill_score{end}"] for end in ("_low", "", "_high")
    )
    assert low <= value <= high


def test_the_run_names_model_version_and_data(run, models):
    wanted = {
        "flare.model": "cnn v2",
        "flare.model_version": "2",
        "flare.kind": "cnn",
        "flare.data": "tiny",
        "mlflow.runName": "evaluate cnn v2 on test",
    }
    assert wanted.items() <= run.data.tags.items()
    assert "flare.trained_on_scored_regions" not in run.data.tags
    parts = {
        one.tags[0].value: json.loads(one.dataset.profile) for one in run.inputs.dataset_inputs
    }
    assert set(parts) == {"test", "references"}
    assert (parts["test"]["samples"], parts["test"]["active_regions"]) == (8, 4)
    fitted_on = 16 - models.network.validation.get("M1.0", "brier_score").n
    assert (parts["references"]["split"], parts["references"]["samples"]) == ("training", fitted_on)


def test_report_predictions_and_figures_are_artifacts_and_files(models, run):
    client = MlflowClient()
    top = {one.path for one in client.list_artifacts(run.info.run_id)}
    figures = {one.path for one in client.list_artifacts(run.info.run_id, "figures")}
    reports = {"report.json", "report.md", "report.html", "audit.md", "predictions.csv"}
    assert top == {*reports, "scores.json", "figures"}
    wanted = {"predicted_against_true", "confusion_matrix", "roc", "reliability"}
    assert {f"figures/{name}.png" for name in wanted} <= figures
    folder = models.evaluation.report
    files = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    assert files == reports | figures


def test_the_report_says_what_was_scored_on_what_and_holds_every_score(report, models):
    assert (report["model"], report["model_version"]) == ("cnn v2", 2)
    assert report["run_id"] == models.network.version.run_id
    assert report["trained_on_scored_regions"] == []
    assert report["data"]["split"] == "test"
    assert (report["data"]["samples"], report["data"]["active_regions"]) == (8, 4)
    assert report["data"]["synthetic"] is True
    for name, card in models.evaluation.comparison.scorecards.items():
        assert report["forecasters"][name] == json.loads(json.dumps(card.as_dict()))


def test_predictions_have_a_row_for_every_sample_in_the_tables_order(models, home):
    predictions = pd.read_csv(models.evaluation.report / "predictions.csv")
    table = pd.read_csv(home.data / "test" / "meta_data.csv")
    assert predictions["id"].tolist() == table["id"].tolist()
    assert predictions["observed_peak_flux_w_m2"].tolist() == table["peak_flux"].tolist()
    assert predictions["images_present"].tolist() == [39] + [40] * 7
    chances = predictions[[f"probability_{event}" for event in EVENTS]]
    assert ((chances >= 0) & (chances <= 1)).all(axis=None)
    assert (chances.diff(axis=1).iloc[:, 1:] <= 0).all(axis=None)


def test_the_same_model_gets_the_same_numbers_again(models, at_home, report, tmp_path):
    evaluated(at_home, tmp_path / "again", model="2")
    again = json.loads((tmp_path / "again" / "report.json").read_text(encoding="utf-8"))
    assert again == report


def test_a_model_can_be_named_in_several_ways(models, at_home):
    for name in ("2", models.network.version.run_id, "models:/solar-flare/2", ""):
        assert resolve(name, "solar-flare").forecaster.kind == "neural"


def test_the_forest_in_the_table_is_the_same_whatever_is_registered(models, at_home, tmp_path):
    cards = evaluated(at_home, tmp_path / "forest", model="1").comparison.scorecards
    assert list(cards) == ["forest v1", *OTHERS]
    own = cards["forest"].as_dict()
    assert own == models.evaluation.comparison.scorecards["forest"].as_dict()
    assert own == cards["forest v1"].as_dict()  # which was fitted with the same settings


def test_reference_forecasts_are_fitted_on_the_regions_that_the_model_was_trained_on(
    models, report, home
):
    n_held_out = models.network.validation.n_active_regions
    fitted = dict.fromkeys(["cnn v2", *OTHERS], 8 - n_held_out)
    assert 0 < n_held_out < 8
    assert models.evaluation.comparison.fitted == report["fitted_on_active_regions"] == fitted
    text = (models.evaluation.report / "report.md").read_text(encoding="utf-8")
    assert f"active regions used for fitting: {8 - n_held_out}: cnn v2, forest" in text


def test_for_a_model_of_unknown_regions_the_table_says_how_many_each_was_fitted_on(
    models, at_home, tmp_path, monkeypatch
):
    """It may be called what a reference is called."""
    from flare.forecasters.storage import save

    monkeypatch.chdir(tmp_path)
    save(models.network.forecaster, tmp_path / "climatology")
    result = evaluated(at_home, tmp_path / "out", model="climatology", compare_to="1")
    names = ["folder climatology", "forest v1", *OTHERS]
    assert list(result.comparison.scorecards) == names
    n_held_out = models.network.validation.n_active_regions
    assert result.comparison.fitted == {
        "folder climatology": 8,
        "forest v1": 8 - n_held_out,
        **dict.fromkeys(OTHERS, 8),
    }


def test_a_model_of_synthetic_regions_says_so_on_other_data(models, at_home, tmp_path):
    data = write_tiny_dataset(tmp_path / "other", seed=7)  # else it would be the model's own test
    (data / "dataset.json").unlink()
    result = evaluated(at_home, tmp_path / "out", model="2", data_dir=data)
    assert next(iter(result.comparison.scorecards)) == "cnn v2 (trained on SYNTHETIC data)"


def test_a_split_that_is_not_there_is_named(models, at_home, tmp_path):
    data = write_tiny_dataset(tmp_path / "half", training_regions=4, test_regions=1)
    shutil.rmtree(data / "test")
    with pytest.raises(DatasetNotFound, match=r"no test split, only training"):
        evaluated(at_home, tmp_path / "no", model="2", data_dir=data)


@pytest.mark.parametrize("name", ["nonsense", "0" * 32, "models:/none/1"])
def test_a_model_that_does_not_exist_is_named(models, at_home, tmp_path, name):
    with pytest.raises(ModelNotFound, match=name):
        evaluated(at_home, tmp_path / "no", model=name)


def test_a_place_that_cannot_be_written_is_refused_before_any_work(at_home, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigInvalid, match=r"output_dir=.*/file/report: .*/file is not a folder"):
        evaluated(at_home, tmp_path / "file" / "report", model="no need to look")


def test_a_version_whose_run_was_purged_is_evaluated_without_its_card(at_home, caplog):
    version = RegisteredVersion("solar-flare", 2, "0" * 32, "cnn")
    put_run_text(version, "text", "model_card.md")
    assert "purged by `mlflow gc`): model_card.md is not stored" in caplog.text


def test_of_a_single_region_there_still_is_a_forest_for_reference(elsewhere):
    data = write_tiny_dataset(elsewhere / "few", training_regions=1, test_regions=1)
    pack = open_packed(PackOptions(data_dir=data, processes=1), 32)
    result = fit_references(reference_data(pack))
    assert result["forest"].postprocessing == PostProcessing()
