"""A census of a dataset: every table and every image read once, counted, and its fingerprint.

It shows how a copy differs from the published dataset, and holds the numbers that the figures of a
dataset need. Gaps are counted; they are not errors.

Published counts: samples, regions and classes are those of the label tables (i4Ds/SDOBenchmark,
meta_data.csv of both splits). Of the images only the last step of two channels has published
numbers: the samples left to those who used that image alone (jdonzallaz/solarnet).
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.datasets.sdobenchmark.findings import (
    CENSUS_CHECKS,
    Cases,
    Finding,
    SampleCount,
    count_samples,
    gather,
    stray_cases,
)
from flare.datasets.sdobenchmark.labels import (
    SPLITS,
    available_splits,
    dataset_identity,
    find_table,
    has_header,
    read_table,
    tables_on_disk,
)
from flare.files import combine_digests, digest
from flare.goes import CLASS_LETTERS, QUIET_FLUX, class_index
from flare.parallel import TASK_SAMPLES, Progress, map_in_order, reported
from flare.sample import CHANNELS, INPUT_WINDOW_HOURS, Present

#: Names of the classes, and of all counts, in the order in which they are shown.
CLASS_NAMES = {"quiet": "quiet", "below_c": "below C", "c": "C", "m": "M", "x": "X"}
COUNT_NAMES = {"samples": "samples", "active_regions": "active regions", **CLASS_NAMES}

#: Published counts by split, in that order; A and B together are "below C".
PUBLISHED: dict[str, dict[str, int]] = {
    "training": dict(zip(COUNT_NAMES, (8336, 1091, 3651, 1280, 2891, 479, 35), strict=True)),
    "test": dict(zip(COUNT_NAMES, (886, 91, 248, 111, 351, 151, 25), strict=True)),
}

#: Samples with an image of the last step, by channel.
PUBLISHED_LAST_IMAGES: dict[str, dict[str, int]] = {
    "training": {"211": 8273, "magnetogram": 8172},
    "test": {"211": 874, "magnetogram": 865},
}


@dataclass(frozen=True)
class SplitCensus:
    """What one split holds.

    ``table`` has the columns of `read_table` except ``folder``. ``present`` bool (N, 4, 10) says
    which images can be used, ``grey`` float32 (N, 4, 10) their median grey level, NaN where
    there is none. ``on_disk`` int (4, 10) counts samples with a file for an image, usable or not.
    ``minutes_off`` is the distance of the used image that lies furthest from its time step.
    """

    name: str
    table: pd.DataFrame
    present: Present
    grey: NDArray[np.float32]
    on_disk: NDArray[np.int64]
    minutes_off: float
    findings: Mapping[str, Finding]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def counts(self) -> dict[str, int]:
        """Samples, active regions, and samples by class, named as in ``PUBLISHED``."""
        regions = int(self.table["active_region"].nunique())
        classes = classes_of(self.table["peak_flux"].to_numpy())
        return {"samples": len(self), "active_regions": regions, **classes}

    @property
    def last_images(self) -> dict[str, int]:
        """Samples that have a file for the last step of the channels with published numbers."""
        names = PUBLISHED_LAST_IMAGES[self.name]
        return {name: int(self.on_disk[-1, CHANNELS.index(name)]) for name in names}

    @property
    def missing(self) -> dict[str, list[int]]:
        """Images that are not there or cannot be used, by channel, one number a time step."""
        absent = (~self.present).sum(axis=0)  # (T, C)
        return {channel: absent[:, k].tolist() for k, channel in enumerate(CHANNELS)}

    @property
    def matches_published(self) -> bool:
        """Whether samples, regions and classes are those of the whole published split."""
        return {key: self.counts[key] for key in PUBLISHED[self.name]} == PUBLISHED[self.name]

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON, with the published ones."""
        return {
            "counts": self.counts,
            "published": PUBLISHED[self.name],
            "last_images": self.last_images,
            "published_last_images": PUBLISHED_LAST_IMAGES[self.name],
            "missing": self.missing,
            "minutes_off": self.minutes_off,
            "findings": {
                check: {"what": CENSUS_CHECKS[check], **asdict(finding)}
                for check, finding in self.findings.items()
            },
        }


