"""A dataset decoded once: grey levels as raw bytes in one file per split, mapped into memory.

Decoding a JPEG costs more than everything else that happens to it, so it happens once, in
``packing``. A pack is a folder::

    pack.json            format, image size, fingerprints, missing and rejected images
    {split}/cubes.u8     uint8 (N, 4, 10, S, S), C order, no header
    {split}/present.npy  bool (N, 4, 10)
    {split}/table.csv    the labels, one row per sample in the same order
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flare.datasets.fingerprint import digest, listing_fingerprint
from flare.errors import DatasetInvalid, DatasetNotFound
from flare.sample import N_CHANNELS, N_PLANES, N_STEPS, Cube, Present

#: Another number means another layout or other pixels; packs of other formats are made again.
FORMAT = 1

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

    ``fingerprint`` is the dataset's content fingerprint, ``listing_fingerprint`` the one of its
    files' names, sizes and times. ``samples`` counts by split, ``missing`` images by channel,
    ``rejected_counts`` images by reason (a rejected image is missing too); ``rejected`` names the
    first thousand as (split, id, file, reason). ``digests`` are those of the pack's small files.
    """

    folder: Path
    name: str
    synthetic: bool
    image_size: int
    fingerprint: str
    listing_fingerprint: str
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


def open_pack(pack_dir: Path, *, source: Path | None = None) -> Pack:
    """Open a pack after checking that it is whole.

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
