"""The database of studies: connect to it, and wait while it is away."""

import logging
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from flare.errors import ConfigInvalid, StorageUnavailable
from flare.files import locked

log = logging.getLogger("flare")

Result = TypeVar("Result")

DEFAULT_STORAGE = "sqlite:///outputs/search.db"

#: Attribute of a trial: how often it was stopped by Ctrl-C.
STOPS = "flare:stops"

#: Seconds that a database may be away: when a study is opened, and while one runs.
PATIENCE_AT_START, PATIENCE = 10.0, 300.0
_PAUSE = 1.0  # seconds between two attempts

_TABLES_LOCK = 2012_06_13  # of PostgreSQL: any number, the same in all processes


def quiet_optuna() -> None:
    """Keep Optuna from repeating what is logged already, and from warnings of new features."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)


def shown_storage(url: str) -> str:
    """Return the address of the database without its password."""
    return make_url(url or DEFAULT_STORAGE).render_as_string(hide_password=True)


def open_storage(url: str, *, heartbeat: int) -> RDBStorage:
    """Connect to the database of studies; a new one is set up by one process alone.

    Raises
    ------
    ConfigInvalid
        The address is malformed, or the package of its driver is missing.
    StorageUnavailable
        The database does not answer, or is something else.
    """
    try:
        address = make_url(url or DEFAULT_STORAGE)
    except ArgumentError as error:
        raise ConfigInvalid(
            f"storage={url} is not an address of a database; write sqlite:///FILE or "
            "postgresql://USER@HOST/NAME"
        ) from error
    shown, file = shown_storage(url), sqlite_file(address)
    try:
        if file is None:
            connect = partial(_connect, address, heartbeat, pool_pre_ping=True)
            return patiently(connect, shown, seconds=PATIENCE_AT_START)
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(file.with_name(f".{file.name}.lock")):
            return _without_disk_waits(_connect(address, heartbeat, connect_args={"timeout": 60}))
    except ImportError as error:
        raise ConfigInvalid(
            f"storage={shown} needs a driver that is not installed ({error}); for PostgreSQL: pip "
            "install 'flare[postgresql]'"
        ) from error
    except (SQLAlchemyError, StorageInternalError) as error:
        raise StorageUnavailable(_unavailable(shown, error)) from error
    except RuntimeError as error:  # of another version of Optuna
        first = str(error).splitlines()[0]
        raise StorageUnavailable(
            f"storage={shown} cannot be used: {first}; give another storage"
        ) from error


def _connect(address: URL, heartbeat: int, **engine: object) -> RDBStorage:
    with _making_tables(address):
        return RDBStorage(
            address.render_as_string(hide_password=False),
            engine_kwargs=engine,
            heartbeat_interval=heartbeat,
            heartbeat_stale_trial_callback=_queue_again_once,
        )


@contextmanager
def _making_tables(address: URL) -> Iterator[None]:
    """Let one process at a time make the tables of a new PostgreSQL database."""
    if address.get_backend_name() != "postgresql":
        yield
        return
    engine = create_engine(address, poolclass=NullPool)
    with engine.connect() as connection:  # the lock is released when it is closed
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _TABLES_LOCK})
        yield


def _without_disk_waits(storage: RDBStorage) -> RDBStorage:
    """Have SQLite write to a log, which no commit waits for.

    A power cut loses the last commits and leaves the file whole: those trials count as lost. The
    dozens of commits of a trial take a third of a second otherwise.
    """

    def set_up(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(storage.engine, "connect", set_up)
    close(storage)  # the connections of before
    return storage


def close(storage: RDBStorage) -> None:
    """Close the connections to a database; a later call opens new ones."""
    storage.remove_session()
    storage.engine.dispose()


def sqlite_file(url: str | URL) -> Path | None:
    """Return the file of a SQLite database; None for any other."""
    address = make_url(url)
    if address.get_backend_name() != "sqlite" or not address.database:
        return None
    return Path(address.database)


def patiently(call: Callable[[], Result], storage: str, *, seconds: float = PATIENCE) -> Result:
    """Repeat a call while the database is away, for so many seconds.

    Raises StorageUnavailable: it does not answer for so long.
    """
    deadline, warned = time.monotonic() + seconds, False
    while True:
        try:
            return call()
        except (OperationalError, StorageInternalError) as error:
            if time.monotonic() >= deadline:
                raise StorageUnavailable(_unavailable(storage, error)) from error
            if not warned:
                log.warning("%s; trying again for %.0f s", _unavailable(storage, error), seconds)
            warned = True
            time.sleep(_PAUSE)


def _unavailable(storage: str, error: Exception) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    reason = (str(cause).splitlines() or [type(cause).__name__])[0]
    return (
        f"the database of studies {storage} does not answer: {reason}; start it, or give another "
        "storage"
    )


def _queue_again_once(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial whose process was lost, unless it was lost before."""
    stops = int(trial.user_attrs.get(STOPS, 0))
    RetryHeartbeatStaleTrialCallback(max_retry=1 + stops)(study, trial)
    log.warning("trial %d was lost with its process", trial.number)
