"""What people read in MLflow is what the files of the same run and model say."""

import json

import mlflow
import pytest
from mlflow import MlflowClient

from benchmarks import consistency
from flare.config.groups import PromotionScore
from flare.verification.scores import event_of
from flare.workflows.evaluation.promotion import validation_score


@pytest.fixture(params=["forest", "network"])
def trained(models, at_home, request):
    return getattr(models, request.param)


def version_of(trained):
    return MlflowClient().get_model_version(trained.version.name, str(trained.version.version))


def model_of(trained):
    return MlflowClient().get_logged_model(trained.version.model_id)


def validation(run_id: str) -> dict[str, float]:
    text = mlflow.artifacts.load_text(f"runs:/{run_id}/validation.json")
    return consistency.of_scores(json.loads(text)["scores"], "validation")


def test_every_place_shows_the_same_scores_of_a_version(trained):
    outcome = consistency.check_version(MlflowClient(), version_of(trained))
    assert outcome.differing == []
    assert {"runs table", "logged model", "score table", "validation tags"} <= set(outcome.compared)


def test_the_test_scores_of_a_version_are_those_of_its_evaluation(models, at_home):
    outcome = consistency.check_version(MlflowClient(), version_of(models.network))
    assert {"test: logged model", "test: runs table", "test tags"} <= set(outcome.compared)
    evaluation = MlflowClient().get_run(models.evaluation.run_id)
    assert consistency.check_evaluation(evaluation).differing == []


def test_scores_are_compared_whatever_the_current_experiment_is(models, at_home, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "999")
    version = version_of(models.forest)
    assert consistency.check_version(MlflowClient(), version).differing == []


@pytest.mark.parametrize("place", ["a tag", "the description", "the logged model"])
def test_another_number_in_one_place_is_noticed(models, at_home, monkeypatch, place):
    version = version_of(models.network)
    if place == "a tag":
        version.tags["flare.test_brier_skill_score"] = "0.123456"
    elif place == "the description":
        version._description = "a card of another model"
    else:
        of_model = consistency.of_model
        monkeypatch.setattr(
            consistency,
            "of_model",
            lambda *given: {name: value + 0.001 for name, value in of_model(*given).items()},
        )
    assert consistency.check_version(MlflowClient(), version).differing != []


def test_no_metric_is_both_a_curve_and_a_final_score(trained):
    run = MlflowClient().get_run(trained.version.run_id)
    assert consistency.check_names(MlflowClient(), run) == []


@pytest.mark.parametrize("event", ["C1.0", "M1.0"])
@pytest.mark.parametrize("score", PromotionScore.__args__)
def test_promote_reads_every_score_from_the_validation_file(models, at_home, event, score):
    version = models.network.version
    name = f"validation/{event_of(event, score)}/{score}"
    read = validation_score(version, event, score)
    assert read.value == validation(version.run_id)[name]
    shown = MlflowClient().get_run(version.run_id).data.metrics
    assert read.value == shown.get(name, read.value)


def test_a_logged_model_has_its_scores_with_their_dataset_and_nothing_else(models, at_home):
    metrics = model_of(models.network).metrics
    kinds = {(one.key.split("/")[0], one.dataset_name) for one in metrics}
    assert kinds == {("validation", "tiny validation"), ("test", "tiny test")}
    evaluation = MlflowClient().get_run(models.evaluation.run_id)
    inputs = {(i.dataset.name, i.dataset.digest) for i in evaluation.inputs.dataset_inputs}
    assert {
        (one.dataset_name, one.dataset_digest) for one in metrics if one.key.startswith("test/")
    } <= inputs


def test_a_logged_model_names_its_version_and_where_it_comes_from(models, at_home):
    tags, version = model_of(models.network).tags, models.network.version.version
    named = [{"name": "solar-flare", "version": version}]
    assert json.loads(tags["mlflow.modelVersions"]) == named
    assert tags["mlflow.source.name"]


def test_models_are_sorted_by_their_test_scores(models, at_home):
    name = "metrics.test/M1.0/true_skill_statistic"
    result = MlflowClient().search_logged_models(
        ["0"],
        order_by=[{"field_name": name, "ascending": False, "dataset_name": "tiny test"}],
    )
    ids = [one.model_id for one in result]  # of other tests too
    scored, unscored = models.network.version.model_id, models.forest.version.model_id
    assert ids.index(scored) < ids.index(unscored)


def test_inputs_of_the_evaluation_are_its_model_and_datasets_by_split_with_a_schema(
    models, at_home
):
    run = MlflowClient().get_run(models.evaluation.run_id)
    assert [one.model_id for one in run.inputs.model_inputs] == [models.network.version.model_id]
    datasets = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs}
    assert {use: one.name for use, one in datasets.items()} == {
        "test": "tiny test",
        "references": "tiny training",
    }
    parts = json.loads(datasets["test"].schema)["mlflow_tensorspec"]
    (images,) = json.loads(parts["features"])
    assert images["tensor-spec"] == {"dtype": "uint8", "shape": [-1, 4, 10, 32, 32]}


def test_the_page_of_a_version_is_its_card_and_its_tags_say_on_what_it_was_tested(models, at_home):
    version = version_of(models.network)
    run_id = models.network.version.run_id
    assert version.description == mlflow.artifacts.load_text(f"runs:/{run_id}/model_card.md")
    assert version.tags["flare.tuned_on"] == "out_of_fold"
    assert version.tags["flare.audit"] == "valid"
    assert version.tags["flare.test_data"].startswith("tiny test ")
    evaluated = mlflow.get_run(version.tags["flare.test_run"])  # the newest, maybe another test's
    assert evaluated.data.tags["flare.entry"] == "evaluate"
    assert evaluated.data.tags["flare.model_version"] == str(version.version)
    card = models.evaluation.comparison.scorecards[f"cnn v{version.version}"]
    for name in ("brier_skill_score", "true_skill_statistic"):
        assert float(version.tags[f"flare.test_{name}"]) == round(card.value("M1.0", name), 6)


def test_one_table_holds_every_score_of_a_run(trained):
    table = mlflow.load_table("scores.json", run_ids=[trained.version.run_id])
    wanted = trained.validation.scores
    assert list(zip(table["event"], table["score"], strict=True)) == [
        (one.event, one.name) for one in wanted
    ]
