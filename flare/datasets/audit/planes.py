"""A digest of every image of a pack, and which images are of a single grey level.

Digests are of pixels as a model reads them, so a file that was only written anew is the same image.
"""

from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.datasets.pack.reader import Pack
from flare.parallel import Progress, map_in_order, reported
from flare.sample import CHANNELS, N_CHANNELS, N_PLANES, N_STEPS, STEP_NAMES, Present

_TASK_SAMPLES = 64  # hashing is twenty times faster than decoding, and a task as much larger


@dataclass(frozen=True)
class Planes:
    """What is left to know of the images of N samples.

    ``digests`` uint64 (N, 4, 10) begin the SHA-256 of the pixels; 0 where there is no image, or
    one of a single grey level. ``uniform`` bool (N, 4, 10) says which are the latter: present, as
    the pack says, but without content.
    """

    table: pd.DataFrame
    digests: NDArray[np.uint64]
    uniform: NDArray[np.bool_]
    present: Present

    def take(self, rows: NDArray[np.intp]) -> "Planes":
        """Return some of the samples."""
        table = self.table.iloc[rows].reset_index(drop=True)
        return Planes(table, self.digests[rows], self.uniform[rows], self.present[rows])

    def name(self, place: NDArray[np.intp]) -> str:
        """Name the image at (sample, step, channel)."""
        sample, step, channel = map(int, place)
        return f"{self.table['id'][sample]} {CHANNELS[channel]} ({STEP_NAMES[step]})"


@dataclass(frozen=True)
class _Task:
    """Consecutive samples of a split, from ``row`` on."""

    pack: Pack
    split: str
    row: int
    present: Present


def planes_of(
    pack: Pack, *, processes: int | None = None, progress: Progress | None = None
) -> dict[str, Planes]:
    """Read every image of a pack once, and return what is left of them by split."""
    splits = {name: pack.split(name) for name in pack.samples}
    tasks = [
        _Task(pack, name, row, rows.present[row : row + _TASK_SAMPLES])
        for name, rows in splits.items()
        for row in range(0, len(rows), _TASK_SAMPLES)
    ]
    with closing(map_in_order(_look, tasks, processes=processes)) as results:
        samples = iter(list(reported(results, progress, sum(pack.samples.values()))))
    planes = {}
    for name, rows in splits.items():
        own = list(islice(samples, len(rows)))
        planes[name] = Planes(
            rows.table,
            np.stack([digests for digests, _ in own]),
            np.stack([uniform for _, uniform in own]),
            rows.present,
        )
    return planes


_Looked = tuple[NDArray[np.uint64], NDArray[np.bool_]]


def _look(task: _Task) -> list[_Looked]:
    pixels = task.pack.image_size**2
    cubes = task.pack.cubes(task.split)
    return [
        look_at(np.asarray(cubes[row]).reshape(N_PLANES, pixels), has)
        for row, has in enumerate(task.present, start=task.row)
    ]


def look_at(planes: NDArray[np.uint8], present: Present) -> _Looked:
    """Digest one sample's images (40, pixels), those that are present (4, 10)."""
    digests = np.zeros(N_PLANES, dtype=np.uint64)
    uniform = np.zeros(N_PLANES, dtype=np.bool_)
    for k in np.flatnonzero(present):
        uniform[k] = (planes[k] == planes[k, 0]).all()
        if not uniform[k]:
            digests[k] = np.frombuffer(sha256(planes[k]).digest()[:8], np.uint64)[0]
    return digests.reshape(N_STEPS, N_CHANNELS), uniform.reshape(N_STEPS, N_CHANNELS)
