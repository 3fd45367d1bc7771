"""Make a pack: read and decode every image of a dataset once, on all cores.

It is made in a hidden folder next to its place and renamed when it is whole. The content
fingerprint comes from the bytes that are decoded, so they are read once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from flare.datasets.pack.decoding import PackedSample, Task, decode, row_bytes
from flare.datasets.pack.reader import (
    CUBES,
    DESCRIPTION,
    REJECTED,
    SUMS,
    Pack,
    fingerprint_of_pack,
    open_pack,
)
from flare.datasets.sdobenchmark.fingerprint import listing_fingerprint
from flare.datasets.sdobenchmark.labels import (
    available_splits,
    dataset_identity,
    find_table,
    read_table,
)
from flare.errors import ConfigInvalid, DatasetInvalid, DatasetNotFound
from flare.files import atomic_folder, combine_digests, digest, require_space, sync
from flare.parallel import TASK_SAMPLES, Progress, map_in_order, reported
from flare.sample import CHANNELS, IMAGE_SIZE

#: Files of a split besides its large one.
_SMALL_FILES = ("present.npy", "table.csv", "rows.csv", SUMS)


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
        existing = open_pack(pack_dir, source=data_dir)
        if existing.image_size == image_size:
            return existing
    except (DatasetNotFound, DatasetInvalid):
        pass
    return pack(data_dir, pack_dir, image_size=image_size, processes=processes, progress=progress)


def pack(
    data_dir: Path,
    dest: Path,
    *,
    image_size: int = 128,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Pack:
    """Pack a dataset, both splits or the one that is there.

    A pack in ``dest`` is replaced once the new one is whole. ``image_size``, pixels of an edge
    after averaging, divides 256.

    Raises
    ------
    DatasetNotFound
        There is no dataset, or no folder of images.
    DatasetInvalid
        A table cannot be trusted, no image can be used, or ``dest`` holds something else.
    DiskTooSmall
        The disk is too small.
    PlaceInUse
        Another process is packing to ``dest``.
    """
    if image_size < 1 or IMAGE_SIZE % image_size:
        raise ConfigInvalid(f"image_size {image_size} does not divide {IMAGE_SIZE}; take 64 or 128")
    tables = {split: read_table(data_dir, split) for split in available_splits(data_dir)}
    if dest.exists() and not (dest / DESCRIPTION).is_file() and any(dest.iterdir()):
        raise DatasetInvalid(f"{dest} holds something other than a pack; choose another pack_dir")
    _check_folders(data_dir, tables)
    n_bytes = sum(map(len, tables.values())) * row_bytes(image_size)
    require_space(dest, n_bytes, "the pack", instead="halve image_size, or choose another pack_dir")
    files = listing_fingerprint(data_dir)  # first, so that a change while reading is noticed
    with atomic_folder(dest) as folder:
        samples = _store(tables, folder, image_size, processes, progress)
        made = _describe(data_dir, folder, tables, samples, image_size=image_size, listing=files)
        for split in tables:
            sync(folder / split / CUBES)
    return replace(made, folder=dest)


def _check_folders(data_dir: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Raise DatasetNotFound for a split without a single folder of images."""
    for split, table in tables.items():
        if not any(folder.is_dir() for folder in table["folder"]):
            raise DatasetNotFound(
                f"{find_table(data_dir, split)} lists {len(table)} samples, but no folder of "
                f"images is there, such as {table['folder'][0]}; copy them next to the table"
            )


def _store(
    tables: Mapping[str, pd.DataFrame],
    folder: Path,
    image_size: int,
    processes: int | None,
    progress: Progress | None,
) -> dict[str, list[PackedSample]]:
    """Decode all samples into the large file of their split; return a record of each."""
    tasks = []
    for split, table in tables.items():
        (folder / split).mkdir()
        cubes = folder / split / CUBES
        with cubes.open("wb") as file:
            file.truncate(len(table) * row_bytes(image_size))
        # Python's own times: those of pandas would make every worker import it.
        starts = [start.to_pydatetime() for start in table["start"].dt.floor("us")]
        samples = tuple(zip(map(str, table["folder"]), starts, strict=True))
        tasks += [
            Task(samples[row : row + TASK_SAMPLES], image_size, cubes, row)
            for row in range(0, len(table), TASK_SAMPLES)
        ]
    total = sum(map(len, tables.values()))
    with closing(map_in_order(decode, tasks, processes=processes)) as results:
        packed = reported(results, progress, total)
        return {split: list(islice(packed, len(table))) for split, table in tables.items()}


