"""Which samples of an unfinished pack are stored: one line of JSON for each, in their order.

A line is written after the bytes that it speaks of are on the disk.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare.datasets.pack.decoding import Stored
from flare.datasets.pack.storage import Storage, StoredRows, jpeg_rows, raw_rows
from flare.sample import N_CHANNELS, N_PLANES, N_STEPS

#: Seconds after which what was stored is put on the disk for sure, and into the journal.
_FLUSH_SECONDS = 5.0

_JOURNAL = "journal.jsonl"


def read_journal(workshop: Path) -> Iterator[Stored]:
    """Yield the samples of a journal up to the first line that is not whole."""
    try:
        file = (workshop / _JOURNAL).open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                yield _of_line(line)
            except (ValueError, KeyError, TypeError):
                return


def rewrite_journal(workshop: Path, entries: Iterable[Stored]) -> None:
    """Replace a journal by another one, all at once."""
    temporary = workshop / f"{_JOURNAL}.new"
    with temporary.open("w", encoding="utf-8") as file:
        file.writelines(map(_line, entries))
    temporary.replace(workshop / _JOURNAL)


def rows_of(
    path: Path, entries: Sequence[Stored], *, storage: Storage, image_size: int
) -> StoredRows:
    """Return where the bytes of a split's samples lie, of which there is at least one."""
    present = np.stack([entry.present for entry in entries])
    if storage == "raw":
        return raw_rows(path, present, image_size)
    lengths = [entry.lengths for entry in entries if entry.lengths is not None]
    return jpeg_rows(path, present, np.stack(lengths))


class Recorder:
    """Writes the journal; a context, at whose end everything is on the disk and in it."""

    def __init__(self, workshop: Path, files: Mapping[str, Path], *, append: bool) -> None:
        self._workshop, self._paths, self._append = workshop, files, append
        self._lines: list[str] = []
        self._flushed = time.monotonic()

    def __enter__(self) -> "Recorder":
        with ExitStack() as stack:
            self._files = {
                split: stack.enter_context(path.open("ab" if self._append else "rb"))
                for split, path in self._paths.items()
            }
            self._journal = stack.enter_context(
                (self._workshop / _JOURNAL).open("a", encoding="utf-8")
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            self.flush()

    def add(self, stored: Stored) -> None:
        """Take the next sample, and its bytes where they are not in their place yet."""
        if stored.content:
            self._files[stored.name.split("/", 1)[0]].write(stored.content)
        self._lines.append(_line(stored))
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Put bytes on the disk, and then into the journal that they are there."""
        for file in self._files.values():
            file.flush()
            os.fdatasync(file.fileno())
        self._journal.write("".join(self._lines))
        self._journal.flush()
        os.fdatasync(self._journal.fileno())
        self._lines.clear()
        self._flushed = time.monotonic()


def _line(stored: Stored) -> str:
    content = {
        "name": stored.name,
        "present": "".join("01"[has] for has in stored.present.ravel().tolist()),
        "images": stored.images,
        "packed": stored.packed,
        "rejected": stored.rejected,
        "lengths": _listed(stored.lengths),
        "sums": _listed(stored.sums),
    }
    return json.dumps(content, separators=(",", ":")) + "\n"


def _of_line(line: str) -> Stored:
    content = json.loads(line)
    present = [{"0": False, "1": True}[digit] for digit in content["present"]]
    if len(present) != N_PLANES or not line.endswith("\n"):
        raise ValueError(line)
    return Stored(
        content["name"],
        np.array(present, dtype=np.bool_).reshape(N_STEPS, N_CHANNELS),
        content["images"],
        content["packed"],
        tuple((file, reason) for file, reason in content["rejected"]),
        _numbers(content["lengths"], N_STEPS, N_CHANNELS),
        sums=_numbers(content["sums"], N_STEPS, N_CHANNELS, 2),
    )


def _listed(numbers: NDArray[np.int64] | None) -> list[int] | None:
    return None if numbers is None else numbers.ravel().tolist()


def _numbers(listed: list[int] | None, *shape: int) -> NDArray[np.int64] | None:
    return None if listed is None else np.array(listed, dtype=np.int64).reshape(shape)
