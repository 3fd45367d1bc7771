"""The file of an Optuna study: JSON lines, of which a killed process may cut off the last one.

Optuna appends to such a line, and can then read no study in the file.
"""

import json
import logging
import os
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from flare.errors import ConfigInvalid

log = logging.getLogger("flare")


def open_study_file(path: Path) -> JournalStorage:
    """Open the file, or make it; a last line that was cut off is removed.

    Raises
    ------
    ConfigInvalid
        Another line is damaged, a record cannot be applied, or the file is no study's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    backend = _Backend(path)
    backend.remove_cut_line()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not _is_record(line):
                raise ConfigInvalid(
                    f"study_file={path}: line {number} is damaged or no record of a study; put a "
                    "backup in its place, or give another study_file"
                )
    try:
        return JournalStorage(backend)  # applies every record
    except (AssertionError, LookupError, TypeError, ValueError) as error:
        raise ConfigInvalid(
            f"study_file={path}: Optuna cannot apply one of its records "
            f"({type(error).__name__}: {error}); put a backup in its place, or give another "
            "study_file"
        ) from error


class _Backend(JournalFileBackend):
    """Optuna's file, looked at before every write: another process may have been killed."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, after removing what is left of one that was cut off."""
        self.remove_cut_line()
        super().append_logs(logs)

    def remove_cut_line(self) -> None:
        """Remove what follows the last end of a line; a whole record gets its end."""
        if _ends_whole(self._path):
            return
        lock = JournalFileSymlinkLock(str(self._path))
        lock.acquire()  # somebody may be writing this very line
        try:
            if _ends_whole(self._path):
                return
            content = self._path.read_bytes()
            cut = content[content.rfind(b"\n") + 1 :]
            with self._path.open("r+b") as file:
                if _is_record(cut):
                    file.seek(0, os.SEEK_END)
                    file.write(b"\n")
                else:
                    file.truncate(len(content) - len(cut))
                    log.warning("the last line of %s was cut off: it is removed", self._path)
        finally:
            lock.release()


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _is_record(line: bytes) -> bool:
    try:
        return "op_code" in dict(json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return False