@dataclass(frozen=True)
class Census:
    """What a dataset holds; ``fingerprint`` is its content fingerprint."""

    name: str
    synthetic: bool
    fingerprint: str
    splits: Mapping[str, SplitCensus]

    @property
    def matches_published(self) -> bool:
        """Whether both splits are there with the published samples, regions and classes."""
        return all(
            split in self.splits and self.splits[split].matches_published for split in SPLITS
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON, with the published ones."""
        return {
            "name": self.name,
            "synthetic": self.synthetic,
            "fingerprint": self.fingerprint,
            "matches_published": self.matches_published,
            "splits": {name: split.as_dict() for name, split in self.splits.items()},
        }


def classes_of(peak_flux: NDArray[np.float64]) -> dict[str, int]:
    """Count peak fluxes in W m^-2 by class: quiet, A and B, both together as below_c, C, M, X."""
    quiet = peak_flux <= QUIET_FLUX
    counted = np.bincount(class_index(peak_flux[~quiet]), minlength=len(CLASS_LETTERS)).tolist()
    a, b, c, m, x = counted
    return {"quiet": int(quiet.sum()), "a": a, "b": b, "below_c": a + b, "c": c, "m": m, "x": x}


def take_census(
    data_dir: Path, *, processes: int | None = None, progress: Progress | None = None
) -> Census:
    """Read every table and every image of a dataset once, and count samples and images.

    Raises
    ------
    DatasetNotFound
        There is no table.
    DatasetInvalid
        A table cannot be trusted. Images that are missing or damaged are counted.
    """
    identity = dataset_identity(data_dir)
    tables = {split: read_table(data_dir, split) for split in available_splits(data_dir)}
    tasks: list[list[tuple[Path, datetime]]] = []
    for table in tables.values():
        samples = list(zip(table["folder"], table["start"], strict=True))
        tasks += [samples[k : k + TASK_SAMPLES] for k in range(0, len(samples), TASK_SAMPLES)]
    splits: dict[str, SplitCensus] = {}
    digests: dict[str, str] = {}
    with closing(map_in_order(count_samples, tasks, processes=processes)) as results:
        counts = reported(results, progress, sum(map(len, tables.values())))
        for split, table in tables.items():
            counted = list(islice(counts, len(table)))
            digests[f"{split}.csv"] = digest(find_table(data_dir, split).read_bytes())
            digests |= {
                f"{split}/{key}": sample.digest
                for key, sample in zip(table["id"], counted, strict=True)
            }
            others = [tables[other] for other in tables if other != split]
            splits[split] = _sum_up(data_dir, split, table, counted, others=others)
    return Census(identity.name, identity.synthetic, combine_digests(digests), splits)


def _sum_up(
    data_dir: Path,
    split: str,
    table: pd.DataFrame,
    counted: Sequence[SampleCount],
    *,
    others: Sequence[pd.DataFrame],
) -> SplitCensus:
    tables = tables_on_disk(data_dir, split)
    strays = stray_cases(data_dir / split, folders=list(table["folder"]), tables=tables)
    of_tables = [_table_cases(data_dir, tables), _row_cases(table, others), strays]
    return SplitCensus(
        name=split,
        table=table.drop(columns="folder"),
        present=np.stack([sample.present for sample in counted]),
        grey=np.stack([sample.grey for sample in counted]),
        on_disk=np.sum([sample.on_disk for sample in counted], axis=0, dtype=np.int64),
        minutes_off=max(sample.minutes_off for sample in counted),
        findings=gather([*of_tables, *(sample.cases for sample in counted)]),
    )


def _table_cases(data_dir: Path, tables: Sequence[Path]) -> Cases:
    """Check the names and the first lines of a split's tables; the first table is read."""
    names = [str(path.relative_to(data_dir)) for path in tables]
    return {
        "other_table_name": [name for name in names[:1] if not name.endswith("meta_data.csv")],
        "no_header": [] if has_header(tables[0]) else names[:1],
        "second_table": names[1:],
    }


def _row_cases(table: pd.DataFrame, others: Sequence[pd.DataFrame]) -> Cases:
    """Check the times of the rows, and which regions are in another split too."""
    start, end = table["start"], table["end"]
    fractional = start.ne(start.dt.floor("s")) | end.ne(end.dt.floor("s"))
    whole_window = (end - start).eq(pd.Timedelta(hours=INPUT_WINDOW_HOURS))
    elsewhere = {region for other in others for region in other["active_region"]}
    return {
        "fractional_seconds": table["id"][fractional].tolist(),
        "other_window": table["id"][~whole_window].tolist(),
        "shared_region": list(map(str, sorted(elsewhere.intersection(table["active_region"])))),
    }
