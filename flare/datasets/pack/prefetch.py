"""Read and decode samples ahead of whoever uses them, batch by batch, in bounded memory.

Decoding forty JPEGs holds the interpreter's lock for most of its time, so threads gain nothing
(`benchmarks/prediction.py`) and processes do it; a few samples are read where they are needed.
"""

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np

from flare.cores import usable_cores
from flare.datasets.sdobenchmark.sample_images import infer_start, read_images
from flare.files import digest_of_images
from flare.parallel import worker_pool
from flare.sample import INPUT_WINDOW_HOURS, Cube, Present, reduce_cubes

#: So many batches of 16 are worth starting processes for, which takes seconds on a busy machine.
_BATCHES_WORTH_PROCESSES = 32

#: Processes that are started at most, and batches that may wait beside one for each of them: at
#: 256 pixels a batch takes 42 MB, and soon it is the forecaster that is waited for.
_MOST_PROCESSES, _WAITING = 8, 2

#: A folder of images, and when its window begins; None to find out from the images' times.
Source = tuple[Path, datetime | None]


@dataclass(frozen=True)
class ReadBatch:
    """Samples of one batch, in their order.

    ``cubes`` is uint8 (n, 4, 10, S, S), ``present`` bool (n, 4, 10); ``ends`` of their input
    windows are UTC without a zone; ``digests`` are those of their image files; ``rejected`` names
    the files that could not be used, with reasons.
    """

    cubes: Cube
    present: Present
    ends: tuple[datetime, ...]
    digests: tuple[str, ...]
    rejected: tuple[tuple[tuple[str, str], ...], ...]


def read_ahead(
    batches: Sequence[Sequence[Source]], *, image_size: int, processes: int | None = None
) -> Generator[ReadBatch]:
    """Yield the batches decoded, in their order, while the next ones are read.

    Close the generator, as ``contextlib.closing`` does, to stop its processes before the end.

    Parameters
    ----------
    image_size
        Pixels of an edge that images of 256 are averaged down to.
    processes
        How many decode; by default one per core up to eight, none for a few batches. With 1 all
        happens here.
    """
    if processes is None:
        enough = len(batches) >= _BATCHES_WORTH_PROCESSES
        processes = min(usable_cores(), _MOST_PROCESSES) if enough else 1
    if processes <= 1:
        yield from (read_batch(batch, image_size) for batch in batches)
        return
    with worker_pool(processes) as pool:
        yield from _in_order(pool, batches, image_size, at_once=processes + _WAITING)


def read_batch(batch: Iterable[Source], image_size: int) -> ReadBatch:
    """Read and decode the samples of one batch."""
    cubes, present, ends, digests, rejected = [], [], [], [], []
    for folder, known in batch:
        start = known if known is not None else infer_start(folder)
        sample, files = read_images(folder, start)
        cubes.append(reduce_cubes(sample.cube, image_size))
        present.append(sample.present)
        ends.append(start + timedelta(hours=INPUT_WINDOW_HOURS))
        digests.append(digest_of_images(files))
        rejected.append(sample.rejected)
    return ReadBatch(
        np.stack(cubes), np.stack(present), tuple(ends), tuple(digests), tuple(rejected)
    )


def _in_order(
    pool: ProcessPoolExecutor,
    batches: Iterable[Sequence[Source]],
    image_size: int,
    *,
    at_once: int,
) -> Generator[ReadBatch]:
    """Keep so many batches in the pool; `Executor.map` would take all of them into memory."""
    waiting = iter(batches)
    running: deque[Future[ReadBatch]] = deque()
    for batch in islice(waiting, at_once):
        running.append(pool.submit(read_batch, batch, image_size))
    while running:
        done = running.popleft().result()
        for batch in islice(waiting, 1):
            running.append(pool.submit(read_batch, batch, image_size))
        yield done
