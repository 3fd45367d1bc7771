"""What a run logs, on this disk first: a journal of JSON lines, and the files that wait to be sent.

``outputs/runs/RUN_ID/log.jsonl`` keeps every metric, parameter and tag for good, one line a call;
``log.sent`` says up to which byte MLflow has them. A process that is killed leaves both as they
are, so whoever opens the folder next goes on sending where it ended.
"""

import fcntl
import json
import logging
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from flare.errors import ConfigInvalid

log = logging.getLogger("flare")

#: Where the folders of runs lie; the environment variable gives another place.
RUNS_DIR, RUNS_DIR_VARIABLE = Path("outputs/runs"), "FLARE_RUNS_DIR"

LOG, SENT, ABOUT, LOCK, PENDING = "log.jsonl", "log.sent", "run.json", "lock", "pending"

Entry = dict[str, Any]


@dataclass(frozen=True)
class About:
    """Which run a folder belongs to, and to which server it is sent."""

    run_id: str
    entry: str
    tracking_uri: str


def runs_dir() -> Path:
    """Return where the folders of runs lie, as an absolute path."""
    return Path(os.environ.get(RUNS_DIR_VARIABLE) or RUNS_DIR).absolute()


class LocalCopy:
    """The folder of one run, held by one process at a time. Appending is safe from any thread."""

    def __init__(self, folder: Path) -> None:
        """Open or make the folder.

        Raises
        ------
        ConfigInvalid
            Another process holds it: the run is still going on.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._held = _hold(folder / LOCK)
        self._lock = threading.Lock()
        self._log = (folder / LOG).open("ab", buffering=0)
        self._files = len(list((folder / PENDING).glob("*")))
        self.size = self._log.tell()
        if self.size and not _ends_whole(folder / LOG):
            log.warning("the last line of %s was cut off: what it held is lost", folder / LOG)
            self._write(b"\n")  # such a line is skipped
        self.sent = min(_sent(folder), self.size)  # a power cut may take the end of the log

    def describe(self, about: About) -> None:
        """Say which run this is, for whoever finds the folder."""
        write_about(self.folder, about)

    def append(self, entry: Entry) -> None:
        """Write one line, and hand it to the operating system."""
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._write(line)

    def place(self, name: str) -> Path:
        """Return where a new file may be written that waits to be sent."""
        with self._lock:
            self._files += 1
            folder = self.folder / PENDING / f"{self._files:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def unsent(self, limit: int) -> tuple[list[Entry], int]:
        """Return the oldest entries that were not sent, and the byte at which they end.

        Only as many as hold ``limit`` metrics or fewer, but at least one.
        """
        entries: list[Entry] = []
        end, metrics = self.sent, 0
        with (self.folder / LOG).open("rb") as file:
            file.seek(end)
            while end < self.size:
                line = file.readline()
                entry = _parsed(line)
                metrics += len(entry.get("metrics", ()))
                if entries and metrics > limit:
                    break
                entries.append(entry)
                end += len(line)
        return entries, end

    def mark_sent(self, end: int) -> None:
        """Remember that MLflow has everything up to a byte."""
        _put(self.folder / SENT, str(end))
        self.sent = end

    @property
    def behind(self) -> bool:
        """Whether anything was not sent yet."""
        return self.sent < self.size

    def close(self) -> None:
        """Let go of the folder."""
        self._log.close()
        self._held.close()
        if not self.behind:
            shutil.rmtree(self.folder / PENDING, ignore_errors=True)

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        try:
            while left:  # a file without a buffer may take less than everything
                left = left[self._log.write(left) :]
        except OSError:
            self._log.truncate(self.size)  # a part of a line would spoil the next one
            raise
        self.size += len(line)


def read_about(folder: Path) -> About | None:
    """Return which run a folder belongs to; None where it does not say."""
    try:
        return About(**json.loads((folder / ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_about(folder: Path, about: About) -> None:
    """Write which run a folder belongs to."""
    _put(folder / ABOUT, json.dumps(vars(about), indent=2))


def last_logged(folder: Path) -> dict[str, tuple[int, float]]:
    """Return the highest step and its value of every metric in a folder; none where there is none.

    Of one step that was logged twice the later value counts.
    """
    found: dict[str, tuple[int, float]] = {}
    if not (folder / LOG).is_file():
        return found
    with (folder / LOG).open("rb") as file:
        for line in file:
            entry = _parsed(line)
            step = int(entry.get("step", 0))
            for name, value in entry.get("metrics", {}).items():
                if step >= found.get(name, (step, 0.0))[0]:
                    found[name] = step, float(value)
    return found


def params_of(folder: Path) -> dict[str, str]:
    """Return the parameters in a folder as they were logged; none where there is none."""
    found: dict[str, str] = {}
    if not (folder / LOG).is_file():
        return found
    with (folder / LOG).open("rb") as file:
        for line in file:
            found |= _parsed(line).get("params", {})
    return found


def last_status(folder: Path) -> str | None:
    """Return the status that a run was last given; None where its process never came to it."""
    found = None
    with (folder / LOG).open("rb") as file:
        for line in file:
            found = _parsed(line).get("status", found)
    return found


def is_behind(folder: Path) -> bool:
    """Whether a folder holds what was not sent yet."""
    return (folder / LOG).is_file() and _sent(folder) < (folder / LOG).stat().st_size


def is_held(folder: Path) -> bool:
    """Whether a process is writing to a folder now."""
    try:
        _hold(folder / LOCK).close()
    except ConfigInvalid:
        return True
    except OSError:
        return False
    return False


def _hold(path: Path) -> IO[str]:
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise ConfigInvalid(
            f"the run in {path.parent} is still going on in another process; wait for it, or stop "
            "it first"
        ) from error
    except OSError:
        pass  # a network file system without locks
    return file


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _parsed(line: bytes) -> Entry:
    """Read a line; nothing of one that was cut off."""
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError):
        return {}


def _sent(folder: Path) -> int:
    try:
        return int((folder / SENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def _put(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
