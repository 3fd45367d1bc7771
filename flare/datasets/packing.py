"""Make a pack: decode every image of a dataset once, on all cores, and write raw grey levels.

Built under another name beside its place and renamed when it is whole: an interrupted run leaves
nothing. The content fingerprint comes from the bytes that are decoded, so they are read once.
"""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd

from flare.datasets.digests import combine, digest, digest_of_files
from flare.datasets.fingerprint import available_splits, listing_fingerprint
from flare.datasets.packed import (
    FORMAT,
    Pack,
    fingerprint_of_pack,
    open_pack,
    row_bytes,
    row_digest,
)
from flare.datasets.pool import TASK_SAMPLES, Progress, map_in_order, reported
from flare.datasets.sample_images import read_files, sample_of_files
from flare.datasets.sdobenchmark import dataset_identity, find_table, read_table
from flare.errors import ConfigInvalid, DatasetInvalid, DatasetNotFound
from flare.sample import CHANNELS, IMAGE_SIZE, Present, reduce_cubes

#: So many rejected images are named in pack.json; all of them are counted.
MAX_NAMED = 1000

_SMALL = ("present.npy", "table.csv", "rows.csv")
_SPARE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class _Task:
    """Consecutive samples, and the first one's row in a file of cubes."""

    cubes: Path
    row: int
    image_size: int
    samples: tuple[tuple[Path, datetime], ...]


@dataclass(frozen=True)
class _Decoded:
    """What is left to know of a sample whose cube is written; ``row`` digests what was written."""

    present: Present
    digest: str
    row: str
    rejected: tuple[tuple[str, str], ...]


