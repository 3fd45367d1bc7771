"""Make a pack: read and decode every image of a dataset once, on all cores.

Built in a hidden folder beside its place and renamed when it is whole. An interrupted run is gone
on with (``unfinished_pack``); the result is the same byte by byte. The content fingerprint comes
from the bytes that are decoded, so they are read once.
"""

import errno
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from flare.datasets.pack.decoding import Task, decode
from flare.datasets.pack.description import describe
from flare.datasets.pack.journal import Recorder, read_journal
from flare.datasets.pack.reader import FORMAT, Pack, open_pack
from flare.datasets.pack.space import bulk_bytes, check_destination
from flare.datasets.pack.storage import BULK, Storage, row_bytes
from flare.datasets.pack.unfinished import take_up, unfinished_pack
from flare.datasets.sdobenchmark.fingerprint import available_splits, listing
from flare.datasets.sdobenchmark.labels import find_table, read_table
from flare.errors import (
    ConfigInvalid,
    DatasetInvalid,
    DatasetNotFound,
    DiskTooSmall,
)
from flare.files import combine_digests
from flare.parallel import TASK_SAMPLES, Progress, map_in_order
from flare.sample import IMAGE_SIZE

log = logging.getLogger("flare")

_INSTEAD = {
    "raw": "halve image_size, or take storage=jpeg, which keeps the images as they are",
    "jpeg": "or take storage=raw with a small image_size",
}


@dataclass(frozen=True)
class _Work:
    """What is to be packed, and how."""

    tables: dict[str, pd.DataFrame]
    storage: Storage
    image_size: int

    @property
    def names(self) -> dict[str, list[str]]:
        """``split/id`` of every sample, by split."""
        return {
            split: [f"{split}/{key}" for key in table["id"]] for split, table in self.tables.items()
        }

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))


def ensure_pack(
    data_dir: Path,
    pack_dir: Path,
    *,
    image_size: int = 128,
    storage: Storage = "raw",
    processes: int | None = None,
    progress: Progress | None = None,
) -> Pack:
    """Open the pack of a dataset, after making it where there is none that fits.

    Parameters and errors are those of `pack`.
    """
    available_splits(data_dir)  # a mistyped folder must not be answered with another one's pack
    try:
        found = open_pack(pack_dir, source=data_dir, image_size=image_size)
    except (DatasetNotFound, DatasetInvalid):
        found = None
    if found is not None and (found.storage, found.image_size) == (storage, image_size):
        return found
    return pack(
        data_dir,
        pack_dir,
        image_size=image_size,
        storage=storage,
        processes=processes,
        progress=progress,
    )


def pack(
    data_dir: Path,
    dest: Path,
    *,
    image_size: int = 128,
    storage: Storage = "raw",
    processes: int | None = None,
    progress: Progress | None = None,
) -> Pack:
    """Pack a dataset, both splits or the one that is there, or go on where that was interrupted.

    Parameters
    ----------
    data_dir
        A dataset in SDOBenchmark's layout.
    dest
        Folder of the pack. A pack that lies there already is replaced once the new one is whole.
    image_size
        Pixels of an edge after averaging; a divisor of 256.
    storage
        ``raw`` grey levels, or the ``jpeg`` images as they came, which are averaged when read.
    processes
        How many decode; by default one per core, fewer for a small dataset.

    Raises
    ------
    DatasetNotFound
        There is no dataset, or none of the images that its table lists.
    DatasetInvalid
        A table cannot be trusted, no image can be used, ``dest`` holds something else, or another
        process is packing to it.
    DiskTooSmall
        The disk is too small.
    """
    if image_size < 1 or IMAGE_SIZE % image_size:
        raise ConfigInvalid(f"image_size {image_size} does not divide {IMAGE_SIZE}; take 64 or 128")
    stored_size = image_size if storage == "raw" else IMAGE_SIZE
    tables = {split: read_table(data_dir, split) for split in available_splits(data_dir)}
    work = _Work(tables, storage, stored_size)
    _check_source(data_dir, tables)
    files = listing(data_dir)  # first, so that a change while reading is noticed
    n_bytes = bulk_bytes(files, len(work), storage=storage, image_size=stored_size)
    check_destination(dest, n_bytes, instead=_INSTEAD[storage])
    about = {
        "format": FORMAT,
        "storage": storage,
        "image_size": stored_size,
        "listing": combine_digests(files),
    }
    del files  # a hundred bytes for each image, while workers run
    with unfinished_pack(dest, about) as workshop, _full_disk_named(dest):
        _store(work, workshop, processes, progress)
        made = describe(
            data_dir,
            workshop,
            tables,
            storage=storage,
            image_size=stored_size,
            listing_fingerprint=str(about["listing"]),
        )
        _put_in_place(workshop, dest)
    return replace(made, folder=dest, image_size=image_size)


