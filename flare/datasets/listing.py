"""List the samples of a folder to forecast: a split of a dataset, or folders of images.

A split with a table gives its rows in their order; a folder without one gives every folder below it
that holds images, in the order of their names.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flare.datasets.sdobenchmark.fingerprint import states_below
from flare.datasets.sdobenchmark.labels import (
    SPLITS,
    dataset_identity,
    find_table,
    identity_above,
    read_table,
    region_of_id,
)
from flare.errors import DatasetInvalid, DatasetNotFound
from flare.files import combine_digests, digest
from flare.images.planes import parse_name


@dataclass(frozen=True)
class Entry:
    """One sample of a listing.

    ``start`` and ``end`` of the input window are UTC without a zone, ``peak_flux`` is in W m^-2;
    without a table both are None, and ``active_region`` is a number only where the id begins with
    one.
    """

    id: str
    folder: Path
    start: datetime | None = None
    end: datetime | None = None
    active_region: int | None = None
    peak_flux: float | None = None


@dataclass(frozen=True)
class Listing:
    """The samples of a folder.

    ``synthetic`` is None where the origin of the images is unknown. ``split`` is empty without
    a table. ``state`` is a fingerprint of the table's bytes and of the names, sizes and
    modification times of the images, which takes seconds for gigabytes. ``table_digest`` is empty
    without a table.
    """

    name: str
    synthetic: bool | None
    seed: int | None
    split: str
    table_digest: str
    entries: tuple[Entry, ...]
    state: str

    def __len__(self) -> int:
        return len(self.entries)

    def content(self, digests: Mapping[str, str]) -> str:
        """Return the fingerprint of labels and images from the digests of the images, by id.

        For a split it is the one that a pack of the dataset has in ``contents``.
        """
        if not self.split:
            return combine_digests(digests)
        named = {f"{self.split}/{key}": value for key, value in digests.items()}
        return combine_digests({f"{self.split}.csv": self.table_digest, **named})


def list_samples(data_dir: Path, split: str) -> Listing:
    """Find the samples of a folder.

    ``data_dir`` is a dataset, or a folder of sample folders: flat, or nested such as by active
    region. ``split`` is of a dataset; other folders have none.

    Raises
    ------
    DatasetNotFound
        There is no such folder, no such split, or no sample in it.
    DatasetInvalid
        The table cannot be trusted, or two folders stand for the same sample.
    """
    if not data_dir.is_dir():
        raise DatasetNotFound(
            f"no folder {data_dir}; give a dataset or a folder of sample folders, "
            "or run `mlflow run . -e synthesize`"
        )
    table = _table(data_dir, split)
    identity = dataset_identity(data_dir) if table else identity_above(data_dir)
    entries = tuple(_rows(data_dir, split) if table else _folders(data_dir))
    table_digest = digest(table.read_bytes()) if table else ""
    states = {"dataset.json": str(identity), "table": table_digest}
    for entry in entries:
        states[entry.id] = "listed"  # its folder may be missing
        states.update(states_below(str(entry.folder), entry.id))
    return Listing(
        name=data_dir.resolve().name if identity is None else identity.name,
        synthetic=None if identity is None else identity.synthetic,
        seed=None if identity is None else identity.seed,
        split=split if table else "",
        table_digest=table_digest,
        entries=entries,
        state=combine_digests(states),
    )


def _table(data_dir: Path, split: str) -> Path | None:
    """Return the split's table; None for a folder that has no table at all."""
    if (data_dir / "meta_data.csv").is_file():
        raise DatasetNotFound(
            f"{data_dir} is one split of a dataset; pass -P data_dir={data_dir.parent} "
            "and -P split=test or training"
        )
    tables = {}
    for name in SPLITS:
        try:
            tables[name] = find_table(data_dir, name)
        except DatasetNotFound:
            continue
    if tables and split not in tables:
        names = " and ".join(tables)
        raise DatasetNotFound(f"{data_dir} has no {split} split; pass -P split={names}")
    return tables.get(split)


def _rows(data_dir: Path, split: str) -> Iterator[Entry]:
    for row in read_table(data_dir, split).to_dict("records"):
        yield Entry(
            id=str(row["id"]),
            folder=Path(str(row["folder"])),
            start=row["start"].to_pydatetime(),
            end=row["end"].to_pydatetime(),
            active_region=int(row["active_region"]),
            peak_flux=float(row["peak_flux"]),
        )


def _folders(root: Path) -> list[Entry]:
    entries: dict[str, Entry] = {}
    for folder in _with_images(root):
        key = _id_of(folder, root)
        if key in entries:
            raise DatasetInvalid(
                f"{folder} and {entries[key].folder} are both sample {key}; remove one of them"
            )
        entries[key] = Entry(key, folder, active_region=region_of_id(key))
    if not entries:
        raise DatasetNotFound(
            f"{root} holds neither a split's meta_data.csv nor a folder with images named as "
            "2012-01-15T000000__131.jpg; give a dataset or a folder of sample folders"
        )
    return list(entries.values())


def _with_images(root: Path) -> Iterator[Path]:
    """Yield every folder with images of a sample, by name; links are followed, but never twice."""
    seen: set[str] = set()
    for place, folders, names in os.walk(root, followlinks=True, onerror=_raise):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if any(parse_name(name) is not None for name in names):
            yield Path(place)


def _raise(error: OSError) -> None:
    raise error


def _id_of(folder: Path, root: Path) -> str:
    """Return SDOBenchmark's id of a folder, or its path where it has none."""
    if folder == root:
        return root.resolve().name
    parts = folder.relative_to(root).parts
    names = (parts[-1], "_".join(parts[-2:]))  # flat, or below the region's number
    return next((name for name in names if region_of_id(name) is not None), "/".join(parts))
