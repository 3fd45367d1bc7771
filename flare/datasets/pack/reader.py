"""Open a pack: a dataset whose images were decoded once into one large file per split.

Opening forty small files costs, and decoding a JPEG costs more than everything else that happens to
it. A pack is a folder::

    pack.json            format, image size, fingerprints, counts of missing images
    rejected.csv         every image that could not be used: split, id, file, reason
    {split}/cubes.u8     uint8 (N, 4, 10, S, S), grey levels, C order, no header
    {split}/present.npy  bool (N, 4, 10)
    {split}/sums.npy     int64 (N, 4, 10, 2), sums of each image's grey levels and of their squares;
                         packs that were made before 2027 have none
    {split}/table.csv    the labels, one row per sample in the same order
    {split}/rows.csv     id, SHA-256 of its image files, SHA-256 of its stored bytes
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flare.datasets.pack.decoding import row_digest
from flare.datasets.sdobenchmark.fingerprint import listing_fingerprint
from flare.errors import DatasetInvalid, DatasetNotFound
from flare.files import combine_digests, digest
from flare.sample import N_CHANNELS, N_STEPS, Cube, PlaneSums, Present

#: Another number means another layout or other pixels; packs of other formats are made again.
FORMAT = 4

DESCRIPTION, REJECTED, CUBES, SUMS = "pack.json", "rejected.csv", "cubes.u8", "sums.npy"

_STORAGE = "raw"  # packs of an earlier version may hold JPEGs
_AGAIN = "run `mlflow run . -e pack` again"


@dataclass(frozen=True)
class PackedSplit:
    """One split of a pack.

    ``cubes`` uint8 (N, 4, 10, S, S) is a file that is mapped read-only. ``present`` is bool
    (N, 4, 10), and ``table`` has the columns of `read_table` except ``folder``. ``sums`` int64
    (N, 4, 10, 2) are the `plane_sums` of the cubes, None where the pack has none.
    """

    name: str
    cubes: Cube
    present: Present
    table: pd.DataFrame
    sums: PlaneSums | None = None

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True)
class Pack:
    """What ``pack.json`` says of a pack.

    ``fingerprint`` is the dataset's content fingerprint, ``contents`` those of its splits alone,
    ``listing_fingerprint`` the one of its files' names, sizes and times, and ``pack_fingerprint``
    that of the pack itself: of its format, image size and dataset, and of every byte of its
    rows. ``synthetic_seed`` is the seed of synthetic regions, None where they are real or the
    seed is unknown. ``samples`` counts by split, ``missing`` images by channel,
    ``rejected_counts`` images by reason (a rejected image is missing too; ``rejected.csv`` names
    it). ``bulk_bytes`` are those of the splits' large files, ``digests`` those of the small ones.
    """

    folder: Path
    name: str
    synthetic: bool
    synthetic_seed: int | None
    image_size: int
    fingerprint: str
    contents: dict[str, str]
    listing_fingerprint: str
    pack_fingerprint: str
    samples: dict[str, int]
    missing: dict[str, int]
    rejected_counts: dict[str, int]
    bulk_bytes: dict[str, int]
    digests: dict[str, str]

    def split(self, name: str) -> PackedSplit:
        """Map one split, ``training`` or ``test``, into memory.

        Raises DatasetNotFound: the dataset had no such split when it was packed.
        """
        if name not in self.samples:
            raise DatasetNotFound(
                f"the pack in {self.folder} has no {name} split, only {', '.join(self.samples)}; "
                f"add {name}/meta_data.csv to the dataset and {_AGAIN}"
            )
        folder = self.folder / name
        # Labels by way of text: pandas 2 rounds floats in a file by its own, faster rules.
        table = pd.read_csv(folder / "table.csv", dtype={"id": str, "peak_flux": str})
        table["peak_flux"] = table["peak_flux"].astype("float64")
        for column in ("start", "end"):
            table[column] = pd.to_datetime(table[column], format="ISO8601").astype("datetime64[ns]")
        sums = np.load(folder / SUMS) if f"{name}/{SUMS}" in self.digests else None
        return PackedSplit(name, self.cubes(name), np.load(folder / "present.npy"), table, sums)

    def cubes(self, name: str) -> Cube:
        """Map the images of a split."""
        shape = (self.samples[name], N_STEPS, N_CHANNELS, self.image_size, self.image_size)
        return np.memmap(self.folder / name / CUBES, dtype=np.uint8, mode="r", shape=shape)

    def rejected_images(self) -> pd.DataFrame:
        """Read what ``rejected.csv`` names: one image a row, with split, id, file and reason."""
        return pd.read_csv(self.folder / REJECTED, dtype=str, keep_default_na=False)

    def write_description(self) -> None:
        """Write ``pack.json``."""
        content = {"format": FORMAT, "storage": _STORAGE, **asdict(self)}
        del content["folder"]
        (self.folder / DESCRIPTION).write_text(json.dumps(content, indent=1), encoding="utf-8")


def fingerprint_of_pack(pack: Pack, rows: Mapping[str, str]) -> str:
    """Return the fingerprint of a pack from the row digests of its samples, by ``split/id``."""
    about = {
        "format": str(FORMAT),
        "storage": _STORAGE,
        "dataset": pack.fingerprint,
        "image_size": str(pack.image_size),
    }
    return combine_digests({**about, **rows})


def open_pack(pack_dir: Path, *, source: Path | None = None) -> Pack:
    """Open a pack after checking that it is whole, without reading its cubes; see `verify_pack`.

    ``source`` is the dataset that it should be of; names, sizes and times of its files are
    compared.

    Raises
    ------
    DatasetNotFound
        There is no pack, or no dataset in ``source``.
    DatasetInvalid
        The pack is damaged, of another format, or its dataset has changed.
    """
    pack = _read_description(pack_dir)
    for split, wanted in pack.bulk_bytes.items():
        path = pack_dir / split / CUBES
        size = path.stat().st_size if path.is_file() else 0
        if size != wanted:
            raise DatasetInvalid(f"{path} has {size} bytes instead of {wanted}; {_AGAIN}")
    for name, wanted_digest in pack.digests.items():
        path = pack_dir / name
        if not path.is_file() or digest(path.read_bytes()) != wanted_digest:
            raise DatasetInvalid(f"{path} is missing or was changed; {_AGAIN}")
    if source is not None and listing_fingerprint(source) != pack.listing_fingerprint:
        raise DatasetInvalid(f"{source} changed since it was packed in {pack_dir}; {_AGAIN}")
    return pack


def verify_pack(pack: Pack, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Read every byte of an opened pack again; `open_pack` looks at sizes and small files alone.

    Raises DatasetInvalid: a sample is not what was packed, or the fingerprint is not that of the
    samples.
    """
    again = f"delete {pack.folder} and {_AGAIN}"
    rows: dict[str, str] = {}
    for name in pack.samples:
        folder, cubes = pack.folder / name, pack.cubes(name)
        present = np.load(folder / "present.npy")
        table = pd.read_csv(folder / "rows.csv", dtype=str)
        for row, (key, wanted) in enumerate(zip(table["id"], table["packed"], strict=True)):
            if row_digest(cubes[row].data, present[row]) != wanted:
                raise DatasetInvalid(
                    f"sample {key} in {folder / CUBES} is not what was packed; {again}"
                )
            rows[f"{name}/{key}"] = wanted
            if progress is not None:
                progress(len(rows), sum(pack.samples.values()))
    if fingerprint_of_pack(pack, rows) != pack.pack_fingerprint:
        raise DatasetInvalid(
            f"the fingerprint in {pack.folder / DESCRIPTION} is not that of its samples; {again}"
        )


def _read_description(pack_dir: Path) -> Pack:
    path = pack_dir / DESCRIPTION
    if not path.is_file():
        raise DatasetNotFound(f"no {DESCRIPTION} in {pack_dir}; run `mlflow run . -e pack`")
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, storage = content.pop("format"), content.pop("storage", _STORAGE)
        if (version, storage) == (FORMAT, _STORAGE):
            return Pack(folder=pack_dir, **content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetInvalid(f"{path} is damaged ({error}); {_AGAIN}") from error
    raise DatasetInvalid(
        f"{path} has format {version} ({storage}), this version reads {FORMAT} ({_STORAGE}); "
        f"{_AGAIN}"
    )
