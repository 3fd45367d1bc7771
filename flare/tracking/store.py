"""MLflow's store: connect to it, set up SQLite on this disk, and check where artifacts lie.

MLflow sets a new database up in place and without a lock: of several processes that do so at once
some crash, and the file may be broken for good. Here one process does it, under another name.

MLflow records absolute paths of artifacts: a copied project would write into the original, and a
renamed one into a new folder under the old name. Without a server artifacts lie in ``mlruns`` of
the folder that the first run was started in, which here is the folder of the database.
"""

import logging
import os
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from flare.errors import TrackingUnavailable
from flare.files import locked
from flare.tracking.mlflow_errors import as_unavailable

ARTIFACTS = "mlruns"

#: Seconds without a write after which a half-made database counts as left by a dead process.
_SET_UP_SECONDS = 5.0


def connect(tracking_uri: str | None = None, *, make: bool = False) -> None:
    """Choose the tracking server; None is MLFLOW_TRACKING_URI, or ``sqlite:///mlflow.db`` here.

    ``make`` sets up the database of a SQLite address that has none.

    Raises TrackingUnavailable: the database is half made or of an older MLflow, or its folder
    cannot be made.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)
    # It prints a traceback where SQLite is locked for a moment; we retry. So does urllib3.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    # MLflow retries an unreachable server for minutes; we report it sooner, and go on retrying.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    if tracking_uri is not None:
        mlflow.set_tracking_uri(tracking_uri)
    address = mlflow.get_tracking_uri()
    if (plain := plain_address(address)) != address:
        mlflow.set_tracking_uri(plain)
    with as_unavailable(OSError):
        check_store(plain, make=make)


def experiment_of_new_runs() -> str | None:
    """Return the id of the experiment that new runs go to; None where MLflow will create it."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME")
    if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return given
    if not name:
        return "0"
    experiment = MlflowClient().get_experiment_by_name(name)
    return None if experiment is None else str(experiment.experiment_id)


def database_file(address: str) -> Path | None:
    """Return the file of a SQLite store as SQLAlchemy reads its address.

    None for a server, for another kind of database, and for one in memory.
    """
    try:
        url = make_url(address)
    except ArgumentError:
        return None
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or ":memory:" in name:
        return None
    if "uri" in url.query and url.query.get("mode") == "memory":
        return None
    return Path(unquote(urlsplit(name).path) if "uri" in url.query else name)


def plain_address(address: str) -> str:
    """Return an address without escapes such as ``%20`` where it then means the same.

    MLflow makes the folder of the escaped path too, an empty one near the project.
    """
    if database_file(address) is None:
        return address
    path, mark, options = address.partition("?")
    plain = unquote(path) + mark + options
    return plain if make_url(plain) == make_url(address) else address


def check_store(address: str, *, make: bool) -> None:
    """Check the database of a SQLite address, and ``make`` one where there is none.

    Raises
    ------
    TrackingUnavailable
        A database is there that was not set up to its end, or that an older MLflow made; or one
        is to be made in a folder with a name that MLflow changes.
    OSError
        Its folder cannot be made or written to.
    """
    path = database_file(address)
    if path is None:
        return
    if make and not path.exists():
        check_name(str(Path.cwd()))  # where MLflow puts the artifacts of a new database
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                _set_up(path)
    if path.exists():
        _check_whole(path, address)


def check_name(location: str) -> None:
    """Raise where MLflow reads a path as another one: ``%20`` in a folder's name as a space."""
    if location.startswith("/") and unquote(location) != location:
        raise TrackingUnavailable(
            f"MLflow would put the artifacts of {location} into {unquote(location)}: it reads % "
            "and two digits as another character; rename the folder, and run `python -m "
            "entrypoints.relocate` if it holds runs"
        )


def _set_up(path: Path) -> None:
    """Make a database under another name, and rename it when it is whole."""
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path = path.absolute()
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    address = plain_address(f"sqlite:///{quote(str(partial))}")
    store = SqlAlchemyStore(  # type: ignore[no-untyped-call]
        address, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    )
    store.engine.dispose()
    if path.exists():  # MLflow's own command line was faster
        partial.unlink()
    else:
        partial.rename(path)


