"""Servers that are stopped, killed or many, and clients that hang up: nothing stays behind."""

import json
import signal
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from known_models import answer_of, climatology, same
from load import Load, connect, uploads_of
from real_server import OURS, UVICORN, serving

from flare.forecasters.storage import save
from serving.models.source import source_of
from serving.settings import Settings

FIRST_BYTES = 1_000_000  # bytes


# Uvicorn raises the signal again when all is done; `python -m serving` calls that a success.
@pytest.mark.parametrize(("command", "code"), [(UVICORN, -signal.SIGTERM), (OURS, 0)])
def test_what_was_accepted_before_sigterm_is_answered(command, code, file, cube, tmp_path):
    forecaster = climatology(-6)
    folder = save(forecaster, tmp_path / "climatology")
    upload = uploads_of(file)[1]
    with serving(tmp_path / "state", *command, model=folder) as server:
        lines = [half_uploaded(server, upload) for _ in range(16)]
        server.until(lambda: server.metric("flare_queue_requests") == len(lines))
        server.process.send_signal(signal.SIGTERM)
        server.until(lambda: "Shutting down" in server.log)
        for line in lines:
            line.send(upload.body[FIRST_BYTES:])
        answers = [line.getresponse() for line in lines]
        assert [answer.status for answer in answers] == [200] * len(lines)
        wanted = answer_of(forecaster, cube)
        assert all(same(wanted, json.loads(answer.read())) for answer in answers)
        for line in lines:
            line.close()
        assert server.process.wait(60) == code
    assert "Application shutdown complete" in server.log
    assert "Traceback" not in server.log
    assert "/predict_npy" not in server.log  # FLARE_ACCESS_LOG=false


def test_clients_that_hang_up_leave_no_place_occupied(file, cube, tmp_path):
    forecaster = climatology(-6)
    folder = save(forecaster, tmp_path / "climatology")
    with serving(tmp_path / "state", model=folder, max_waiting=16) as server:
        expected = {server.health()["model_version"]: answer_of(forecaster, cube)}
        lines = [half_uploaded(server, upload) for upload in uploads_of(file) * 6]
        server.until(lambda: server.metric("flare_queue_requests") == len(lines))
        for line in lines:
            line.close()
        server.until(lambda: server.metric("flare_queue_requests") == 0)
        with Load(server.address, file, expected, clients=2) as load:
            load.wait_for_more(20)
    assert load.failures == []
    assert "Traceback" not in server.log


@pytest.mark.slow
def test_a_server_killed_under_load_starts_again_with_its_model_and_history(store, file, tmp_path):
    store.promote(1)
    with (
        serving(tmp_path, tracking_uri=store.uri) as server,
        Load(server.address, file, store.expected, clients=4) as load,
    ):
        load.wait_for_more(100)
        server.process.kill()
    with serving(tmp_path, tracking_uri=store.uri) as server:
        rows = history(server)
        assert len(rows) > 0
        assert all(row["model_version"] == "1" for row in rows)
        with Load(server.address, file, store.expected, clients=2) as load:
            load.wait_for_more(10)
        assert load.failures == []
        server.until(lambda: len(history(server)) == len(rows) + load.answered)


@pytest.mark.slow
@pytest.mark.parametrize("command", [UVICORN, OURS])
def test_two_workers_answer_share_one_folder_and_end_together(command, store, file, tmp_path):
    store.promote(1)
    settings = {"tracking_uri": store.uri, "max_waiting": 16}
    with serving(tmp_path, *command, "--workers", "2", **settings) as server:
        server.until(server.answers)
        # A connection each: the system gives it to either of them.
        server.until(lambda: len(seen(server, "loaded_at")) == 2)
        with Load(server.address, file, store.expected, clients=4, fresh=True) as load:
            load.wait_for_more(100)
            store.promote(2)
            server.until(lambda: seen(server, "model_version") == {"2"})
            load.wait_for_more(100)
        assert load.failures == []
        assert set(load.by_version) == {"1", "2"}
        server.until(lambda: sum(forecasts_of_workers(server, 2)) == load.answered)
        assert min(forecasts_of_workers(server, 2)) > 0
        server.until(lambda: len(history(server)) == load.answered)
        workers = server.workers()
        assert len(workers) == 2
        assert server.stop() == 0
        assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert "Traceback" not in server.log
    last = source_of(Settings(tracking_uri=store.uri, state_dir=tmp_path)).last_good()
    assert last is not None
    assert last.version.number == "2"
    assert not list(Path(tmp_path).rglob("*.partial"))


def half_uploaded(server, upload) -> HTTPConnection:
    """Send the headers and the beginning of the body."""
    line = connect(server.address)
    line.putrequest("POST", "/predict_npy")
    line.putheader("Content-Type", upload.content_type)
    line.putheader("Content-Length", str(len(upload.body)))
    line.endheaders(upload.body[:FIRST_BYTES])
    return line


def seen(server, field: str) -> set[object]:
    """Return what both workers say, asked so often that both were."""
    return {server.health()[field] for _ in range(12)}


def forecasts_of_workers(server, workers: int) -> list[float]:
    """Return how many forecasts each worker counts; two with the same number count twice."""
    line = 'flare_requests_total{endpoint="/predict_npy",method="POST",status="200"}'
    counts = sorted({server.metric(line) for _ in range(12)})
    return counts * workers if len(counts) == 1 and counts[0] else counts


def history(server) -> list[dict[str, object]]:
    result, cursor = [], ""
    while cursor is not None:
        page = server.get(f"/history?limit=500{cursor and f'&before={cursor}'}").json()
        result += page["forecasts"]
        cursor = page["next"]
    return result
