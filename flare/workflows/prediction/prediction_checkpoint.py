"""The checkpoint of a prediction: an interrupted prediction continues from it.

It is a file of JSON lines next to the output. The first line identifies model and samples; each
other line is the forecasts of one batch. A killed process leaves at most one incomplete line, whose
batch is forecast again: batches have the same members in every run, and so the same numbers.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from flare.errors import ConfigInvalid
from flare.files import lock_file

FORMAT = 3
_SUFFIX = ".partial.jsonl"

Record = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What must be the same for a prediction to continue: model, data, split and batch size.

    ``model`` is the digest of the forecaster's folder, ``data`` a fingerprint of the samples'
    files; ``split`` is empty for a folder without a table.
    """

    model: str
    data: str
    split: str
    samples: int
    batch: int

    def header(self) -> dict[str, Any]:
        """Return the first line."""
        return {"format": FORMAT, **asdict(self)}

    def difference(self, other: Any) -> str:
        """Describe how the first line of a file differs from this task's; empty if it does not."""
        if not isinstance(other, dict):
            return "something else"
        reasons = {
            "format": "another version of flare",
            "split": "another split",
            "data": "other data, or files that changed since",
            "samples": "other data, or files that changed since",
            "model": "another model",
            "batch": "another version of flare",
        }
        own = self.header()
        return next((why for key, why in reasons.items() if own[key] != other.get(key)), "")


@dataclass(frozen=True)
class Shard:
    """Every ``step``-th batch from ``first`` on; all of them by default."""

    first: int = 0
    step: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Make the shard of a text such as 3/16; all batches if it is empty."""
        if not text:
            return cls()
        part, parts = map(int, text.split("/"))
        return cls(part - 1, parts)

    def place(self, output: Path) -> Path:
        """Return the file whose checkpoint is that of the shard: the output's for all batches."""
        name = f".shard-{self.first + 1}-of-{self.step}" if self.step > 1 else ""
        return output.with_name(output.name + name)


def shards_of(output: Path) -> dict[Path, Shard]:
    """Return the checkpoints of an output's shards."""
    pattern = re.compile(rf"{re.escape(output.name)}\.shard-(\d+)-of-(\d+){re.escape(_SUFFIX)}")
    result = {}
    for path in sorted(output.parent.glob(f"*{_SUFFIX}")):
        if match := pattern.fullmatch(path.name):
            result[path] = Shard(int(match[1]) - 1, int(match[2]))
    return result


class PredictionCheckpoint:
    """The open checkpoint of one task; ``records`` are the samples of complete batches, in order.

    The file stays when the ``with`` block ends, unless it has no records: ``remove`` it once the
    output is written.

    Raises
    ------
    ConfigInvalid
        The file belongs to another task, and ``restart`` is not set.
    PlaceInUse
        Another process writes it.
    """

    def __init__(self, output: Path, task: Task, *, restart: bool = False) -> None:
        self.path = output.with_name(output.name + _SUFFIX)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b")
        try:
            lock_file(
                self._file,
                busy=f"{self.path} is being written by another process; wait for it, "
                "or give another -P output=",
            )
            self.records: list[Record] = self._resume(task, restart=restart)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.records:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def append(self, batch: list[Record]) -> None:
        """Write the records of one batch."""
        self._file.write(_line(batch))
        self._file.flush()
        self.records += batch

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
        self.records = []

    def _resume(self, task: Task, *, restart: bool) -> list[Record]:
        """Return the records of the file and cut an incomplete end; start it if it is empty."""
        self._file.seek(0)
        header = _line(task.header())
        first, newline, rest = (b"" if restart else self._file.read()).partition(b"\n")
        if not newline and header.startswith(first):  # empty, or interrupted in the first line
            self._file.truncate(0)
            self._file.write(header)
            self._file.flush()
            return []
        difference = task.difference(_decoded(first))
        if difference:
            raise ConfigInvalid(
                f"{self.path} has forecasts of {difference}; pass -P restart=true to discard "
                "them, or another -P output="
            )
        records: list[Record] = []
        size = len(first) + 1
        for line in rest.splitlines(keepends=True):
            batch = _decoded(line) if line.endswith(b"\n") else None
            if batch is None:
                break
            records += batch
            size += len(line)
        self._file.truncate(size)
        return records


def _line(content: object) -> bytes:
    return json.dumps(content, allow_nan=False).encode() + b"\n"


def _decoded(line: bytes) -> Any:
    """Return the content of a line; None if it is not JSON."""
    try:
        return json.loads(line)
    except ValueError:
        return None
