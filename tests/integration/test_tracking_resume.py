"""Resume a run that was stopped or killed: the right one, the same one, nothing twice."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flare.errors import ConfigInvalid, DatasetInvalid, ModelNotFound, PlaceInUse
from flare.tracking.resume import newest_unfinished
from flare.tracking.runs import start

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("at_home")


@pytest.fixture
def params(tmp_path):
    """Parameters that no other run in the store has."""
    usual = {"epochs": 3, "learning_rate": 1e-3, "mirror": True, "pack_dir": None}
    return usual | {"data_dir": tmp_path}


@pytest.fixture
def failed(params):
    """A run that failed in its third epoch."""
    with suppress(DatasetInvalid), start("train", name="one") as run:
        run.log_params(params)
        for step in (1, 2, 3):
            run.log_metrics({"loss": step / 10}, step=step)
        run.log_metrics({"best": 3.0, "same": 1.0})
        raise DatasetInvalid("gone")
    return run


def test_a_run_is_resumed_under_its_own_id_and_logs_no_step_twice(failed):
    client = MlflowClient()
    assert client.get_run(failed.id).data.tags["flare.error"] == "gone"
    with start("train", name="again", resume=failed.id) as run:
        assert client.get_run(failed.id).info.status == "RUNNING"
        for step in (2, 3, 4):
            run.log_metrics({"loss": step / 10}, step=step)
        run.log_metrics({"best": 4.0, "same": 1.0})
    result = client.get_run(failed.id)
    assert (run.id, result.info.status) == (failed.id, "FINISHED")
    assert "flare.error" not in result.data.tags
    assert [one.step for one in client.get_metric_history(run.id, "loss")] == [1, 2, 3, 4]
    assert result.data.metrics["best"] == 4
    assert len(client.get_metric_history(run.id, "same")) == 1


def test_the_newest_unfinished_run_is_the_one_with_the_same_parameters(failed, params):
    assert newest_unfinished("train", params) == failed.id
    assert newest_unfinished("baseline", params) is None
    assert newest_unfinished("train", {**params, "epochs": 4}) is None
    assert newest_unfinished("train", {**params, "not_logged": 4}) is None


def test_another_spelling_of_the_same_value_is_the_same(params, monkeypatch):
    joined = MlflowClient().create_run("0").info.run_id
    typed = {"learning_rate": "0.001", "mirror": "true", "pack_dir": "", "epochs": "3.0"}
    for name, text in typed.items():
        MlflowClient().log_param(joined, name, text)
    monkeypatch.setenv("MLFLOW_RUN_ID", joined)
    with suppress(DatasetInvalid), start("train", name="one") as run:
        run.log_params(params)
        raise DatasetInvalid("gone")
    assert newest_unfinished("train", params) == joined
    assert newest_unfinished("train", params | {"mirror": False}) is None


def test_a_run_whose_process_was_killed_is_found_and_loses_nothing(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from flare.tracking.runs import start\n"
        "with start('train', name='killed') as run:\n"
        "    run.log_params({'data_dir': sys.argv[1]})\n"
        "    for step in range(1, 6): run.log_metrics({'loss': step}, step=step)\n"
        "    print(run.id, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    killed = done.stdout.strip()
    assert MlflowClient().get_run(killed).info.status == "RUNNING"
    assert newest_unfinished("train", {"data_dir": tmp_path}) == killed
    with start("train", name="again", resume=killed) as run:
        run.log_metrics({"loss": 6}, step=6)
    steps = [one.step for one in MlflowClient().get_metric_history(killed, "loss")]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_the_run_that_mlflow_run_made_says_which_one_was_resumed(failed, monkeypatch):
    made = MlflowClient().create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", made)
    with start("train", name="again", resume=failed.id) as run:
        assert run.id == failed.id
    assert MlflowClient().get_run(made).data.tags["flare.resumed"] == failed.id
    assert "loss" not in MlflowClient().get_run(made).data.metrics


def test_only_an_unfinished_run_of_the_entry_point_that_no_process_works_on_is_resumed(
    failed, params
):
    with start("train", name="one") as run:
        run.log_params(params | {"epochs": 7})
        assert newest_unfinished("train", params | {"epochs": 7}) is None
        with pytest.raises(PlaceInUse, match="another process"):
            start("train", name="two", resume=run.id).__enter__()
    assert newest_unfinished("train", params | {"epochs": 7}) is None
    deleted = MlflowClient().create_run("0").info.run_id
    MlflowClient().delete_run(deleted)
    for entry, resume, error, words in (
        ("train", run.id, ConfigInvalid, "is finished"),
        ("baseline", failed.id, ConfigInvalid, "is one of train, not of baseline"),
        ("train", "a" * 32, ModelNotFound, "no run aaaa"),
        ("train", deleted, ModelNotFound, "was deleted"),
    ):
        with pytest.raises(error, match=words):
            start(entry, name="again", resume=resume).__enter__()
