import json
import re
import subprocess
import time

import pytest
from mlflow import MlflowClient

from flare.errors import DatasetInvalid, TrackingUnavailable, TrainingDiverged
from flare.tracking.resume import end_lost_children
from flare.tracking.run import log_data
from flare.tracking.runs import start, start_child

pytestmark = pytest.mark.usefixtures("at_home")


def test_a_run_that_returns_is_finished(fetch):
    with start("pack", name="one") as run:
        pass
    result = fetch(run.id)
    assert (result.info.status, result.info.run_name) == ("FINISHED", "one")
    assert result.data.tags["flare.entry"] == "pack"


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (DatasetInvalid("row 3 has no label"), "FAILED", "row 3 has no label"),
        (ZeroDivisionError("a defect"), "FAILED", "ZeroDivisionError"),
        (KeyboardInterrupt(), "KILLED", "KeyboardInterrupt"),
        (SystemExit(), "KILLED", "SystemExit"),
    ],
)
def test_a_run_that_meets_an_error_says_why_and_keeps_its_metrics(fetch, error, status, reason):
    def train():
        with start("train", name="stopped") as run:
            opened.append(run.id)
            run.log_metrics({"train/loss": 0.5}, step=1)
            raise error

    opened = []
    with pytest.raises(type(error)):
        train()
    result = fetch(opened[0])
    assert (result.info.status, result.data.tags["flare.error"]) == (status, reason)
    assert result.data.metrics == {"train/loss": 0.5}


def test_parameters_that_mlflow_run_has_logged_keep_their_spelling(fetch, monkeypatch):
    joined = MlflowClient().create_run("0").info.run_id
    MlflowClient().log_param(joined, "learning_rate", "0.001")
    monkeypatch.setenv("MLFLOW_RUN_ID", joined)
    with start("train", name="joined") as run:
        run.log_params({"learning_rate": "1e-3", "epochs": 3})
    result = fetch(joined)
    assert run.id == joined
    assert result.data.params == {"learning_rate": "0.001", "epochs": "3"}
    assert result.info.status == "FINISHED"


def test_more_metrics_than_a_request_carries_all_arrive(fetch):
    with start("train", name="many") as run:
        for step in range(2):
            run.log_metrics({f"score {k}": k + step / 10 for k in range(700)}, step=step)
    assert fetch(run.id).data.metrics == {f"score {k}": k + 0.1 for k in range(700)}
    history = MlflowClient().get_metric_history(run.id, "score 699")
    assert [(one.step, one.value) for one in history] == [(0, 699), (1, 699.1)]


def test_a_run_that_is_opened_inside_another_is_its_child(fetch):
    with start("main", name="outer") as outer, start("train", name="inner") as inner:
        pass
    assert inner.id != outer.id
    tags = [fetch(run.id).data.tags for run in (outer, inner)]
    assert [tag["mlflow.runName"] for tag in tags] == ["outer", "inner"]
    assert [tag.get("mlflow.parentRunId") for tag in tags] == [None, outer.id]


def child(parent_id: str, **given):
    about = {"name": "trial 0", "params": {"trees": 100}, "tags": {"flare.entry": "trial"}}
    return start_child(parent_id, **about | given)


def test_a_child_run_is_there_from_its_start_and_may_end_otherwise_than_its_parent(fetch):
    with start("search", name="search") as parent:
        with child(parent.id) as run:
            running = fetch(run.id)
            run.log_metrics({"score": 0.5}, step=1)
            run.status = "KILLED"
        with pytest.raises(TrainingDiverged), child(parent.id) as failed:
            raise TrainingDiverged("the loss is NaN")
    assert (running.info.status, running.data.params) == ("RUNNING", {"trees": "100"})
    assert running.data.tags["mlflow.parentRunId"] == parent.id
    assert (fetch(run.id).info.status, fetch(run.id).data.metrics) == ("KILLED", {"score": 0.5})
    assert fetch(failed.id).info.status == "FAILED"
    assert fetch(failed.id).data.tags["flare.error"] == "the loss is NaN"
    assert fetch(parent.id).info.status == "FINISHED"


def test_the_runs_of_lost_processes_are_ended_and_no_others(fetch):
    client = MlflowClient()
    with start("search", name="search") as parent:
        below = {"mlflow.parentRunId": parent.id}
        of_trial = below | {"flare.entry": "trial", "optuna.state": "RUNNING"}

        def trial(number: int) -> str:
            return client.create_run("0", tags=of_trial | {"flare.trial": str(number)}).info.run_id

        lost, late, stopped, alive = (trial(number) for number in range(4))
        winner = client.create_run("0", tags=below | {"flare.entry": "train"}).info.run_id
        client.set_terminated(stopped, "KILLED")
        with child(parent.id) as done:
            pass
        end_lost_children(parent.id, {0: "FAIL", 1: "COMPLETE", 2: "FAIL"})
    runs = [fetch(one) for one in (lost, late, stopped, alive, winner, done.id)]
    client.set_terminated(alive)
    assert [(one.info.status, one.data.tags.get("optuna.state")) for one in runs] == [
        ("FAILED", "FAIL"),
        ("FINISHED", "COMPLETE"),
        ("KILLED", "FAIL"),
        ("RUNNING", "RUNNING"),
        ("KILLED", None),
        ("FINISHED", None),
    ]
    lost = [one.data.tags.get("flare.error") == "its process was lost" for one in runs]
    assert lost == [True, False, False, False, True, False]


def test_the_commit_is_a_tag_and_so_is_whether_there_are_changes(fetch, tmp_path, monkeypatch):
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", *who, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flare.tracking.runs.run_context.resolve_tags", dict)
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "first")
    with start("pack", name="clean") as clean:
        pass
    (tmp_path / "new.py").touch()
    with start("pack", name="dirty") as dirty:
        pass
    for run, changed in ((clean, "false"), (dirty, "true")):
        tags = fetch(run.id).data.tags
        assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
        assert tags["flare.git_dirty"] == changed


def test_every_part_of_a_dataset_is_an_input_with_our_digest_its_use_and_its_counts(fetch):
    with start("train", name="data") as run:
        for context, samples in (("training", 3), ("validation", 2)):
            log_data(
                run,
                name="tiny",
                fingerprint="0123456789abcdef" * 4,
                source="data/tiny",
                synthetic=True,
                context=context,
                profile={"samples": samples},
            )
    result = fetch(run.id)
    inputs = result.inputs.dataset_inputs
    assert {one.dataset.digest[:17] for one in inputs} == {"0123456789abcdef-"}
    assert {one.tags[0].value: json.loads(one.dataset.profile)["samples"] for one in inputs} == {
        "training": 3,
        "validation": 2,
    }
    assert result.data.tags["flare.data_fingerprint"] == "0123456789abcdef" * 4
    assert result.data.tags["flare.synthetic"] == "true"


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9", "sqlite:////proc/no/m.db", "nonsense://here"]
)
def test_a_store_that_does_not_answer_or_cannot_be_opened_is_one_line(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingUnavailable, match=re.escape(uri)) as caught:
        start("pack", name="nowhere").__enter__()
    assert len(str(caught.value).splitlines()) == 1
    assert "MLFLOW_TRACKING_URI" in str(caught.value)


@pytest.mark.slow
def test_without_settings_of_ones_own_a_server_is_waited_for_seconds_and_not_minutes(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")  # then ours are taken
    began = time.monotonic()
    with pytest.raises(TrackingUnavailable):
        start("pack", name="unheard").__enter__()
    assert time.monotonic() - began < 30
