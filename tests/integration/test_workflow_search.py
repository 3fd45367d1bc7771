import csv
import io

import mlflow
import pytest
import torch
from mlflow import MlflowClient

from flare.config import SearchConfig
from flare.datasets.pack.reader import Pack
from flare.errors import TrainingDiverged, VerificationInvalid
from flare.workflows import search
from flare.workflows.fitting import network

from tiny import write_tiny_dataset

OBJECTIVE = "validation/M1.0/brier_skill_score"


def searched(home, study, **given):
    small = {"study_file": study, "trials": 2, "epochs": 2, "family": "forest"}
    return search.run(SearchConfig(**home.small | small | given))


def children(parent: str):
    wanted = f"tags.`mlflow.parentRunId` = '{parent}'"
    return MlflowClient().search_runs(["0"], wanted, order_by=["attributes.start_time ASC"])


def test_every_trial_is_a_child_run_with_its_settings_and_its_score(at_home, newest, tmp_path):
    result = searched(at_home, tmp_path / "study")
    parent = newest("search")
    trials = children(parent.info.run_id)
    assert [one.info.run_name for one in trials] == ["trial 0: forest", "trial 1: forest"]
    assert {one.info.status for one in trials} == {"FINISHED"}
    assert all(
        set(one.data.params) == {"trees", "min_samples_leaf", "max_features"} for one in trials
    )
    assert result.value == pytest.approx(max(one.data.metrics[OBJECTIVE] for one in trials))
    assert parent.data.metrics[OBJECTIVE] == pytest.approx(result.value)
    uri = f"runs:/{parent.info.run_id}/trials.csv"
    table = list(csv.DictReader(io.StringIO(mlflow.artifacts.load_text(uri))))
    assert [row["state"] for row in table] == ["COMPLETE", "COMPLETE"]


def test_a_study_is_continued_with_new_suggestions(at_home, newest, tmp_path):
    searched(at_home, tmp_path / "study")
    first = children(newest("search").info.run_id)
    assert searched(at_home, tmp_path / "study", trials=1).trials == 3
    (third,) = children(newest("search").info.run_id)
    assert third.info.run_name == "trial 2: forest"
    assert third.data.params not in [one.data.params for one in first]


def test_another_split_is_another_study(at_home, tmp_path):
    first = searched(at_home, tmp_path / "study", trials=1)
    second = searched(at_home, tmp_path / "study", trials=1, split_seed=1)
    assert second.trials == 1
    assert second.study_name != first.study_name


@pytest.mark.parametrize("change", [{"image_size": 64}, {"seed": 1}], ids=str)
def test_trials_under_other_conditions_are_another_study(at_home, tmp_path, change):
    first = searched(at_home, tmp_path / "study", trials=1)
    second = searched(at_home, tmp_path / "study", trials=1, **change)
    assert second.trials == 1
    assert second.study_name != first.study_name


def test_a_network_trial_logs_its_epochs_and_no_trial_opens_the_test_split(
    at_home, newest, tmp_path, monkeypatch
):
    opened = []
    split = Pack.split
    monkeypatch.setattr(Pack, "split", lambda pack, name: opened.append(name) or split(pack, name))
    result = searched(at_home, tmp_path / "study", family="cnn", trials=1)
    (trial,) = children(newest("search").info.run_id)
    history = MlflowClient().get_metric_history(trial.info.run_id, "epoch/train/loss")
    assert [one.step for one in history] == [1, 2]
    assert history[0].timestamp < history[1].timestamp <= trial.info.end_time
    (objective,) = MlflowClient().get_metric_history(trial.info.run_id, OBJECTIVE)
    assert (objective.step, objective.value) == (0, pytest.approx(result.value))
    assert "-e train" in result.command
    assert f"-P learning_rate={float(trial.data.params['learning_rate']):.4g}" in result.command
    assert opened == ["training"]


def test_a_trial_that_diverges_fails_alone(at_home, newest, tmp_path, monkeypatch):
    honest = search.StudyObjective._forest

    def first_diverges(objective, trial):
        value = honest(objective, trial)
        if trial.number == 0:
            raise TrainingDiverged("the loss is NaN")
        return value

    monkeypatch.setattr(search.StudyObjective, "_forest", first_diverges)
    result = searched(at_home, tmp_path / "study")
    assert [one.info.status for one in children(newest("search").info.run_id)] == [
        "FAILED",
        "FINISHED",
    ]
    assert result.trials == 2


def test_a_trial_that_fills_the_memory_of_the_gpu_fails_alone(
    at_home, newest, tmp_path, monkeypatch
):
    full = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")]

    class Loss:
        def __init__(self, honest):
            self.honest = honest

        def __call__(self, *given):
            if full:
                raise full.pop()
            return self.honest(*given)

    honest = network.build_loss
    monkeypatch.setattr(network, "build_loss", lambda *given: Loss(honest(*given)))
    result = searched(at_home, tmp_path / "study", family="cnn", epochs=1)
    trials = children(newest("search").info.run_id)
    assert [one.info.status for one in trials] == ["FAILED", "FINISHED"]
    assert result.trials == 2


def test_an_interrupted_trial_is_killed_and_so_is_the_search(
    at_home, newest, tmp_path, monkeypatch
):
    def interrupt(*_given):
        raise KeyboardInterrupt

    monkeypatch.setattr(search.StudyObjective, "_forest", interrupt)
    with pytest.raises(KeyboardInterrupt):
        searched(at_home, tmp_path / "study")
    parent = newest("search")
    (trial,) = children(parent.info.run_id)
    assert (parent.info.status, trial.info.status) == ("KILLED", "KILLED")


def test_a_search_without_a_single_event_says_so(at_home, newest, tmp_path):
    quiet = write_tiny_dataset(tmp_path / "quiet", test_regions=1, labels=(1e-9, 2e-6))
    with pytest.raises(VerificationInvalid, match=r"none of the 1 trials .* no M1.0 event"):
        searched(at_home, tmp_path / "study", data_dir=quiet, trials=1)
    assert newest("search").info.status == "FAILED"
