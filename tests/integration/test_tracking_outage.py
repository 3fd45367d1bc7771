"""A tracking server that is away for a while: nothing is lost, waits, or counts twice."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from mlflow import MlflowClient
from tracking_server import Gate, mlflow_server

from flare.config import BaselineConfig, ResendConfig
from flare.errors import ModelNotFound, TrackingUnavailable
from flare.tracking.child_runs import log_child
from flare.tracking.local_copy import is_behind, runs_dir
from flare.tracking.runs import start
from flare.workflows import baseline, resend
from flare.workflows.prediction.resolve_model import resolve

from workplace import SMALL_FOREST, store_uri, working_in


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[int]:
    with mlflow_server(tmp_path_factory.mktemp("server")) as port:
        yield port


@pytest.fixture
def gate(server, tmp_path, monkeypatch) -> Iterator[Gate]:
    gate = Gate(server)
    with working_in(tmp_path):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", gate.uri)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setenv("FLARE_TRACKING_PATIENCE", "30")
        yield gate
    gate.shut()


def history(run_id: str, name: str) -> list[tuple[int, float]]:
    return [(one.step, one.value) for one in MlflowClient().get_metric_history(run_id, name)]


def until(fact) -> None:
    ends = time.monotonic() + 30
    while not fact():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_what_is_logged_while_the_server_is_away_arrives_once_and_in_order(gate, caplog):
    with start("train", name="away", tags={"a": "before"}) as run:
        run.log_metrics({"loss": 0.0}, step=1)
        until(lambda: not run.outbox.copy.behind)
        gate.shut()
        began = time.perf_counter()
        for epoch in range(2, 12):
            run.log_metrics({"loss": epoch / 10, "nan": float("nan")}, step=epoch)
        run.set_tags({"a": "while"})
        run.log_params({"epochs": 11})
        run.log_text("text", "some/where.txt")
        run.log_json({"x": 1}, "x.json")
        assert time.perf_counter() - began < 0.5
        figure = plt.figure()
        run.log_figure(figure, "figures/one.png")
        plt.close(figure)
        until(lambda: run.outbox.failing)
        gate.open()
    found = MlflowClient().get_run(run.id)
    assert history(run.id, "loss") == [(1, 0.0)] + [(n, n / 10) for n in range(2, 12)]
    assert len(history(run.id, "nan")) == 10
    assert (found.info.status, found.data.tags["a"]) == ("FINISHED", "while")
    assert found.data.params == {"epochs": "11"}
    assert MlflowClient().list_artifacts(run.id, "figures")[0].path == "figures/one.png"
    assert MlflowClient().list_artifacts(run.id, "some")[0].file_size == 4
    assert not (run.local / "pending").exists()
    said = [one.message for one in caplog.records if one.levelname == "WARNING"]
    assert len([line for line in said if "does not answer" in line]) == 1


def test_a_server_that_stays_away_costs_the_end_its_patience_and_the_run_nothing(
    gate, caplog, monkeypatch
):
    monkeypatch.setenv("FLARE_TRACKING_PATIENCE", "1")
    began = time.monotonic()
    with start("train", name="lost") as run:
        run.log_metrics({"loss": 0.5}, step=1)
        run.log_text("kept", "notes.txt")
        gate.shut()
    assert time.monotonic() - began < 15
    assert is_behind(run.local)
    assert (run.local / "pending" / "000001" / "notes.txt").read_text() == "kept"
    (line,) = (run.local / "log.jsonl").read_text().splitlines()[:1]
    assert json.loads(line)["metrics"] == {"loss": 0.5}
    assert str(run.local) in caplog.messages[-1]
    assert "entrypoints.resend" in caplog.messages[-1]


def test_a_request_that_is_cut_off_is_repeated_and_nothing_counts_twice(gate):
    with start("train", name="cut") as run:
        for step in range(1, 40):
            run.log_metrics({f"m{k}": step for k in range(60)}, step=step)
            if step % 10 == 0:
                run.flush()
                time.sleep(0.05)
                gate.shut()
                gate.open()
    for k in (0, 59):
        assert history(run.id, f"m{k}") == [(n, float(n)) for n in range(1, 40)]


@pytest.mark.slow
def test_a_locked_sqlite_file_holds_up_nothing_and_loses_nothing(tmp_path, capfd):
    with working_in(tmp_path), start("train", name="locked") as run:
        run.log_metrics({"loss": 1.0}, step=1)
        until(lambda: not run.outbox.copy.behind)
        other = sqlite3.connect(store_uri(tmp_path).removeprefix("sqlite:///"))
        other.execute("BEGIN EXCLUSIVE")
        began = time.perf_counter()
        run.log_metrics({"loss": 2.0}, step=2)
        assert time.perf_counter() - began < 0.1
        until(lambda: run.outbox.failing)
        other.rollback()
        other.close()
    with working_in(tmp_path):
        assert history(run.id, "loss") == [(1, 1.0), (2, 2.0)]
    assert "Traceback" not in "".join(capfd.readouterr())


def test_what_a_server_missed_is_sent_later_and_the_run_ends_as_it_did(gate, monkeypatch):
    monkeypatch.setenv("FLARE_TRACKING_PATIENCE", "1")
    with start("train", name="lost") as run:
        run.log_metrics({"loss": 0.5}, step=1)
        run.log_text("kept", "notes.txt")
        gate.shut()
    with pytest.raises(TrackingUnavailable, match=re.escape(str(run.local))):
        resend.run(ResendConfig())
    gate.open()
    monkeypatch.setenv("FLARE_TRACKING_PATIENCE", "30")
    (sent,) = resend.run(ResendConfig())
    found = MlflowClient().get_run(run.id)
    assert (sent.run_id, found.info.status) == (run.id, "FINISHED")
    assert found.data.metrics == {"loss": 0.5}
    assert MlflowClient().list_artifacts(run.id)[0].path == "notes.txt"
    assert resend.run(ResendConfig()) == []
    with pytest.raises(ModelNotFound, match="lacks something"):
        resend.run(ResendConfig(folder=run.local))


def test_a_model_that_could_not_be_registered_is_kept_and_registered_later(
    gate, monkeypatch, tiny_dataset
):
    small = {"image_size": 32, "processes": 1, "validation_share": 0.4, "resamples": 100}
    monkeypatch.setattr(baseline, "tuned_and_scored", then_shut(gate, baseline.tuned_and_scored))
    monkeypatch.setenv("FLARE_TRACKING_PATIENCE", "1")
    config = BaselineConfig(
        data_dir=tiny_dataset, pack_dir=Path("pack").absolute(), **SMALL_FOREST, **small
    )
    with pytest.raises(TrackingUnavailable, match="the trained model is kept in") as caught:
        baseline.run(config)
    assert len(str(caught.value).splitlines()) == 1
    gate.open()
    monkeypatch.setenv("FLARE_TRACKING_PATIENCE", "30")
    (sent,) = resend.run(ResendConfig())
    assert sent.version.kind == "forest"
    found = MlflowClient().get_run(sent.run_id)
    assert found.info.status == "FINISHED"
    assert "flare.error" not in found.data.tags
    assert "validation/M1.0/brier_skill_score" in found.data.metrics
    version = MlflowClient().get_model_version("solar-flare", str(sent.version.version))
    assert version.tags["flare.kind"] == "forest"
    assert "model_card.md" in {one.path for one in MlflowClient().list_artifacts(sent.run_id)}
    assert resolve(sent.run_id, "solar-flare").forecaster.kind == "forest"
    assert not (runs_dir() / sent.run_id / "model").exists()


def then_shut(gate, function):
    """Return a function that shuts the gate after doing its own work."""

    def wrapped(*given, **named):
        done = function(*given, **named)
        gate.shut()
        return done

    return wrapped


def test_a_trial_of_a_search_is_made_once_however_often_it_is_sent(gate):
    with start("search", name="search") as run:
        gate.shut()
        for number in range(3):
            trial = {"params": {"trees": number}, "tags": {"flare.trial": number}}
            metrics = [{"score": 0.1}, {"score": 0.2}]
            given = {"status": "FINISHED", "started": time.time() - 1}
            log_child(run, name=f"trial {number}", metrics=metrics, **trial, **given)
        until(lambda: run.outbox.failing)
        gate.open()
    with (run.local / "log.sent").open("w") as sent:
        sent.write("0")  # as if the note of what was sent had been lost
    resend.run(ResendConfig())
    found = MlflowClient().search_runs(["0"], f"tags.mlflow.parentRunId = '{run.id}'")
    assert sorted(one.info.run_name for one in found) == ["trial 0", "trial 1", "trial 2"]
    assert all(history(one.info.run_id, "score") == [(1, 0.1), (2, 0.2)] for one in found)
