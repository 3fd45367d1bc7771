"""Decode the images of many samples, batch by batch, while earlier batches are used.

Nothing here needs pandas, so that worker processes start fast.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from flare.cores import usable_cores
from flare.datasets.sdobenchmark.sample_images import infer_start, read_images
from flare.files import digest_of_images
from flare.parallel import map_in_order
from flare.sample import INPUT_WINDOW_HOURS, Cube, Present, reduce_cubes

#: So many batches of 16 are worth starting processes for, which takes seconds on a busy machine.
_BATCHES_WORTH_PROCESSES = 32

#: Processes that are started at most, and decoded batches that may wait in addition to one for each
#: of them: at 256 pixels a batch takes 42 MB, and the forecaster is soon the slower part.
_MOST_PROCESSES, _WAITING = 8, 2

#: A folder of images, and when its window begins; None to find out from the images' times.
Source = tuple[Path, datetime | None]


@dataclass(frozen=True)
class SampleBatch:
    """Decoded samples, in order.

    ``cubes`` is uint8 (n, 4, 10, S, S), ``present`` bool (n, 4, 10); ``ends`` of their input
    windows are UTC without a zone; ``digests`` are those of their image files; ``rejected`` names
    the files that could not be used, with reasons.
    """

    cubes: Cube
    present: Present
    ends: tuple[datetime, ...]
    digests: tuple[str, ...]
    rejected: tuple[tuple[tuple[str, str], ...], ...]


def decode_batches(
    batches: Sequence[Sequence[Source]], *, image_size: int, processes: int | None = None
) -> Generator[SampleBatch]:
    """Yield the batches decoded, in their order, while the next ones are being decoded.

    Processes decode, because threads hold the interpreter's lock for most of that time
    (`benchmarks/prediction.py`). Close the generator to stop them before the end.

    ``processes`` is by default one per core up to eight, or 1, this one, for few batches.
    """
    if processes is None:
        enough = len(batches) >= _BATCHES_WORTH_PROCESSES
        processes = min(usable_cores(), _MOST_PROCESSES) if enough else 1
    decode = partial(decode_batch, image_size=image_size)
    return map_in_order(decode, batches, processes=processes, at_once=processes + _WAITING)


def decode_batch(batch: Iterable[Source], image_size: int) -> SampleBatch:
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
    return SampleBatch(
        np.stack(cubes), np.stack(present), tuple(ends), tuple(digests), tuple(rejected)
    )
