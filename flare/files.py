"""Write files and folders atomically, lock them, and identify them by SHA-256."""

import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from flare.errors import ConfigInvalid, DiskTooSmall, PlaceInUse

log = logging.getLogger("flare")

#: Left free for everything else that writes to the same disk.
SPARE_BYTES = 64 * 2**20


@contextmanager
def atomic_file(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a temporary path that is renamed to ``path`` when the block ends without an error.

    An older file there is replaced in one step; after an error it is as it was. Folders are made.
    A ``durable`` file survives a power failure from then on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        if durable:
            sync(partial)
        partial.replace(path)
        if durable:
            sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a whole file, or nothing; text as UTF-8. See `atomic_file`."""
    with atomic_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return  # not every file system lets a folder be opened
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def atomic_folder(dest: Path) -> Iterator[Path]:
    """Give an empty folder that is renamed to ``dest`` when the block ends without an error.

    It lies next to ``dest``, under a hidden name. A folder that is at ``dest`` already is replaced
    then, and is as it was after an error or an interruption, which delete the new one. What a
    process left that was killed is deleted by the next call.

    Raises PlaceInUse: another process is writing the same folder.
    """
    dest = dest.absolute()
    partial, old = (dest.with_name(f".{dest.name}.{name}") for name in ("partial", "old"))
    dest.parent.mkdir(parents=True, exist_ok=True)
    busy = f"another process is writing {dest}; wait for it, or choose another folder"
    with locked(dest.with_name(f".{dest.name}.lock"), busy=busy):
        _delete(partial, old)
        try:
            partial.mkdir()
            yield partial
            if dest.exists():
                dest.rename(old)
            partial.rename(dest)
        finally:
            _delete(partial, old)


@contextmanager
def locked(path: Path, *, busy: str | None = None) -> Iterator[None]:
    """Hold a lock file, which is made, and deleted when the block ends.

    The system releases the lock of a process that dies.

    ``busy`` is the message of the error where another process holds the lock; None waits for it.

    Raises PlaceInUse: another process holds the lock, and ``busy`` is given.
    """
    while True:
        with path.open("a") as file:
            lock_file(file, busy=busy)
            # Another process may have deleted the file between our opening and locking it.
            if _is_at(path, file):
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return


def lock_file(file: IO[Any], *, busy: str | None = None) -> None:
    """Lock an open file until it is closed; the parameters and errors are those of `locked`.

    On a file system without locks this only warns.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if busy is None else fcntl.LOCK_NB))
    except BlockingIOError as error:
        raise PlaceInUse(busy or "") from error
    except OSError as error:
        log.warning("%s cannot be locked (%s): let only one process write there", file.name, error)


def _is_at(path: Path, file: IO[Any]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def check_folder(folder: Path, parameter: str) -> None:
    """Raise ConfigInvalid unless a folder is, or can be made, where files can be written.

    ``parameter`` is what the user would have to change.
    """
    nearest = _nearest(folder, Path.exists)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigInvalid(
            f"{parameter}={folder}: {nearest} is not a folder that can be written to; "
            "give another place"
        )


def require_space(folder: Path, n_bytes: int, what: str, *, instead: str) -> None:
    """Raise DiskTooSmall unless the disk of a folder has so many bytes free, and 64 MB more.

    ``folder`` need not exist yet. The message begins with ``what``, and ends with ``instead``, what
    the user can do besides making room.
    """
    place = _nearest(folder, Path.is_dir)
    free = shutil.disk_usage(place).free
    if free < n_bytes + SPARE_BYTES:
        raise DiskTooSmall(
            f"{what} takes {size_text(n_bytes)} and {place} has {size_text(free)} free; "
            f"make room, {instead}"
        )


def size_text(n_bytes: int) -> str:
    """Write a number of bytes with a unit, in powers of 1000."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.2f} {unit}"
    return f"{n_bytes} bytes"


def _nearest(folder: Path, exists: Callable[[Path], bool]) -> Path:
    """Return the folder, or its nearest parent, for which ``exists`` is true."""
    whole = folder.absolute()
    return next(place for place in (whole, *whole.parents) if exists(place))


def _delete(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def digest(*parts: bytes | memoryview) -> str:
    """Return the SHA-256 of bytes, one part after the other, as 64 hexadecimal digits."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part)
    return state.hexdigest()


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def combine_digests(digests: Mapping[str, str]) -> str:
    """Return one digest of many, by name: SHA-256 of ``digest  name`` lines sorted by name.

    That is what ``sha256sum`` prints, so a fingerprint can be checked without this project.
    """
    return digest("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode())


def digest_of_images(files: Mapping[str, bytes] | None) -> str:
    """Return the digest of one sample's images, which depends on their names and bytes."""
    return combine_digests({name: digest(data) for name, data in (files or {}).items()})
