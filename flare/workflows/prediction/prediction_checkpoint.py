"""Forecasts kept while they are made, so that an interrupted prediction can be continued.

A journal is a file of JSON lines beside the output. The first line says which model forecasts
which samples; each other line is one sample. Lines are written a batch at a time, so a process
that was killed leaves at most one torn batch, which the next one makes again: batches have the
same members in every run, and so the same numbers.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flare.errors import ConfigInvalid
from flare.files import lock_file

FORMAT = 1
_SUFFIX = ".partial.jsonl"


@dataclass(frozen=True)
class Task:
    """What forecasts must share to stand in one file: model, data, split and batches.

    ``model`` is the digest of the forecaster's folder, ``data`` a fingerprint of the samples'
    files; ``split`` is empty for a folder without a table.
    """

    model: str
    data: str
    split: str
    samples: int
    batch: int

    def difference(self, other: dict[str, Any]) -> str:
        """Say how another journal's first line differs; empty where it does not."""
        reasons = {
            "format": "another version of flare",
            "split": "another split",
            "data": "other data, or files that changed since",
            "samples": "other data, or files that changed since",
            "model": "another model",
            "batch": "another version of flare",
        }
        own = {"format": FORMAT, **asdict(self)}
        return next((why for key, why in reasons.items() if own[key] != other.get(key)), "")


class Journal:
    """The open journal of one task; ``lines`` are those of whole batches, in order.

    As a context manager it stays where it is when the block ends, unless it is empty: ``remove``
    it once the output is written.
    """

    def __init__(self, output: Path, task: Task, *, restart: bool = False) -> None:
        self.path = output.with_name(output.name + _SUFFIX)
        self.lines: list[dict[str, Any]] = []
        self._task = task
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b")
        try:
            self._lock()
            self._continue(restart=restart)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.lines:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def append(self, batch: list[dict[str, Any]]) -> None:
        """Keep the lines of one batch; they survive this process from now on."""
        self._file.write(b"".join(_line(line) for line in batch))
        self._file.flush()
        self.lines += batch

    def remove(self) -> None:
        """Delete the journal: what it holds stands elsewhere."""
        self.path.unlink(missing_ok=True)
        self.lines = []

    def _lock(self) -> None:
        """Refuse a journal that a living process writes; a dead one's lock is gone with it."""
        lock_file(
            self._file,
            busy=f"{self.path} is being written by another process; wait for it, "
            "or give another -P output=",
        )

    def _continue(self, *, restart: bool) -> None:
        """Take over what is there up to the last whole batch; begin anew where there is nothing."""
        self._file.seek(0)
        content = b"" if restart else self._file.read()
        header = _line({"format": FORMAT, **asdict(self._task)})
        first, newline, rest = content.partition(b"\n")
        if not newline and header.startswith(first):  # empty, or torn in its first line
            self._file.truncate(0)
            self._file.write(header)
            self._file.flush()
            return
        self._check(first)
        found = _whole_lines(rest)
        kept = len(found) // self._task.batch * self._task.batch
        if len(found) >= self._task.samples:
            kept = self._task.samples
        self.lines = [line for line, _ in found[:kept]]
        size = sum(length for _, length in found[:kept])
        self._file.truncate(len(first) + 1 + size)
        self._file.seek(0, os.SEEK_END)

    def _check(self, first: bytes) -> None:
        """Raise ConfigInvalid for a journal of another task."""
        try:
            header = json.loads(first)
            difference = self._task.difference(header)
        except (ValueError, AttributeError):
            difference = "something else"
        if difference:
            raise ConfigInvalid(
                f"{self.path} keeps forecasts of {difference}; pass -P restart=true to discard "
                "them, or another -P output="
            )


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, allow_nan=False).encode() + b"\n"


def _whole_lines(content: bytes) -> list[tuple[dict[str, Any], int]]:
    """Return the lines, and how long each is, up to the first one that is torn or damaged."""
    found = []
    for line in content.split(b"\n")[:-1]:
        try:
            decoded = json.loads(line)
        except ValueError:
            break
        if not isinstance(decoded, dict):
            break
        found.append((decoded, len(line) + 1))
    return found
