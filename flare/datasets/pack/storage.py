"""What lies in a split's one large file, and whether it is still what was put there."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flare.cores import usable_cores
from flare.files import digest
from flare.sample import N_PLANES, Present

Storage = Literal["raw", "jpeg"]

#: A split's one large file, by storage.
BULK: dict[Storage, str] = {"raw": "cubes.u8", "jpeg": "images.bin"}

_AT_ONCE = 4096  # rows whose digests are asked for before the first is looked at


@dataclass(frozen=True)
class StoredRows:
    """The rows of a split in its large file.

    ``bounds`` int64 (N + 1,) are where they begin, and where the last one ends; ``present`` bool
    (N, 4, 10). ``lengths`` int64 (N, 4, 10) are those of the single images of a JPEG pack, and
    None where the rows are raw grey levels.
    """

    path: Path
    bounds: NDArray[np.int64]
    present: Present
    lengths: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.present)

    def digests(self) -> Iterator[str]:
        """Read every row again and yield its digest, with a thread for each core."""
        with (
            self.path.open("rb") as file,
            ThreadPoolExecutor(usable_cores(), thread_name_prefix="digests") as pool,
        ):
            for first in range(0, len(self), _AT_ONCE):
                rows = range(first, min(first + _AT_ONCE, len(self)))
                yield from pool.map(lambda row: self._digest(file.fileno(), row), rows)

    def _digest(self, file: int, row: int) -> str:
        begin, end = self.bounds[row : row + 2].tolist()
        lengths = None if self.lengths is None else self.lengths[row]
        return row_digest(os.pread(file, end - begin, begin), self.present[row], lengths)


def row_digest(
    data: bytes | memoryview, present: Present, lengths: NDArray[np.int64] | None = None
) -> str:
    """Return the digest of one sample as it is stored: of its bytes, lengths and mask."""
    parts = [present.tobytes()] if lengths is None else [lengths.tobytes(), present.tobytes()]
    return digest(data, *parts)


def raw_rows(path: Path, present: Present, image_size: int) -> StoredRows:
    """Return the rows of a file of grey levels."""
    bounds = np.arange(len(present) + 1, dtype=np.int64) * row_bytes(image_size)
    return StoredRows(path, bounds, present)


def jpeg_rows(path: Path, present: Present, lengths: NDArray[np.int64]) -> StoredRows:
    """Return the rows of a file of images."""
    ends = lengths.sum(axis=(1, 2)).cumsum()
    return StoredRows(path, np.concatenate([[0], ends]).astype(np.int64), present, lengths)


def row_bytes(image_size: int) -> int:
    """Return how many bytes the grey levels of one sample take."""
    return N_PLANES * image_size * image_size