def _check_source(data_dir: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Raise DatasetNotFound for a split without a single folder of images."""
    for split, table in tables.items():
        if not any(folder.is_dir() for folder in table["folder"]):
            raise DatasetNotFound(
                f"{find_table(data_dir, split)} lists {len(table)} samples, but no folder of "
                f"images is there, such as {table['folder'][0]}; copy them beside the table"
            )


def _store(work: _Work, workshop: Path, processes: int | None, progress: Progress | None) -> None:
    """Store every sample that is not yet stored, in their order."""
    done = take_up(workshop, work.names, storage=work.storage, image_size=work.image_size)
    if done:
        log.info("%d of %d samples were packed already, before an interruption", done, len(work))
    files = _make_files(work, workshop)
    if progress is not None:
        progress(done, len(work))
    tasks = _plan(work, files, done)
    with (
        Recorder(workshop, files, append=work.storage == "jpeg") as recorder,
        closing(map_in_order(decode, tasks, processes=processes)) as results,
    ):
        for result in results:
            for stored in result:
                recorder.add(stored)
            done += len(result)
            if progress is not None:
                progress(done, len(work))


def _make_files(work: _Work, workshop: Path) -> dict[str, Path]:
    """Give every split its large file: grey levels in its whole length, images as far as known."""
    known = dict.fromkeys(work.tables, 0)
    for stored in read_journal(workshop):
        if stored.lengths is not None:
            known[stored.name.split("/", 1)[0]] += int(stored.lengths.sum())
    files = {split: workshop / "set" / split / BULK[work.storage] for split in work.tables}
    for split, path in files.items():
        path.parent.mkdir(exist_ok=True)
        raw = len(work.tables[split]) * row_bytes(work.image_size)
        with path.open("ab") as file:
            file.truncate(raw if work.storage == "raw" else known[split])
    return files


def _plan(work: _Work, files: dict[str, Path], done: int) -> list[Task]:
    """Cut the samples after the first ``done`` into tasks, in the order of the tables."""
    tasks = []
    for split, table in work.tables.items():
        # Python's own times: those of pandas would make every worker import it.
        starts = [start.to_pydatetime() for start in table["start"].dt.floor("us")]
        samples = list(zip(work.names[split], map(str, table["folder"]), starts, strict=True))
        cubes = files[split] if work.storage == "raw" else None
        for row in range(min(done, len(table)), len(table), TASK_SAMPLES):
            chunk = tuple(samples[row : row + TASK_SAMPLES])
            tasks.append(Task(chunk, work.image_size, cubes, row))
        done -= min(done, len(table))
    return tasks


@contextmanager
def _full_disk_named(dest: Path) -> Iterator[None]:
    """Raise DiskTooSmall where the disk fills up on the way; what is stored is kept."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskTooSmall(
            f"the disk of {dest} is full; make room, and the same command goes on where it was"
        ) from error


def _put_in_place(workshop: Path, dest: Path) -> None:
    """Rename a finished pack to its place; the one that it replaces is deleted after that."""
    stale = workshop / "stale"
    shutil.rmtree(stale, ignore_errors=True)
    for path in (workshop / "set").rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if dest.exists():
        dest.rename(stale)
    (workshop / "set").rename(dest)
