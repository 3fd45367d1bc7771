"""A dataset read once: grey levels, or images as they came, in one large file per split.

Opening forty small files costs, and decoding a JPEG costs more than everything else that happens to
it. So ``packing`` does both once. A pack is a folder::

    pack.json            format, storage, image size, fingerprints, counts of what is missing
    rejected.csv         every image that could not be used: split, id, file, reason
    {split}/present.npy  bool (N, 4, 10)
    {split}/table.csv    the labels, one row per sample in the same order
    {split}/rows.csv     id, SHA-256 of its image files, SHA-256 of what is stored of it

and, by storage::

    raw   {split}/cubes.u8     uint8 (N, 4, 10, S, S), C order, no header
          {split}/sums.npy     int64 (N, 4, 10, 2), sums of each image's grey levels and of their
                               squares; packs that were made before 2027 have none
    jpeg  {split}/images.bin   the bytes of the images that can be used, sample by sample
          {split}/lengths.npy  int64 (N, 4, 10), bytes of each, 0 where it is missing
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from flare.datasets.pack.jpeg_cubes import JpegCubes
from flare.datasets.pack.storage import BULK, Storage, StoredRows, jpeg_rows, raw_rows
from flare.datasets.sdobenchmark.fingerprint import listing_fingerprint
from flare.errors import DatasetInvalid, DatasetNotFound
from flare.files import combine_digests, digest
from flare.sample import N_CHANNELS, N_STEPS, Cube, PlaneSums, Present

#: Another number means another layout or other pixels; packs of other formats are made again.
FORMAT = 4

#: Of each split of a raw pack.
SUMS = "sums.npy"

_AGAIN = "run `mlflow run . -e pack` again"


@dataclass(frozen=True)
class PackedSplit:
    """One split of a pack.

    ``cubes`` uint8 (N, 4, 10, S, S) is a file that is mapped read-only, or the `JpegCubes` of a
    JPEG pack, which read like it: choose rows first, or use `rows.read_rows`. ``present`` is bool
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
    rows. ``image_size`` is that of the cubes: a JPEG pack, whose images are of 256 pixels, can be
    opened at any. ``synthetic_seed`` is the seed that invented the regions, None where they are
    real or nobody knows. ``samples`` counts by split, ``missing`` images by channel,
    ``rejected_counts`` images by reason (a rejected image is missing too; ``rejected.csv`` names
    it). ``bulk_bytes`` are those of the splits' large files, ``digests`` those of the small ones.
    """

    folder: Path
    name: str
    synthetic: bool
    synthetic_seed: int | None
    storage: Storage
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

        Raises
        ------
        DatasetNotFound
            The dataset had no such split when it was packed.
        """
        if name not in self.samples:
            raise DatasetNotFound(
                f"the pack in {self.folder} has no {name} split, only {', '.join(self.samples)}; "
                f"add {name}/meta_data.csv to the dataset and {_AGAIN}"
            )
        folder = self.folder / name
        cubes = self.cubes(name)
        # Labels by way of text: pandas 2 rounds floats in a file by its own, faster rules.
        table = pd.read_csv(folder / "table.csv", dtype={"id": str, "peak_flux": str})
        table["peak_flux"] = table["peak_flux"].astype("float64")
        for column in ("start", "end"):
            table[column] = pd.to_datetime(table[column], format="ISO8601").astype("datetime64[ns]")
        sums = np.load(folder / SUMS) if f"{name}/{SUMS}" in self.digests else None
        return PackedSplit(name, cubes, np.load(folder / "present.npy"), table, sums)

    def cubes(self, name: str, *, threads: int | None = None) -> Cube:
        """Map the images of a split; ``threads`` decode those of a JPEG pack, one per core."""
        folder = self.folder / name
        path = folder / BULK[self.storage]
        if self.storage == "jpeg":
            lengths = np.load(folder / "lengths.npy")
            cubes = JpegCubes(path, lengths, self.image_size, threads=threads)
            return cast(Cube, cubes)  # it is one to whoever chooses rows before anything else
        shape = (self.samples[name], N_STEPS, N_CHANNELS, self.image_size, self.image_size)
        return np.memmap(path, dtype=np.uint8, mode="r", shape=shape)

    def stored_rows(self, name: str) -> StoredRows:
        """Return where the bytes of each of a split's samples lie."""
        folder = self.folder / name
        present, path = np.load(folder / "present.npy"), folder / BULK[self.storage]
        if self.storage == "jpeg":
            return jpeg_rows(path, present, np.load(folder / "lengths.npy"))
        return raw_rows(path, present, self.image_size)

    def rejected_images(self) -> pd.DataFrame:
        """Read what ``rejected.csv`` names: one image a row, with split, id, file and reason."""
        return pd.read_csv(self.folder / "rejected.csv", dtype=str, keep_default_na=False)


