"""One process at a time in a folder that several may want to fill."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from flare.errors import DatasetInvalid


@contextmanager
def alone(lock: Path, *, otherwise: str) -> Iterator[None]:
    """Hold a lock file; a process that dies lets go of it.

    Parameters
    ----------
    lock
        The file, made if it is not there.
    otherwise
        What to tell the user where another process holds it.

    Raises
    ------
    DatasetInvalid
        Another process holds it.
    """
    with lock.open("w", encoding="utf-8") as file:
        hold(file, otherwise=otherwise)
        yield


def hold(file: IO[Any], *, otherwise: str) -> None:
    """Hold an open file until it is closed; the rest is as for ``alone``."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DatasetInvalid(otherwise) from error
    except OSError:
        return  # a network file system without locks
