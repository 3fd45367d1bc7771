"""A dataset decoded once: grey levels as raw bytes in one file per split, mapped into memory.

Decoding a JPEG costs more than everything else that happens to it, so it happens once, in
``packing``. A pack is a folder::

    pack.json            format, image size, fingerprints, missing and rejected images
    {split}/cubes.u8     uint8 (N, 4, 10, S, S), C order, no header
    {split}/present.npy  bool (N, 4, 10)
    {split}/table.csv    the labels, one row per sample in the same order
    {split}/rows.csv     id, SHA-256 of its image files, SHA-256 of its row of the two arrays
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flare.datasets.digests import combine, digest
from flare.datasets.fingerprint import listing_fingerprint
from flare.errors import DatasetInvalid, DatasetNotFound
from flare.sample import N_CHANNELS, N_PLANES, N_STEPS, Cube, Present

#: Another number means another layout or other pixels; packs of other formats are made again.
FORMAT = 3

_AGAIN = "run `mlflow run . -e pack` again"


@dataclass(frozen=True)
class PackedSplit:
    """One split of a pack.

    ``cubes`` uint8 (N, 4, 10, S, S) is mapped read-only, ``present`` is bool (N, 4, 10), and
    ``table`` has the columns of `read_table` except ``folder``.
    """

    name: str
    cubes: Cube
    present: Present
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True)
class Pack:
    """What ``pack.json`` says of a pack.

    ``fingerprint`` is the dataset's content fingerprint, ``contents`` those of its splits alone,
    ``listing_fingerprint`` the one of its files' names, sizes and times, and ``pack_fingerprint``
    that of the pack itself: of its format, image size and dataset, and of every byte of its
    arrays. ``synthetic_seed`` is the seed that invented the regions, None where they are real or
    nobody knows. ``samples`` counts by split, ``missing`` images by channel,
    ``rejected_counts`` images by reason (a rejected image is missing too); ``rejected`` names the
    first thousand as (split, id, file, reason). ``digests`` are those of the pack's small files.
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
    rejected: tuple[tuple[str, str, str, str], ...]
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
        shape = (self.samples[name], N_STEPS, N_CHANNELS, self.image_size, self.image_size)
        cubes = np.memmap(folder / "cubes.u8", dtype=np.uint8, mode="r", shape=shape)
        # Labels by way of text: pandas 2 rounds floats in a file by its own, faster rules.
        table = pd.read_csv(folder / "table.csv", dtype={"id": str, "peak_flux": str})
        table["peak_flux"] = table["peak_flux"].astype("float64")
        for column in ("start", "end"):
            table[column] = pd.to_datetime(table[column], format="ISO8601").astype("datetime64[ns]")
        return PackedSplit(name, cubes, np.load(folder / "present.npy"), table)


def row_bytes(image_size: int) -> int:
    """Return how many bytes of ``cubes.u8`` one sample takes."""
    return N_PLANES * image_size * image_size


def row_digest(cube: Cube, present: Present) -> str:
    """Return the digest of one sample as it lies in a pack: of its pixels, then of its mask."""
    return digest(cube.tobytes() + present.tobytes())


def fingerprint_of_pack(
    rows: Mapping[str, str], *, image_size: int, dataset_fingerprint: str
) -> str:
    """Return the fingerprint of a pack from the row digests of its samples, by ``split/id``."""
    about = {"format": FORMAT, "image_size": image_size, "dataset": dataset_fingerprint}
    return combine({**{name: str(value) for name, value in about.items()}, **rows})


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
        packed = found.split(name)
        rows = pd.read_csv(found.folder / name / "rows.csv", dtype=str)
        for row, (key, wanted) in enumerate(zip(rows["id"], rows["packed"], strict=True)):
            if row_digest(packed.cubes[row], packed.present[row]) != wanted:
                raise DatasetInvalid(
                    f"sample {key} in {found.folder / name / 'cubes.u8'} is not what was packed; "
                    f"{again}"
                )
            known[f"{name}/{key}"] = wanted
            done += 1
            if progress is not None:
                progress(done, total)
    made = fingerprint_of_pack(
        known, image_size=found.image_size, dataset_fingerprint=found.fingerprint
    )
    if made != found.pack_fingerprint:
        raise DatasetInvalid(
            f"the fingerprint in {found.folder / 'pack.json'} is not that of its samples; {again}"
        )


def open_pack(pack_dir: Path, *, source: Path | None = None) -> Pack:
    """Open a pack after checking that it is whole, without reading its cubes; see `verify_pack`.

    Parameters
    ----------
    pack_dir
        Its folder.
    source
        The dataset that it should be of; names, sizes and times of its files are then compared.

    Raises
    ------
    DatasetNotFound
        There is no pack, or no dataset in ``source``.
    DatasetInvalid
        The pack is damaged, of another format, or its dataset has changed.
    """
    found = _read_description(pack_dir)
    for split, count in found.samples.items():
        path = pack_dir / split / "cubes.u8"
        wanted = count * row_bytes(found.image_size)
        size = path.stat().st_size if path.is_file() else 0
        if size != wanted:
            raise DatasetInvalid(f"{path} has {size} bytes instead of {wanted}; {_AGAIN}")
    for name, wanted_digest in found.digests.items():
        path = pack_dir / name
        if not path.is_file() or digest(path.read_bytes()) != wanted_digest:
            raise DatasetInvalid(f"{path} is missing or was changed; {_AGAIN}")
    if source is not None and listing_fingerprint(source) != found.listing_fingerprint:
        raise DatasetInvalid(f"{source} changed since it was packed in {pack_dir}; {_AGAIN}")
    return found


def _read_description(pack_dir: Path) -> Pack:
    path = pack_dir / "pack.json"
    if not path.is_file():
        raise DatasetNotFound(f"no pack.json in {pack_dir}; run `mlflow run . -e pack`")
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("format")
        if version == FORMAT:
            rejected = tuple(tuple(entry) for entry in content.pop("rejected"))
            return Pack(folder=pack_dir, rejected=rejected, **content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetInvalid(f"{path} is damaged ({error}); {_AGAIN}") from error
    raise DatasetInvalid(f"{path} has format {version}, this version reads {FORMAT}; {_AGAIN}")
