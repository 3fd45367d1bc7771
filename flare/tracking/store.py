"""MLflow's SQLite store on this disk: where its file is, and setting it up whole or not at all.

MLflow sets a new database up in place and without a lock: of several processes that do so at once
some crash, and the file may be broken for good. Here one process does it, under another name.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from flare.errors import TrackingUnavailable

#: Seconds without a write after which a half-made database counts as left by a dead process.
_SET_UP_SECONDS = 5.0


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
    """Check the database of a SQLite address; nothing for other addresses.

    Parameters
    ----------
    make
        Whether to set one up where there is none.

    Raises
    ------
    TrackingUnavailable
        A database is there that was not set up to its end, or that an older MLflow made; or one
        is to be made in a folder with a name that MLflow reads otherwise.
    OSError
        Its folder cannot be made or written to.
    """
    path = database_file(address)
    if path is None:
        return
    if make and not path.exists():
        check_name(str(Path.cwd()))  # where MLflow puts the artifacts of a new database
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
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


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, after waiting for it; the system lets go of a dead process's."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _set_up(path: Path) -> None:
    """Make a database under another name, and give it its own when it is whole."""
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
    """Raise unless every table of this MLflow is there; wait while somebody is making them."""
    while missing := _missing_tables(path):
        if not 0 <= time.time() - path.stat().st_mtime < _SET_UP_SECONDS:
            break
        time.sleep(0.2)
    if not missing:
        return
    upgrade = f"back it up and run `mlflow db upgrade '{address}'`"
    if _runs_in(path):
        raise TrackingUnavailable(
            f"{path} was made by an older MLflow, or its upgrade was interrupted (it has no table "
            f"{missing[0]}): {upgrade}; where that fails, restore the copy from before the upgrade"
        )
    raise TrackingUnavailable(
        f"setting up {path} was interrupted, and it holds no run (it has no table {missing[0]}): "
        f"delete it and run again; one of an older MLflow can be kept: {upgrade}"
    )


def _missing_tables(path: Path) -> list[str]:
    """Return the tables of this MLflow that a database lacks; none of a file that is no database.

    An empty file is one that MLflow sets up itself.
    """
    from mlflow.store.db.base_sql_model import Base
    from mlflow.store.tracking import sqlalchemy_store  # noqa: F401 - declares the tables

    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=20)) as database:
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return sorted(set(Base.metadata.tables) - {name for (name,) in rows}) if rows else []
    return []


def _runs_in(path: Path) -> int:
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM runs").fetchone()[0])
    return 0


if __name__ == "__main__":
    import mlflow

    try:
        check_store(mlflow.get_tracking_uri(), make=True)  # before several runs begin at once
    except (TrackingUnavailable, OSError) as error:
        raise SystemExit(str(error)) from None
