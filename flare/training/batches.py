"""Rows of a packed set as batches of tensors, read one batch ahead of the network."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare.goes import event_outcomes
from flare.sample import MAGNETOGRAM, Cube, Present
from flare.seeding import Stream, stream


@dataclass(frozen=True)
class Batch:
    """B samples: uint8 cubes (B, T, C, H, W), mask (B, T, C), log10 flux (B,), events (B, E)."""

    cubes: Tensor
    present: Tensor
    log10_flux: Tensor
    events: Tensor


@dataclass(frozen=True)
class Batches:
    """The rows of a split in batches; which rows, in which order, is decided by the seed alone.

    ``cubes`` and ``present`` are the packed arrays, ``peak_flux`` the labels in W m^-2, all of N
    rows; ``rows`` are those to use. ``mirror`` flips images at random, as the Sun's symmetry
    allows: east-west as they are, north-south with the magnetogram's polarity reversed (Hale).
    """

    cubes: Cube
    present: Present
    peak_flux: NDArray[np.float64]
    rows: NDArray[np.intp]
    batch_size: int
    seed: int = 0
    mirror: bool = False

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def in_order(self) -> Iterator[Batch]:
        """Yield the rows as they stand, unchanged."""
        return self._read([self._rows(self.rows, k) for k in range(len(self))], None)

    def shuffled(self, epoch: int) -> Iterator[Batch]:
        """Yield the rows in the order of an epoch, mirrored if asked for."""
        order = stream(self.seed, Stream.SHUFFLE, epoch).permutation(self.rows)
        chunks = [self._rows(order, k) for k in range(len(self))]
        if len(chunks) > 1 and len(chunks[-1]) == 1:
            chunks.pop()  # batch normalisation cannot learn from a single sample
        return self._read(chunks, stream(self.seed, Stream.AUGMENT, epoch) if self.mirror else None)

    def _rows(self, order: NDArray[np.intp], k: int) -> NDArray[np.intp]:
        return order[k * self.batch_size : (k + 1) * self.batch_size]

    def _read(
        self, chunks: list[NDArray[np.intp]], mirrors: np.random.Generator | None
    ) -> Iterator[Batch]:
        # One thread is enough: it copies while the network computes, and keeps the order.
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as reader:
            ahead = [reader.submit(self._batch, chunk, mirrors) for chunk in chunks[:2]]
            for chunk in chunks[2:] + [None] * min(2, len(chunks)):
                batch = ahead.pop(0).result()
                if chunk is not None:
                    ahead.append(reader.submit(self._batch, chunk, mirrors))
                yield batch

    def _batch(self, rows: NDArray[np.intp], mirrors: np.random.Generator | None) -> Batch:
        cubes = self.cubes[rows]
        if mirrors is not None:
            for cube, (east_west, north_south) in zip(
                cubes, mirrors.random((len(rows), 2)) < 0.5, strict=True
            ):
                mirror(cube, east_west=east_west, north_south=north_south)
        flux = self.peak_flux[rows]
        return Batch(
            torch.from_numpy(np.ascontiguousarray(cubes)),
            torch.from_numpy(np.ascontiguousarray(self.present[rows])),
            torch.from_numpy(np.log10(flux).astype(np.float32)),
            torch.from_numpy(event_outcomes(flux).astype(np.float32)),
        )


def mirror(cube: Cube, *, east_west: bool, north_south: bool) -> None:
    """Flip a cube (T, C, H, W) in place; a north-south flip also reverses the polarities."""
    if east_west:
        cube[...] = cube[..., ::-1].copy()
    if north_south:
        cube[...] = cube[..., ::-1, :].copy()
        cube[:, MAGNETOGRAM] = 255 - cube[:, MAGNETOGRAM]
