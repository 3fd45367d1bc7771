"""MLflow's database is set up by one process, whole or not at all."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from flare.errors import TrackingUnavailable
from flare.tracking import store
from flare.tracking.runs import start
from flare.tracking.store import check_store

from workplace import working_in


@pytest.fixture(autouse=True)
def copied_store() -> None:
    """Copy no database here."""


def test_several_first_runs_at_once_share_a_whole_database(tmp_path, monkeypatch):
    made, set_up = [], store._set_up
    monkeypatch.setattr(store, "_set_up", lambda path: made.append(path) or set_up(path))
    with working_in(tmp_path):
        address = os.environ["MLFLOW_TRACKING_URI"]
        with ThreadPoolExecutor(4) as threads:
            tries = [threads.submit(check_store, address, make=True) for _ in range(4)]
        assert [one.result() for one in tries] == [None] * 4
        assert made == [tmp_path / "mlflow.db"]
        assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
        with start("pack", name="first"):
            pass


def test_a_set_up_that_breaks_off_leaves_no_database(tmp_path, monkeypatch):
    def killed(address: str, _: str) -> None:
        store.database_file(address).write_bytes(b"half of a database")
        raise KeyboardInterrupt

    monkeypatch.setattr("mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore", killed)
    with pytest.raises(KeyboardInterrupt):
        check_store(f"sqlite:///{tmp_path}/mlflow.db", make=True)
    assert not (tmp_path / "mlflow.db").exists()


def database(folder: Path, *statements: str) -> str:
    """Write a database that nobody has written to for an hour; return its address."""
    path = folder / "mlflow.db"
    with closing(sqlite3.connect(path)) as opened, opened:
        for statement in statements:
            opened.execute(statement)
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 3600))
    return f"sqlite:///{path}"


HALF_MADE = (
    "CREATE TABLE experiments (experiment_id INTEGER)",
    "CREATE TABLE _alembic_tmp_experiments (experiment_id INTEGER)",
    "CREATE TABLE runs (run_uuid TEXT)",
)


def test_a_database_that_was_broken_by_several_first_runs_is_one_clear_line(tmp_path):
    address = database(tmp_path, *HALF_MADE)
    with pytest.raises(
        TrackingUnavailable, match=r"mlflow\.db was interrupted.*delete it"
    ) as caught:
        check_store(address, make=True)
    assert len(str(caught.value).splitlines()) == 1


def test_a_database_of_an_older_mlflow_is_to_be_upgraded_and_is_left_as_it_is(tmp_path):
    address = database(tmp_path, *HALF_MADE, "INSERT INTO runs VALUES ('one')")
    before = (tmp_path / "mlflow.db").read_bytes()
    with pytest.raises(TrackingUnavailable, match=r"older MLflow.*`mlflow db upgrade 'sqlite:///"):
        check_store(address, make=True)
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_a_database_that_is_not_there_is_made_for_runs_alone(tmp_path):
    check_store(f"sqlite:///{tmp_path}/mlflow.db", make=False)
    assert list(tmp_path.iterdir()) == []