def _check_whole(path: Path, address: str) -> None:
    """Raise unless every table of this MLflow is there; wait while another process makes them."""
    while missing := _missing_tables(path):
        if not 0 <= time.time() - path.stat().st_mtime < _SET_UP_SECONDS:
            break
        time.sleep(0.2)
    if not missing:
        return
    upgrade = f"back it up and run `mlflow db upgrade '{address}'`"
    if _query(path, "SELECT count(*) FROM runs"):
        raise TrackingUnavailable(
            f"{path} was made by an older MLflow, or its upgrade was interrupted (it has no table "
            f"{missing[0]}): {upgrade}; where that fails, restore the copy from before the upgrade"
        )
    raise TrackingUnavailable(
        f"setting up {path} was interrupted, and it holds no run (it has no table {missing[0]}): "
        f"delete it and run again; to use one of an older MLflow: {upgrade}"
    )


def _missing_tables(path: Path) -> list[str]:
    """Return the tables of this MLflow that a database lacks; empty if the file is not SQLite.

    An empty file is one that MLflow sets up itself.
    """
    from mlflow.store.db.base_sql_model import Base
    from mlflow.store.tracking import sqlalchemy_store  # noqa: F401 - declares the tables

    tables = _query(path, "SELECT group_concat(name) FROM sqlite_master WHERE type = 'table'")
    return sorted(set(Base.metadata.tables) - set(str(tables).split(","))) if tables else []


def _query(path: Path, statement: str) -> str | int | None:
    """Return the only value of a query; None where the file has no such table."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=20)) as database:
        value: str | int | None = database.execute(statement).fetchone()[0]
        return value
    return None


def check_location(location: str) -> None:
    """Raise where artifacts are recorded in a folder that this project was copied or renamed from.

    Raises TrackingUnavailable: names the recorded folder, the one of the database, and the command
    that repairs it; or the folder's name is one that MLflow changes.
    """
    database = database_file(mlflow.get_tracking_uri())
    if database is None:
        return
    old, new = former_project(location, database), database.absolute().parent
    if old is not None:
        raise TrackingUnavailable(
            f"MLflow's database is in {new}, but its artifacts are recorded in {old / ARTIFACTS}: "
            "this project was copied or renamed; move them with `python -m entrypoints.relocate`"
        )
    check_name(location)


def check_model_location(uri: str) -> None:
    """Do what ``check_location`` does for the model that an address such as ``models:/`` names."""
    if database_file(mlflow.get_tracking_uri()) is not None:
        repository = get_artifact_repository(uri)
        check_location(str(getattr(repository, "repo", repository).artifact_uri))


def former_project(location: str, database: Path) -> Path | None:
    """Return the project folder that a location of artifacts names, if it is a former one.

    A folder elsewhere may be meant: a database that several projects share. It is a former one if
    it is gone, if the artifacts came along, or if its database has the same first experiment, to
    the millisecond: this one is a copy of it.
    """
    path = local_path(location)
    if path is None or ARTIFACTS not in path.parts:
        return None
    cut = len(path.parts) - 1 - path.parts[::-1].index(ARTIFACTS)
    old, new = Path(*path.parts[:cut]), database.absolute().parent
    with suppress(OSError):
        if old.samefile(new):
            return None
    if not old.exists() or (new / path.relative_to(old)).exists():
        return old
    first = "SELECT min(creation_time) FROM experiments"
    times = [_query(one, first) for one in (database, old / database.name) if one.is_file()]
    return old if len(times) == 2 and times[0] is not None and times[0] == times[1] else None


def local_path(location: str | None) -> Path | None:
    """Return the path of a location on this disk; None for any other."""
    if not location:
        return None
    if location.startswith("file:"):
        return Path(unquote(urlsplit(location).path))
    return Path(location) if location.startswith("/") else None


if __name__ == "__main__":
    try:
        connect(make=True)  # before several runs start at once
        with as_unavailable():
            if sys.argv[1:] == ["experiment"]:  # for the address of the UI
                sys.stdout.write(experiment_of_new_runs() or "0")
    except TrackingUnavailable as error:
        sys.exit(str(error))
