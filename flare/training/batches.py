"""Batches of packed samples: the rows of each batch, read ahead by a thread or cached on a GPU.

The seed alone decides which rows come in which order; nothing here depends on how fast the disk,
the bus or the network are.
"""

import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare.errors import ConfigInvalid
from flare.goes import event_outcomes
from flare.sample import Cube, Present
from flare.seeding import Stream, stream
from flare.training.sampling import Sampler

log = logging.getLogger("flare")

Rows = NDArray[np.intp]

_AHEAD = 2  # parts read ahead: one slow read does not stop the network

#: Share of a GPU's free memory that images may take; the network needs the rest.
SHARE_OF_FREE_MEMORY = 0.6

_UPLOADED = 64  # samples copied to a GPU at once: 168 MB at 256 pixels


def read_ahead(cubes: Cube, parts: Sequence[Rows], *, pinned: bool = False) -> Generator[Tensor]:
    """Yield uint8 (n, T, C, H, W) for each part; it is overwritten after the next one.

    ``cubes`` are uint8 (N, T, C, H, W), in memory or mapped, ``parts`` the rows of each part. From
    ``pinned``, page-locked buffers a GPU copies faster.
    """
    plain = np.asarray(cubes)  # rows of a memmap are memmaps, which takes longer
    shape = (max((len(part) for part in parts), default=0), *cubes.shape[1:])
    buffers = [
        torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        for _ in range(min(_AHEAD + 1, len(parts)))
    ]

    def read(number: int) -> Tensor:
        out = buffers[number % len(buffers)][: len(parts[number])]
        for place, row in zip(out.numpy(), parts[number], strict=True):
            place[...] = plain[row]
        return out

    # One thread keeps the order; it copies while the network computes.
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
        ahead = deque(reader.submit(read, number) for number in range(min(_AHEAD, len(parts))))
        for number in range(len(parts)):
            out = ahead.popleft().result()
            if number + _AHEAD < len(parts):
                # Into the buffer of the previous part, which nothing uses any more.
                ahead.append(reader.submit(read, number + _AHEAD))
            yield out


def in_pieces(rows: Rows, size: int) -> list[Rows]:
    """Split rows into pieces of ``size``; the last one may be shorter."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


@dataclass(frozen=True)
class DeviceCubes:
    """Some rows of a set in a device's memory: uint8 (n, T, C, H, W).

    ``places`` (N,) is the place of each row of the set, -1 for a row that is not there.
    """

    cubes: Tensor
    places: NDArray[np.intp]

    def gather(self, rows: Rows) -> Tensor:
        """Return a new (len(rows), T, C, H, W) on the device."""
        places = torch.from_numpy(self.places[rows]).to(self.cubes.device)
        return self.cubes.index_select(0, places)


def upload(cubes: Cube, rows: Rows, device: torch.device) -> DeviceCubes:
    """Copy rows to a device, each distinct row once."""
    wanted = np.unique(rows)
    places = np.full(cubes.shape[0], -1, dtype=np.intp)
    places[wanted] = np.arange(len(wanted))
    there = torch.empty((len(wanted), *cubes.shape[1:]), dtype=torch.uint8, device=device)
    done = 0
    for piece in read_ahead(cubes, in_pieces(wanted, _UPLOADED), pinned=device.type == "cuda"):
        there[done : done + len(piece)].copy_(piece)
        done += len(piece)
    return DeviceCubes(there, places)


@dataclass(frozen=True)
class Batch:
    """B samples: uint8 cubes (B, T, C, H, W), mask (B, T, C), log10 flux (B,), events (B, E).

    ``rows`` are their numbers in the set; ``features`` are (B, D), standardised, for networks that
    get them. The cubes are overwritten after the next batch.
    """

    cubes: Tensor
    present: Tensor
    log10_flux: Tensor
    events: Tensor
    rows: Rows
    features: Tensor | None = None

    @property
    def extra_inputs(self) -> tuple[Tensor, ...]:
        """Inputs of the network after images and mask: the features, if there are any."""
        return () if self.features is None else (self.features,)

    def to(self, move: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with its tensors moved."""
        return Batch(
            move(self.cubes),
            move(self.present),
            move(self.log10_flux),
            move(self.events),
            self.rows,
            None if self.features is None else move(self.features),
        )


