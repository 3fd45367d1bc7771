"""Every refusal of MLflow, or of what stands before its server, has a next step of its own."""

import pytest
from fake_server import answering_always
from mlflow import MlflowClient
from sqlalchemy.exc import OperationalError

from flare.errors import ModelNotFound, TrackingUnavailable
from flare.tracking.mlflow_errors import refusal
from flare.tracking.registry import production_version
from flare.tracking.runs import start

pytestmark = pytest.mark.usefixtures("at_home")

PAGE = "<!DOCTYPE html>\n<html><head><title>{}</title></head><body>ssl forbidden</body></html>\n"
UNAUTHENTICATED = "You are not authenticated. Please see https://mlflow.org/docs"
HOST = "Invalid Host header - possible DNS rebinding attack detected"
GATEWAY = '{"message": "Forbidden"}'
NOT_FOUND = '{"detail": "Not Found"}'


def refused() -> str:
    with pytest.raises(TrackingUnavailable) as caught:
        start("pack", name="refused").__enter__()
    return str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (401, UNAUTHENTICATED, "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (401, PAGE.format("401"), "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (403, "Permission denied", "this user may not do that"),
        (403, PAGE.format("403"), "this user may not do that"),
        (403, GATEWAY, "this user may not do that"),
        (403, HOST, "--allowed-hosts"),
        (404, PAGE.format("404"), "the path under which the server is published"),
        (404, NOT_FOUND, "the path under which the server is published"),
        (405, PAGE.format("405"), "the path under which the server is published"),
        (200, PAGE.format("Log in"), "the path under which the server is published"),
        (502, PAGE.format("502"), "overloaded or broken: look at its log"),
    ],
)
def test_what_a_server_or_its_proxy_refuses_has_its_own_next_step(
    monkeypatch, status, body, advice
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with answering_always(status, body) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        line = refused()
        with pytest.raises(TrackingUnavailable) as caught:
            production_version("solar-flare")
    for one in (line, str(caught.value)):
        assert one.startswith(f"MLflow at {address} ")
        assert advice in one
        assert "<" not in one
        assert len(one.splitlines()) == 1


def test_a_deleted_experiment_is_restored_or_another_one_named(monkeypatch):
    client = MlflowClient()
    deleted = client.create_experiment("deleted")
    client.delete_experiment(deleted)
    for variable, value in (("ID", deleted), ("NAME", "deleted")):
        monkeypatch.setenv(f"MLFLOW_EXPERIMENT_{variable}", value)
        assert "mlflow experiments restore --experiment-id" in refused()
        monkeypatch.delenv(f"MLFLOW_EXPERIMENT_{variable}")


def test_an_experiment_that_is_not_there_is_to_be_set_otherwise(monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "987654")
    assert "`mlflow experiments search` lists them" in refused()


def test_a_purged_run_cannot_be_joined(monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    assert "purged (`mlflow gc`) or is in another store" in refused()


def test_a_deleted_run_is_restored(monkeypatch):
    run = MlflowClient().create_run("0").info.run_id
    MlflowClient().delete_run(run)
    monkeypatch.setenv("MLFLOW_RUN_ID", run)
    assert "`mlflow runs restore --run-id ID`" in refused()


def test_a_purged_run_cannot_be_resumed():
    with pytest.raises(ModelNotFound, match=r"no run 0{32} to resume"):
        start("train", name="purged", resume="0" * 32).__enter__()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("table _alembic_tmp_experiments already exists", "delete it"),
        ("duplicate column name: step", "was setting up or upgrading this database; run again"),
        ("Detected out-of-date database schema (found a, but expected b).", "`mlflow db upgrade "),
        ("Can't locate revision identified by 'abc'", "newer MLflow"),
        ("database is locked", "run again when it has ended"),
        ("file is not a database", "put a backup in its place"),
        ("attempt to write a readonly database", "a folder that you may write to"),
        ("database or disk is full", "make room"),
    ],
)
def test_what_sqlite_refuses_has_its_own_next_step(error, advice):
    said = OperationalError("INSERT", {}, Exception(error))
    line = refusal(said, "sqlite:///mlflow.db")
    assert advice in line
    assert len(line.splitlines()) == 1


def test_an_address_in_a_refusal_shows_no_password():
    line = refusal(OSError("timed out"), "postgresql://me:secret@host/db")
    assert "secret" not in str(TrackingUnavailable(line))