def ensure_pack(
    data_dir: Path,
    pack_dir: Path,
    *,
    image_size: int = 128,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Pack:
    """Open the pack of a dataset, after making it where there is none that fits.

    Parameters and errors are those of `pack`.
    """
    available_splits(data_dir)  # a mistyped folder must not be answered with another one's pack
    try:
        found = open_pack(pack_dir, source=data_dir)
    except (DatasetNotFound, DatasetInvalid):
        found = None
    if found is not None and found.image_size == image_size:
        return found
    return pack(data_dir, pack_dir, image_size=image_size, processes=processes, progress=progress)


def pack(
    data_dir: Path,
    dest: Path,
    *,
    image_size: int = 128,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Pack:
    """Decode a dataset, both splits or the one that is there, into a pack.

    Parameters
    ----------
    data_dir
        A dataset in SDOBenchmark's layout.
    dest
        Folder of the pack. A pack that lies there already is replaced once the new one is whole.
    image_size
        Pixels of an edge after averaging; a divisor of 256.
    processes
        How many decode; by default one per core, fewer for a small dataset.

    Raises
    ------
    DatasetNotFound
        There is no dataset, or none of the images that its table lists.
    DatasetInvalid
        A table cannot be trusted, no image can be used, the disk is too small, or ``dest`` holds
        something else.
    """
    if image_size < 1 or IMAGE_SIZE % image_size:
        raise ConfigInvalid(f"image_size {image_size} does not divide {IMAGE_SIZE}; take 64 or 128")
    tables = {split: read_table(data_dir, split) for split in available_splits(data_dir)}
    _check_source(data_dir, tables)
    _check_destination(dest, sum(map(len, tables.values())) * row_bytes(image_size))
    listing = listing_fingerprint(data_dir)  # first, so that a change while reading is noticed
    building = dest.absolute().with_name(f".{dest.name}.{uuid4().hex[:8]}.partial")
    try:
        building.mkdir(parents=True)
        tasks = _plan(tables, building, image_size)
        with closing(map_in_order(_decode, tasks, processes=processes)) as results:
            decoded = list(reported(results, progress, sum(map(len, tables.values()))))
        described = _describe(
            data_dir, building, tables, decoded, image_size=image_size, listing=listing
        )
        _put_in_place(building, dest)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return replace(described, folder=dest)


def _check_source(data_dir: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Raise DatasetNotFound for a split without a single folder of images."""
    for split, table in tables.items():
        if not any(folder.is_dir() for folder in table["folder"]):
            raise DatasetNotFound(
                f"{find_table(data_dir, split)} lists {len(table)} samples, but no folder of "
                f"images is there, such as {table['folder'][0]}; copy them beside the table"
            )


def _check_destination(dest: Path, n_bytes: int) -> None:
    """Raise DatasetInvalid where a pack would overwrite something else, or not fit."""
    if dest.exists() and not (dest / "pack.json").is_file() and any(dest.iterdir()):
        raise DatasetInvalid(f"{dest} holds something other than a pack; choose another pack_dir")
    existing = next(folder for folder in dest.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(existing).free
    if free < n_bytes + _SPARE_BYTES:
        raise DatasetInvalid(
            f"the pack takes {n_bytes / 1e9:.2f} GB and {existing} has {free / 1e9:.2f} GB free; "
            "make room, choose another pack_dir, or halve image_size"
        )


def _plan(tables: dict[str, pd.DataFrame], building: Path, image_size: int) -> list[_Task]:
    """Create the files of cubes, and cut the work into tasks in the order of the tables."""
    tasks = []
    for split, table in tables.items():
        cubes = building / split / "cubes.u8"
        cubes.parent.mkdir()
        with cubes.open("wb") as file:
            file.truncate(len(table) * row_bytes(image_size))
        samples = list(zip(table["folder"], table["start"], strict=True))
        for row in range(0, len(samples), TASK_SAMPLES):
            chunk = tuple(samples[row : row + TASK_SAMPLES])
            tasks.append(_Task(cubes, row, image_size, chunk))
    return tasks


def _decode(task: _Task) -> list[_Decoded]:
    """Decode the samples of a task into their rows of the file."""
    decoded = []
    with task.cubes.open("r+b") as file:
        file.seek(task.row * row_bytes(task.image_size))
        for folder, start in task.samples:
            files = read_files(folder)
            sample = sample_of_files(files, start)
            cube = reduce_cubes(sample.cube, task.image_size)
            file.write(cube.tobytes())
            row = row_digest(cube, sample.present)
            decoded.append(_Decoded(sample.present, digest_of_files(files), row, sample.rejected))
    return decoded


def _describe(
    data_dir: Path,
    building: Path,
    tables: dict[str, pd.DataFrame],
    decoded: Sequence[_Decoded],
    *,
    image_size: int,
    listing: str,
) -> Pack:
    """Write everything but the cubes, ``pack.json`` last."""
    identity = dataset_identity(data_dir)
    source: dict[str, str] = {}  # digests of tables and samples, by name
    contents: dict[str, str] = {}  # one digest of them, by split
    packed: dict[str, str] = {}  # digests of what was written, by sample
    missing = np.zeros(len(CHANNELS), dtype=np.int64)
    rejected: list[tuple[str, str, str, str]] = []
    remaining = iter(decoded)
    for split, table in tables.items():
        samples = dict(zip(table["id"], remaining, strict=False))  # takes len(table) of them
        own = {f"{split}.csv": digest(find_table(data_dir, split).read_bytes())}
        own |= {f"{split}/{key}": sample.digest for key, sample in samples.items()}
        contents[split] = combine(own)
        source |= own
        packed |= {f"{split}/{key}": sample.row for key, sample in samples.items()}
        rejected += [(split, key, *entry) for key in samples for entry in samples[key].rejected]
        present = np.stack([sample.present for sample in samples.values()])
        _require_images(data_dir / split, present, rejected)
        missing += (~present).sum(axis=(0, 1))
        _write_small(building / split, table, samples, present)
    fingerprint = combine(source)
    small = [f"{split}/{name}" for split in tables for name in _SMALL]
    described = Pack(
        folder=building,
        name=identity.name,
        synthetic=identity.synthetic,
        synthetic_seed=identity.seed,
        image_size=image_size,
        fingerprint=fingerprint,
        contents=contents,
        listing_fingerprint=listing,
        pack_fingerprint=fingerprint_of_pack(
            packed, image_size=image_size, dataset_fingerprint=fingerprint
        ),
        samples={split: len(table) for split, table in tables.items()},
        missing=dict(zip(CHANNELS, missing.tolist(), strict=True)),
        rejected_counts=dict(Counter(reason for *_, reason in rejected)),
        rejected=tuple(rejected[:MAX_NAMED]),
        digests={name: digest((building / name).read_bytes()) for name in small},
    )
    content = {"format": FORMAT, **asdict(described)}
    del content["folder"]
    (building / "pack.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    return described


def _write_small(
    folder: Path, table: pd.DataFrame, samples: Mapping[str, _Decoded], present: Present
) -> None:
    """Write a split's files of ``_SMALL``."""
    np.save(folder / "present.npy", present)
    table.drop(columns="folder").to_csv(folder / "table.csv", index=False)
    rows = [(key, sample.digest, sample.row) for key, sample in samples.items()]
    pd.DataFrame(rows, columns=["id", "images", "packed"]).to_csv(folder / "rows.csv", index=False)


def _require_images(
    folder: Path, present: Present, rejected: Sequence[tuple[str, str, str, str]]
) -> None:
    """Raise DatasetInvalid for a split that has not one usable image."""
    if not present.any():
        reasons = Counter(reason for *_, reason in rejected).most_common(1)
        why = f"; most are rejected as {reasons[0][0]!r}" if reasons else ""
        raise DatasetInvalid(
            f"no image in {folder} can be used{why}; they are to be {IMAGE_SIZE} x {IMAGE_SIZE} "
            "grey JPEGs named as 2012-01-15T000000__131.jpg, within 12 h from the sample's start"
        )


def _put_in_place(building: Path, dest: Path) -> None:
    """Rename a finished pack to its place, and delete the one that it replaces."""
    if dest.exists():
        stale = building.with_suffix(".stale")
        dest.rename(stale)
        building.rename(dest)
        shutil.rmtree(stale)
    else:
        building.rename(dest)
