"""Which samples make up which batch, and the batches as tensors."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare.errors import ConfigInvalid
from flare.goes import event_outcomes
from flare.sample import Cube, Present
from flare.seeding import Stream, stream
from flare.training.reader import Rows, in_pieces, read_ahead
from flare.training.resident import ResidentCubes, upload_if_room
from flare.training.sampling import Sampler


def _no_rows() -> Rows:
    return np.empty(0, dtype=np.intp)


def _no_features() -> Tensor:
    return torch.empty(0, 0)


@dataclass(frozen=True)
class Batch:
    """B samples: uint8 cubes (B, T, C, H, W), mask (B, T, C), log10 flux (B,), events (B, E).

    ``features`` are (B, D), standardised; D is 0 where networks get none. ``rows`` are their
    numbers in the set. The cubes hold until the next batch is asked for.
    """

    cubes: Tensor
    present: Tensor
    log10_flux: Tensor
    events: Tensor
    rows: Rows = field(default_factory=_no_rows)
    features: Tensor = field(default_factory=_no_features)

    @property
    def extra(self) -> tuple[Tensor, ...]:
        """What networks are given besides images and mask: the features, if there are any."""
        return (self.features,) if self.features.shape[1] else ()

    def to(self, move: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with its tensors moved."""
        return Batch(
            move(self.cubes),
            move(self.present),
            move(self.log10_flux),
            move(self.events),
            self.rows,
            move(self.features),
        )


@dataclass(frozen=True)
class Batches:
    """The rows of a split in batches; which rows, in which order, is decided by the seed alone.

    ``cubes`` and ``present`` are the packed arrays, ``peak_flux`` the labels in W m^-2, ``ids`` the
    samples' names if there are any, ``features`` their standardised features if networks get them,
    float32 (N, D), all of N rows; ``rows`` are those to use. Without a ``sampler``
    each of them comes once an epoch. ``batch_size`` is that of one process.
    """

    cubes: Cube | ResidentCubes
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

        Too few rows at the end to give each process one, or a single one, which batch normalisation
        cannot learn from, are left out; other epochs have other ones there.

        Raises
        ------
        ConfigInvalid
            There are more processes than rows.
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
        draws = stream(self.seed, Stream.SHUFFLE, epoch)
        return draws.permutation(self.rows) if self.sampler is None else self.sampler(draws)

    def shuffled(self, epoch: int) -> Generator[Batch]:
        """Yield the batches of an epoch."""
        return self.read(self.plan(epoch))

    def in_order(self) -> Generator[Batch]:
        """Yield the rows as they stand."""
        return self.read(in_pieces(self.rows, self.batch_size))

    def read(self, parts: Sequence[Rows], *, pinned: bool = False) -> Generator[Batch]:
        """Yield a batch for each part, read ahead, or gathered where the cubes lie on a device."""
        if isinstance(self.cubes, ResidentCubes):
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
            torch.empty(len(rows), 0)
            if self.features is None
            else torch.from_numpy(self.features[rows]),
        )

    def where_it_pays(self, device: torch.device) -> "Batches":
        """Return the same batches with the images in the device's memory, if it has room."""
        if isinstance(self.cubes, ResidentCubes):
            return self
        resident = upload_if_room(self.cubes, self.rows, device)
        return self if resident is None else replace(self, cubes=resident)

    def named(self, rows: Rows) -> str:
        """Name samples in a message: by their ids, or by their rows."""
        names = [str(row) if self.ids is None else self.ids[row] for row in rows]
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        return f"{'rows' if self.ids is None else 'samples'} {', '.join(names[:8])}{more}"


def part_of(rows: Rows, rank: int, processes: int) -> slice:
    """Return which rows of a whole batch are one process' part; parts differ by one at most."""
    begin, more = divmod(len(rows), processes)
    start = rank * begin + min(rank, more)
    return slice(start, start + begin + (rank < more))
