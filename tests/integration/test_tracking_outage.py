"""A tracking server that is away for a while: nothing is lost, waits, or counts twice."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from fake_server import answering_always
from mlflow import MlflowClient
from tracking_server import Gate, mlflow_server

from flare.config import BaselineConfig, ResendConfig
from flare.errors import ModelNotFound, TrackingUnavailable
from flare.tracking.resume import newest_unfinished
from flare.tracking.run_log import RunInfo, RunLog, read_info, runs_dir
from flare.tracking.runs import start, start_child
from flare.workflows import baseline, resend
from flare.workflows.fitting import registration
from flare.workflows.prediction.resolve_model import resolve

from workplace import SMALL_FOREST, store_uri, working_in

ROOT = Path(__file__).parents[2]


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


def warnings(caplog) -> list[str]:
    return [one.message for one in caplog.records if one.levelname == "WARNING"]


def test_what_is_logged_while_the_server_is_away_arrives_once_and_in_order(gate, caplog):
    with start("train", name="away", tags={"a": "before"}) as run:
        run.log_metrics({"loss": 0.0}, step=1)
        until(lambda: not run.log.unsent)
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
        until(lambda: run.log.failure)
        gate.open()
    result = MlflowClient().get_run(run.id)
    assert history(run.id, "loss") == [(1, 0.0)] + [(n, n / 10) for n in range(2, 12)]
    assert len(history(run.id, "nan")) == 10
    assert (result.info.status, result.data.tags["a"]) == ("FINISHED", "while")
    assert result.data.params == {"epochs": "11"}
    assert MlflowClient().list_artifacts(run.id, "figures")[0].path == "figures/one.png"
    assert MlflowClient().list_artifacts(run.id, "some")[0].file_size == 4
    assert not run.local.exists()
    assert len([line for line in warnings(caplog) if "the run continues" in line]) == 1


def test_a_request_that_is_cut_off_is_repeated_and_nothing_counts_twice(gate):
    with start("train", name="cut") as run:
        for step in range(1, 30):
            run.log_metrics({f"m{k}": step for k in range(60)}, step=step)
            if step % 10 == 0:
                run.flush()
                time.sleep(0.05)
                gate.shut()
                gate.open()
    for k in (0, 59):
        assert history(run.id, f"m{k}") == [(n, float(n)) for n in range(1, 30)]


@pytest.mark.slow
def test_a_locked_sqlite_file_is_waited_for_and_nothing_is_lost(tmp_path, capfd):
    with working_in(tmp_path), start("train", name="locked") as run:
        run.log_metrics({"loss": 1.0}, step=1)
        other = sqlite3.connect(
            store_uri(tmp_path).removeprefix("sqlite:///"), check_same_thread=False
        )
        other.execute("BEGIN EXCLUSIVE")
        timer = threading.Timer(3, other.rollback)
        timer.start()
        run.log_metrics({"loss": 2.0}, step=2)
        timer.join()
        other.close()
    with working_in(tmp_path):
        assert history(run.id, "loss") == [(1, 1.0), (2, 2.0)]
    assert "Traceback" not in "".join(capfd.readouterr())


def test_what_a_server_that_stayed_away_missed_is_stored_and_sent_later(gate, monkeypatch, caplog):
    monkeypatch.setenv("FLARE_TRACKING_PATIENCE", "0.5")
    with start("train", name="lost") as lost:
        lost.log_metrics({"loss": 0.5}, step=1)
        lost.log_text("text", "notes.txt")
        gate.shut()
    last = caplog.records[-1].getMessage()
    assert str(lost.local) in last
    assert "entrypoints.resend" in last
    assert read_info(lost.local).run_id == lost.id
    with pytest.raises(TrackingUnavailable, match=re.escape(str(lost.local))):
        resend.run(ResendConfig())
    gate.open()
    monkeypatch.setenv("FLARE_TRACKING_PATIENCE", "30")
    (sent,) = resend.run(ResendConfig())
    result = MlflowClient().get_run(lost.id)
    assert (sent.run_id, result.info.status) == (lost.id, "FINISHED")
    assert result.data.metrics == {"loss": 0.5}
    assert MlflowClient().list_artifacts(lost.id)[0].path == "notes.txt"
    assert resend.run(ResendConfig()) == []
    with pytest.raises(ModelNotFound, match="is not the folder of an ended run"):
        resend.run(ResendConfig(folder=lost.local))


def test_a_killed_run_is_resumed_with_what_its_server_missed(gate, tmp_path):
    code = (
        "import os, signal, sys, time\n"
        "from flare.tracking.runs import start\n"
        "with start('train', name='killed') as run:\n"
        "    print(run.id, flush=True)\n"
        "    sys.stdin.readline()\n"
        "    run.log_params({'data_dir': sys.argv[1]})\n"
        "    for step in range(1, 6): run.log_metrics({'loss': step}, step=step)\n"
        "    print('logged', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        run_id = process.stdout.readline().strip()
        gate.shut()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "logged\n"
        process.send_signal(signal.SIGKILL)
    with (runs_dir() / run_id / "log.jsonl").open("a") as log:
        log.write('{"time": 1, "step": 6, "metr')  # half a line
    gate.open()
    assert newest_unfinished("train", {"data_dir": tmp_path}) == run_id
    assert MlflowClient().get_run(run_id).info.status == "KILLED"
    with start("train", name="again", resume=run_id) as run:
        for step in (5, 6):
            run.log_metrics({"loss": step}, step=step)
    assert [step for step, _ in history(run_id, "loss")] == [1, 2, 3, 4, 5, 6]


def test_a_model_that_could_not_be_registered_is_stored_and_registered_later(
    gate, monkeypatch, tiny_dataset
):
    small = {"image_size": 32, "processes": 1, "validation_share": 0.4, "resamples": 100}
    real = registration.log_postprocessing
    monkeypatch.setattr(
        registration, "log_postprocessing", lambda *given: (real(*given), gate.shut())
    )
    monkeypatch.setenv("FLARE_TRACKING_PATIENCE", "1")
    config = BaselineConfig(
        data_dir=tiny_dataset, pack_dir=Path("pack").absolute(), **SMALL_FOREST, **small
    )
    with pytest.raises(TrackingUnavailable, match="the trained model is in") as caught:
        baseline.run(config)
    assert len(str(caught.value).splitlines()) == 1
    gate.open()
    monkeypatch.setenv("FLARE_TRACKING_PATIENCE", "30")
    (sent,) = resend.run(ResendConfig())
    assert sent.version.kind == "forest"
    result = MlflowClient().get_run(sent.run_id)
    assert result.info.status == "FINISHED"
    assert "flare.error" not in result.data.tags
    assert "validation/M1.0/brier_skill_score" in result.data.metrics
    version = MlflowClient().get_model_version("solar-flare", str(sent.version.version))
    assert version.tags["flare.kind"] == "forest"
    assert "model_card.md" in {one.path for one in MlflowClient().list_artifacts(sent.run_id)}
    assert resolve(sent.run_id, "solar-flare").forecaster.kind == "forest"
    assert not (runs_dir() / sent.run_id).exists()


def test_a_trial_during_an_outage_keeps_its_epochs(gate):
    with (
        start("search", name="search") as parent,
        start_child(
            parent.id, name="trial 0", params={"trees": 1}, tags={"flare.entry": "trial"}
        ) as run,
    ):
        gate.shut()
        for step in range(1, 4):
            run.log_metrics({"score": step / 10}, step=step)
        gate.open()
    assert history(run.id, "score") == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert MlflowClient().get_run(run.id).info.status == "FINISHED"


def test_an_entry_that_mlflow_rejects_is_reported_left_out_and_fails_the_run(gate, caplog):
    opened = []

    def train() -> None:
        with start("train", name="rejected") as run:
            opened.append(run.id)
            run.log_metrics({"a bad name: %$": 1.0}, step=1)
            run.log_metrics({"loss": 0.5}, step=1)

    with pytest.raises(TrackingUnavailable, match="Invalid"):
        train()
    assert "an entry of the run is left out: MLflow at" in "\n".join(warnings(caplog))
    result = MlflowClient().get_run(opened[0])
    assert (result.info.status, result.data.metrics) == ("FAILED", {"loss": 0.5})


@pytest.fixture
def log_of(tmp_path, monkeypatch):
    """Return a function that opens a run's log, to be sent to an address."""
    monkeypatch.setenv("FLARE_RUNS_DIR", str(tmp_path))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return lambda address: RunLog(RunInfo("0" * 32, "train", address))


def test_an_error_that_trying_again_cannot_mend_is_reported_at_once_and_not_waited_for(
    log_of, caplog
):
    with answering_always(403, "Permission denied") as address:
        log = log_of(address)
        log.append({"tags": {"a": "b"}})
        began = time.monotonic()
        assert not log.close(60)
    assert time.monotonic() - began < 20
    (line,) = warnings(caplog)
    assert "this user may not do that" in line
    assert str(log.folder) in line


@pytest.mark.parametrize("defect", [TypeError, SystemExit])
def test_a_sender_that_fails_is_reported_and_not_waited_for(log_of, caplog, monkeypatch, defect):
    def fail(*_given):
        raise defect("a defect")

    monkeypatch.setattr(RunLog, "_send", fail)
    log = log_of("http://127.0.0.1:9")
    log.append({"tags": {"a": "b"}})
    began = time.monotonic()
    assert not log.close(60)
    assert time.monotonic() - began < 20
    (line,) = warnings(caplog)
    assert "a defect" in line


def test_a_file_system_without_locks_is_reported(log_of, caplog, monkeypatch):
    def no_locks(*_given):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", no_locks)
    log_of("http://127.0.0.1:9").close()
    assert "cannot be locked" in caplog.text