def fingerprint_of_pack(rows: Mapping[str, str], found: Pack) -> str:
    """Return the fingerprint of a pack from the row digests of its samples, by ``split/id``."""
    about = {"format": FORMAT, "storage": found.storage, "dataset": found.fingerprint}
    if found.storage == "raw":
        about["image_size"] = found.image_size
    return combine_digests({**{name: str(value) for name, value in about.items()}, **rows})


def verify_pack(found: Pack, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Read every byte of an opened pack again; `open_pack` looks at sizes and small files alone.

    Raises
    ------
    DatasetInvalid
        A sample is not what was packed, or the fingerprint is not that of the samples.
    """
    again = f"delete {found.folder} and {_AGAIN}"
    known: dict[str, str] = {}
    done, total = 0, sum(found.samples.values())
    for name in found.samples:
        stored = found.stored_rows(name)
        rows = pd.read_csv(found.folder / name / "rows.csv", dtype=str)
        for key, wanted, have in zip(rows["id"], rows["packed"], stored.digests(), strict=True):
            if have != wanted:
                raise DatasetInvalid(
                    f"sample {key} in {stored.path} is not what was packed; {again}"
                )
            known[f"{name}/{key}"] = wanted
            done += 1
            if progress is not None:
                progress(done, total)
    if fingerprint_of_pack(known, found) != found.pack_fingerprint:
        raise DatasetInvalid(
            f"the fingerprint in {found.folder / 'pack.json'} is not that of its samples; {again}"
        )


def open_pack(pack_dir: Path, *, source: Path | None = None, image_size: int | None = None) -> Pack:
    """Open a pack after checking that it is whole, without reading its cubes; see `verify_pack`.

    Parameters
    ----------
    pack_dir
        Its folder.
    source
        The dataset that it should be of; names, sizes and times of its files are then compared.
    image_size
        Pixels of an edge that a JPEG pack's images are averaged down to, instead of 256; a raw
        pack has the one that it was made with.

    Raises
    ------
    DatasetNotFound
        There is no pack, or no dataset in ``source``.
    DatasetInvalid
        The pack is damaged, of another format, or its dataset has changed.
    """
    found = _read_description(pack_dir)
    for split, wanted in found.bulk_bytes.items():
        path = pack_dir / split / BULK[found.storage]
        size = path.stat().st_size if path.is_file() else 0
        if size != wanted:
            raise DatasetInvalid(f"{path} has {size} bytes instead of {wanted}; {_AGAIN}")
    for name, wanted_digest in found.digests.items():
        path = pack_dir / name
        if not path.is_file() or digest(path.read_bytes()) != wanted_digest:
            raise DatasetInvalid(f"{path} is missing or was changed; {_AGAIN}")
    if source is not None and listing_fingerprint(source) != found.listing_fingerprint:
        raise DatasetInvalid(f"{source} changed since it was packed in {pack_dir}; {_AGAIN}")
    if found.storage == "jpeg" and image_size is not None:
        return replace(found, image_size=image_size)
    return found


def _read_description(pack_dir: Path) -> Pack:
    path = pack_dir / "pack.json"
    if not path.is_file():
        raise DatasetNotFound(f"no pack.json in {pack_dir}; run `mlflow run . -e pack`")
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("format")
        if version == FORMAT:
            return Pack(folder=pack_dir, **content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetInvalid(f"{path} is damaged ({error}); {_AGAIN}") from error
    raise DatasetInvalid(f"{path} has format {version}, this version reads {FORMAT}; {_AGAIN}")
