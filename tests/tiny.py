"""A dataset of a few small samples in SDOBenchmark's layout, written in about a second.

Its images are smooth noise, brighter in every channel where the label is larger, so that a model
can learn something from them. They mean nothing else.
"""

import functools
import json
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from flare.sample import CHANNELS, IMAGE_SIZE, INPUT_WINDOW_HOURS, STEP_OFFSETS_MINUTES

#: Labels in W m^-2 that regions get in turn: quiet, C, M, B, M, quiet, C, X.
TINY_LABELS = (1e-9, 4.1e-6, 2.6e-5, 5.3e-7, 7.1e-5, 1e-9, 1.9e-6, 1.3e-4)


def write_tiny_dataset(
    dest: Path,
    *,
    training_regions: int = 8,
    test_regions: int = 4,
    samples_per_region: int = 2,
    labels: Sequence[float] = TINY_LABELS,
    missing: int = 1,
    seed: int = 0,
) -> Path:
    """Write both splits, and return ``dest``.

    Regions are numbered 11000, 11010, ... in training and 12000, ... in test, and do not overlap
    in time. Of each split's first sample the last ``missing`` images of 211 are left out.
    """
    what = (training_regions, test_regions, samples_per_region, tuple(labels), missing, seed)
    for name, data in _files(*what).items():
        path = dest / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return dest


@functools.cache
def _files(
    training_regions: int,
    test_regions: int,
    samples_per_region: int,
    labels: tuple[float, ...],
    missing: int,
    seed: int,
) -> dict[str, bytes]:
    """Return the files of a dataset; images take most of the time, and are made once."""
    rng = np.random.default_rng(seed)
    files = {}
    for split, first, regions in (
        ("training", 11000, training_regions),
        ("test", 12000, test_regions),
    ):
        rows: list[str] = []
        for k in range(regions):
            begin = datetime(2012 if split == "training" else 2014, 1, 1) + timedelta(days=20 * k)
            for window in range(samples_per_region):
                start = begin + timedelta(hours=INPUT_WINDOW_HOURS * window)
                region, rest = str(first + 10 * k), f"{begin:%Y_%m_%d_%H_%M_%S}_{window}"
                label = labels[k % len(labels)]
                images = tiny_images(
                    start,
                    grey=60 + 20 * (np.log10(label) + 9),
                    rng=rng,
                    missing=0 if rows else missing,
                )
                files |= {f"{split}/{region}/{rest}/{name}": data for name, data in images}
                rows.append(table_row(f"{region}_{rest}", start, label))
        files[f"{split}/meta_data.csv"] = _table(rows).encode()
    files["dataset.json"] = json.dumps({"name": "tiny", "synthetic": True}).encode()
    return files


def copy_without_packs(source: Path, dest: Path) -> Path:
    """Copy a dataset, to change the copy."""
    ignored = shutil.ignore_patterns("packed*")
    return Path(shutil.copytree(source, dest, ignore=ignored))


def plant_leak(dataset: Path) -> Path:
    """Give the last test sample the images of the last training sample, under its own names."""
    known, test_sample = (sorted(dataset.glob(f"{part}/*/*"))[-1] for part in ("training", "test"))
    for image, source in zip(sorted(test_sample.iterdir()), sorted(known.iterdir()), strict=True):
        shutil.copy(source, image)
    return dataset


def sample_folder(dataset: Path, split: str, sample_id: str) -> Path:
    """Return where the images of a sample lie."""
    region, rest = sample_id.split("_", 1)
    return dataset / split / region / rest


def table_row(sample_id: str, start: datetime, label: float) -> str:
    """Return a line of meta_data.csv."""
    end = start + timedelta(hours=INPUT_WINDOW_HOURS)
    return f"{sample_id},{start}.000000000,{end}.000000000,{float(label)!r}"


def write_table(dataset: Path, split: str, rows: Sequence[str]) -> Path:
    """Write meta_data.csv with its header."""
    path = dataset / split / "meta_data.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_table(rows), encoding="utf-8")
    return path


def _table(rows: Sequence[str]) -> str:
    return "\n".join(["id,start,end,peak_flux", *rows, ""])


def write_tiny_sample(
    folder: Path, start: datetime, *, grey: float, rng: np.random.Generator, missing: int = 0
) -> None:
    """Write the 40 images of a sample, all but the last ``missing`` of channel 211."""
    folder.mkdir(parents=True)
    for name, data in tiny_images(start, grey=grey, rng=rng, missing=missing):
        (folder / name).write_bytes(data)


def tiny_images(
    start: datetime, *, grey: float, rng: np.random.Generator, missing: int
) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of such a sample's images."""
    for step, minutes in enumerate(STEP_OFFSETS_MINUTES):
        time = start + timedelta(minutes=minutes)
        for channel in CHANNELS:
            if channel == "211" and step >= len(STEP_OFFSETS_MINUTES) - missing:
                continue
            yield f"{time:%Y-%m-%dT%H%M%S}__{channel}.jpg", tiny_jpeg(grey + step, rng)


def tiny_jpeg(grey: float, rng: np.random.Generator, *, size: int = IMAGE_SIZE) -> bytes:
    """Return a grey JPEG of smooth noise around a mean grey level."""
    coarse = np.clip(rng.normal(grey, 25, (8, 8)), 0, 255).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(coarse).resize((size, size)).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()
