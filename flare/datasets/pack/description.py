"""Everything of a pack but its large files: what is known of each sample, and the summary."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from flare.datasets.pack.decoding import Stored
from flare.datasets.pack.journal import read_journal
from flare.datasets.pack.reader import FORMAT, SUMS, Pack, fingerprint_of_pack
from flare.datasets.pack.storage import BULK, Storage
from flare.datasets.sdobenchmark.labels import dataset_identity, find_table
from flare.errors import DatasetInvalid
from flare.files import combine_digests, digest
from flare.sample import CHANNELS, IMAGE_SIZE

_REJECTED = "rejected.csv"


@dataclass
class _Known:
    """What is gathered split by split."""

    source: dict[str, str] = field(default_factory=dict)  # digests of tables and samples, by name
    contents: dict[str, str] = field(default_factory=dict)  # one digest of them, by split
    packed: dict[str, str] = field(default_factory=dict)  # digests of what is stored, by sample
    missing: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    small: list[str] = field(default_factory=lambda: [_REJECTED])

    def add(self, split: str, table: str, samples: Sequence[Stored]) -> None:
        """Take the digest of a split's table, and its samples."""
        own = {f"{split}.csv": table} | {stored.name: stored.images for stored in samples}
        self.source |= own
        self.contents[split] = combine_digests(own)
        self.packed |= {stored.name: stored.packed for stored in samples}
        present = np.stack([stored.present for stored in samples])
        gaps = (~present).sum(axis=(0, 1)).tolist()
        self.missing.update(dict(zip(CHANNELS, gaps, strict=True)))
        self.rejected.update(reason for stored in samples for _, reason in stored.rejected)


def describe(
    data_dir: Path,
    workshop: Path,
    tables: Mapping[str, pd.DataFrame],
    *,
    storage: Storage,
    image_size: int,
    listing_fingerprint: str,
) -> Pack:
    """Write everything but the large files into the ``set`` of a workshop, ``pack.json`` last.

    Raises
    ------
    DatasetInvalid
        A split has not one image that can be used.
    """
    building, known = workshop / "set", _Known()
    journal = read_journal(workshop)
    with (building / _REJECTED).open("w", encoding="utf-8", newline="") as file:
        report = csv.writer(file, lineterminator="\n")
        report.writerow(["split", "id", "file", "reason"])
        for split, table in tables.items():
            samples = list(islice(journal, len(table)))
            for stored in samples:
                sample_id = stored.name.removeprefix(f"{split}/")
                report.writerows((split, sample_id, *entry) for entry in stored.rejected)
            _require_images(data_dir / split, samples)
            known.add(split, digest(find_table(data_dir, split).read_bytes()), samples)
            known.small += _write_small(building / split, table, samples)
    identity, fingerprint = dataset_identity(data_dir), combine_digests(known.source)
    described = Pack(
        folder=building,
        name=identity.name,
        synthetic=identity.synthetic,
        synthetic_seed=identity.seed,
        storage=storage,
        image_size=image_size,
        fingerprint=fingerprint,
        contents=known.contents,
        listing_fingerprint=listing_fingerprint,
        pack_fingerprint="",
        samples={split: len(table) for split, table in tables.items()},
        missing={channel: known.missing[channel] for channel in CHANNELS},
        rejected_counts=dict(known.rejected),
        bulk_bytes={split: (building / split / BULK[storage]).stat().st_size for split in tables},
        digests={name: digest((building / name).read_bytes()) for name in known.small},
    )
    described = replace(described, pack_fingerprint=fingerprint_of_pack(known.packed, described))
    content = {"format": FORMAT, **asdict(described)}
    del content["folder"]
    (building / "pack.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    return described


def _write_small(folder: Path, table: pd.DataFrame, samples: Sequence[Stored]) -> list[str]:
    """Write the small files of a split, and return their names within the pack."""
    np.save(folder / "present.npy", np.stack([stored.present for stored in samples]))
    table.drop(columns="folder").to_csv(folder / "table.csv", index=False)
    rows = [(stored.images, stored.packed) for stored in samples]
    digests = pd.DataFrame(rows, columns=["images", "packed"])
    digests.insert(0, "id", table["id"].to_numpy())
    digests.to_csv(folder / "rows.csv", index=False)
    names = ["present.npy", "table.csv", "rows.csv"]
    lengths = [stored.lengths for stored in samples if stored.lengths is not None]
    if lengths:
        np.save(folder / "lengths.npy", np.stack(lengths))
        names.append("lengths.npy")
    sums = [stored.sums for stored in samples if stored.sums is not None]
    if sums:
        np.save(folder / SUMS, np.stack(sums))
        names.append(SUMS)
    return [f"{folder.name}/{name}" for name in names]


def _require_images(folder: Path, samples: Sequence[Stored]) -> None:
    """Raise DatasetInvalid for a split that has not one usable image."""
    if not any(stored.present.any() for stored in samples):
        counts = Counter(reason for stored in samples for _, reason in stored.rejected)
        reasons = counts.most_common(1)
        why = f"; most are rejected as {reasons[0][0]!r}" if reasons else ""
        raise DatasetInvalid(
            f"no image in {folder} can be used{why}; they are to be {IMAGE_SIZE} x {IMAGE_SIZE} "
            "grey JPEGs named as 2012-01-15T000000__131.jpg, within 12 h from the sample's start"
        )