@dataclass(frozen=True)
class Batches:
    """The rows of a split in batches.

    ``cubes`` and ``present`` are the packed arrays, ``peak_flux`` the labels in W m^-2, ``ids`` the
    samples' names if there are any, ``features`` the standardised features if the network gets
    them, float32 (N, D), all of N rows; ``rows`` are those to use. Without a ``sampler`` each of
    them comes once an epoch. ``batch_size`` is that of one process.
    """

    cubes: Cube | DeviceCubes
    present: Present
    peak_flux: NDArray[np.float64]
    rows: Rows
    batch_size: int
    seed: int = 0
    sampler: Sampler | None = None
    ids: Sequence[str] | None = None
    features: NDArray[np.float32] | None = None

    def plan(self, epoch: int, *, processes: int = 1) -> list[Rows]:
        """Return the rows of each batch of an epoch, of all processes together.

        A last batch of fewer rows than processes, or of a single row, which batch normalisation
        cannot learn from, is left out; other epochs leave out other rows.

        Raises ConfigInvalid: there are more processes than rows.
        """
        batches = in_pieces(self._order(epoch), self.batch_size * processes)
        if len(batches) > 1 and len(batches[-1]) < max(2, processes):
            batches.pop()
        if len(batches[-1]) < processes:
            raise ConfigInvalid(
                f"{len(batches[-1])} samples cannot be divided among {processes} processes; "
                "train with fewer devices"
            )
        return batches

    def _order(self, epoch: int) -> Rows:
        rng = stream(self.seed, Stream.SHUFFLE, epoch)
        return rng.permutation(self.rows) if self.sampler is None else self.sampler(rng)

    def shuffled(self, epoch: int) -> Generator[Batch]:
        """Yield the batches of an epoch."""
        return self.read(self.plan(epoch))

    def read(self, parts: Sequence[Rows], *, pinned: bool = False) -> Generator[Batch]:
        """Yield a batch for each part, read ahead, or gathered from the device's memory."""
        if isinstance(self.cubes, DeviceCubes):
            for part in parts:
                yield self._batch(part, self.cubes.gather(part))
            return
        with closing(read_ahead(self.cubes, parts, pinned=pinned)) as reading:
            for part, cubes in zip(parts, reading, strict=True):
                yield self._batch(part, cubes)

    @cached_property
    def _labels(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Log10 flux (N,) and events (N, E) of all rows."""
        flux = np.log10(self.peak_flux).astype(np.float32)
        return flux, event_outcomes(self.peak_flux).astype(np.float32)

    def _batch(self, rows: Rows, cubes: Tensor) -> Batch:
        log10_flux, events = self._labels
        return Batch(
            cubes,
            torch.from_numpy(self.present[rows]),
            torch.from_numpy(log10_flux[rows]),
            torch.from_numpy(events[rows]),
            rows,
            None if self.features is None else torch.from_numpy(self.features[rows]),
        )

    def cache_on_device(self, device: torch.device) -> "Batches":
        """Return the same batches with the images in a GPU's memory, if there is enough of it.

        A GPU computes an epoch faster than disk and bus deliver the images, which take 2.6 MB a
        sample at 256 pixels.
        """
        if isinstance(self.cubes, DeviceCubes) or device.type != "cuda":
            return self
        free, _ = torch.cuda.mem_get_info(device)
        size = len(np.unique(self.rows)) * int(np.prod(self.cubes.shape[1:]))
        if size > SHARE_OF_FREE_MEMORY * free:
            text = "reading images from disk: they take %.1f GB, and the GPU has %.1f GB free"
            log.info(text, size / 1e9, free / 1e9)
            return self
        log.info("copying %.1f GB of images into the GPU's memory", size / 1e9)
        return replace(self, cubes=upload(self.cubes, self.rows, device))

    def names_of(self, rows: Rows) -> str:
        """Name samples in a message: by their ids, or by their rows."""
        names = [str(row) if self.ids is None else self.ids[row] for row in rows]
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        return f"{'rows' if self.ids is None else 'samples'} {', '.join(names[:8])}{more}"


def part_of(rows: Rows, rank: int, processes: int) -> slice:
    """Return the part of a whole batch of one process; sizes differ by one at most."""
    begin, more = divmod(len(rows), processes)
    start = rank * begin + min(rank, more)
    return slice(start, start + begin + (rank < more))