def _describe(
    data_dir: Path,
    folder: Path,
    tables: Mapping[str, pd.DataFrame],
    samples: Mapping[str, Sequence[PackedSample]],
    *,
    image_size: int,
    listing: str,
) -> Pack:
    """Write everything but the large files, ``pack.json`` last.

    Raises DatasetInvalid: a split has not one image that can be used.
    """
    source: dict[str, dict[str, str]] = {}  # digests of a split's table and samples, by name
    packed: dict[str, str] = {}  # digests of the stored bytes, by sample
    for split, table in tables.items():
        own = samples[split]
        _require_images(data_dir / split, own)
        _write_small(folder / split, table, own)
        source[split] = {f"{split}.csv": digest(find_table(data_dir, split).read_bytes())}
        for key, sample in zip(table["id"], own, strict=True):
            source[split][f"{split}/{key}"] = sample.images
            packed[f"{split}/{key}"] = sample.packed
    rejected = _rejected_images(tables, samples)
    rejected.to_csv(folder / REJECTED, index=False)
    missing = np.sum([~sample.present for own in samples.values() for sample in own], axis=(0, 1))
    small = [REJECTED, *(f"{split}/{name}" for split in tables for name in _SMALL_FILES)]
    identity = dataset_identity(data_dir)
    described = Pack(
        folder=folder,
        name=identity.name,
        synthetic=identity.synthetic,
        synthetic_seed=identity.seed,
        image_size=image_size,
        fingerprint=combine_digests({k: v for own in source.values() for k, v in own.items()}),
        contents={split: combine_digests(own) for split, own in source.items()},
        listing_fingerprint=listing,
        pack_fingerprint="",
        samples={split: len(table) for split, table in tables.items()},
        missing=dict(zip(CHANNELS, missing.tolist(), strict=True)),
        rejected_counts=dict(Counter(rejected["reason"])),
        bulk_bytes={split: len(table) * row_bytes(image_size) for split, table in tables.items()},
        digests={name: digest((folder / name).read_bytes()) for name in small},
    )
    described = replace(described, pack_fingerprint=fingerprint_of_pack(described, packed))
    described.write_description()
    return described


def _rejected_images(
    tables: Mapping[str, pd.DataFrame], samples: Mapping[str, Sequence[PackedSample]]
) -> pd.DataFrame:
    rows = [
        (split, key, *entry)
        for split, table in tables.items()
        for key, sample in zip(table["id"], samples[split], strict=True)
        for entry in sample.rejected
    ]
    return pd.DataFrame(rows, columns=["split", "id", "file", "reason"])


def _write_small(folder: Path, table: pd.DataFrame, samples: Sequence[PackedSample]) -> None:
    np.save(folder / "present.npy", np.stack([sample.present for sample in samples]))
    np.save(folder / SUMS, np.stack([sample.sums for sample in samples]))
    table.drop(columns="folder").to_csv(folder / "table.csv", index=False)
    digests = {
        "id": table["id"],
        "images": [sample.images for sample in samples],
        "packed": [sample.packed for sample in samples],
    }
    pd.DataFrame(digests).to_csv(folder / "rows.csv", index=False)


def _require_images(folder: Path, samples: Sequence[PackedSample]) -> None:
    """Raise DatasetInvalid for a split that has not one usable image."""
    if not any(sample.present.any() for sample in samples):
        counts = Counter(reason for sample in samples for _, reason in sample.rejected)
        reasons = counts.most_common(1)
        why = f"; most are rejected as {reasons[0][0]!r}" if reasons else ""
        raise DatasetInvalid(
            f"no image in {folder} can be used{why}; images must be {IMAGE_SIZE} x {IMAGE_SIZE} "
            "grey JPEGs named as 2012-01-15T000000__131.jpg, within 12 h from the sample's start"
        )
