"""Write a synthetic dataset in SDOBenchmark's layout, beside it an oracle that knows the rates."""

import csv
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from flare.cores import usable_cores
from flare.datasets.synthetic.difficulty import level_of
from flare.datasets.synthetic.region import SPLITS, TEST_SPLITS, Region, Window, make_regions
from flare.datasets.synthetic.render import Images, Surroundings
from flare.datasets.synthetic.unfinished import PARTIAL, unfinished
from flare.errors import ConfigInvalid, DatasetInvalid
from flare.goes import CLASS_LETTERS, QUIET_FLUX, class_letter
from flare.parallel import worker_pool
from flare.sample import CHANNELS, STEP_OFFSETS_MINUTES

GENERATOR_VERSION = 2
BYTES_PER_SAMPLE = 450_000
JPEG_QUALITY = 75
MOST_SAMPLES = 200_000  # a split's regions then stay within their block of numbers

Progress = Callable[[Iterable[Any]], Iterable[Any]]

_IMAGE_DESCRIPTION = 0x010E  # EXIF tag
_FLAGGED_REMARK = "flagged: synthetic image of doubtful quality"


@dataclass(frozen=True)
class SplitSummary:
    """Numbers of a split; ``classes`` counts samples by ``quiet``, A, B, C, M and X."""

    samples: int
    regions: int
    classes: dict[str, int]


@dataclass(frozen=True)
class SyntheticSummary:
    """What was written, by split; ``kept`` regions were there from an interrupted run."""

    path: Path
    training: SplitSummary
    test: SplitSummary
    kept: int = 0


def synthesize(
    dest: Path,
    *,
    n_training: int,
    n_test: int,
    seed: int = 0,
    difficulty: str = "medium",
    test: str = "as_observed",
    processes: int | None = None,
    progress: Progress | None = None,
) -> SyntheticSummary:
    """Write a dataset with the layout, the gaps and the class mix of SDOBenchmark.

    Sample k of a split is the same to the byte for every size of the set and number of processes.
    ``dest`` appears only when everything is written; an interrupted run leaves whole regions in a
    hidden folder beside it, and the same call goes on from there.

    Parameters
    ----------
    dest
        Folder to make; it must not exist.
    n_training, n_test
        Samples of each split, >= 1.
    seed
        Of everything random, >= 0.
    difficulty
        ``easy``, ``medium`` or ``hard``; see ``flare.datasets.synthetic.difficulty``.
    test
        How the regions of the test split are chosen: ``as_observed``, as they come, so that the
        oracle's probabilities are right there, or ``selected`` by their labels as SDOBenchmark's
        were, with three times as many M1.0 events as in training.
    processes
        Worker processes; the number of CPUs if None, and with 1 everything happens in this one.
    progress
        Wraps the regions being written, for instance ``tqdm``.

    Raises
    ------
    ConfigInvalid
        A size, the seed or the number of processes is out of bounds, or there is no such way to
        choose test regions.
    DatasetInvalid
        ``dest`` exists, another process is making it, or the disk has too little space for it.
    """
    dest = Path(dest)
    workers = processes if processes is not None else usable_cores()
    _check(dest, n_training, n_test, seed, workers)
    level = level_of(difficulty)
    if test not in TEST_SPLITS:
        raise ConfigInvalid(f"test is {test!r}; choose one of {', '.join(TEST_SPLITS)}")
    sizes = {"training": n_training, "test": n_test}
    regions = [
        region
        for split in SPLITS
        for region in make_regions(split, sizes[split], seed=seed, level=level, test=test)
    ]
    description = {
        "name": "synthetic",
        "synthetic": True,
        "generator_version": GENERATOR_VERSION,
        "seed": seed,
        "difficulty": difficulty,
        "test": test,
        "n_training": n_training,
        "n_test": n_test,
    }
    with unfinished(dest, description) as folder:
        missing = [region for region in regions if not _folder_of(region, folder).exists()]
        _check_space(dest, missing)
        for split in SPLITS:
            _write_meta_data(folder / split, [r for r in regions if r.split == split])
        _write_oracle(folder / "oracle" / "oracle.csv", regions)
        _write_all_images(folder, missing, seed, workers, progress)
    summaries = {split: summarise(regions, split) for split in SPLITS}
    return SyntheticSummary(dest, **summaries, kept=len(regions) - len(missing))


def summarise(regions: list[Region], split: str) -> SplitSummary:
    """Count the samples, regions and classes of one split."""
    chosen = [region for region in regions if region.split == split]
    classes = dict.fromkeys(("quiet", *CLASS_LETTERS), 0)
    for region in chosen:
        for window in region.windows:
            quiet = window.peak_flux == QUIET_FLUX
            classes["quiet" if quiet else class_letter(window.peak_flux)] += 1
    return SplitSummary(sum(classes.values()), len(chosen), classes)


def write_sample(folder: Path, window: Window, images: Images) -> None:
    """Write the images of one sample that exist into an empty folder."""
    for step, minutes in enumerate(STEP_OFFSETS_MINUTES):
        time = window.start + timedelta(minutes=minutes)
        for plane, channel in enumerate(CHANNELS):
            if not images.present[step, plane]:
                continue
            exif = Image.Exif()
            if images.flagged[step, plane]:
                exif[_IMAGE_DESCRIPTION] = _FLAGGED_REMARK
            Image.fromarray(images.cube[step, plane]).save(
                folder / f"{time:%Y-%m-%dT%H%M%S}__{channel}.jpg", quality=JPEG_QUALITY, exif=exif
            )


def _check(dest: Path, n_training: int, n_test: int, seed: int, workers: int) -> None:
    for name, value, most in (
        ("n_training", n_training, MOST_SAMPLES),
        ("n_test", n_test, MOST_SAMPLES),
        ("processes", workers, 1024),
    ):
        if not 1 <= value <= most:
            raise ConfigInvalid(f"{name} is {value}; give a number from 1 to {most}")
    if seed < 0:
        raise ConfigInvalid(f"seed is {seed}; give a number from 0 on")
    refuse_existing(dest)


def _check_space(dest: Path, missing: list[Region]) -> None:
    needed = sum(len(region.windows) for region in missing) * BYTES_PER_SAMPLE
    free = shutil.disk_usage(dest.parent).free
    if free < needed:
        raise DatasetInvalid(
            f"{dest} needs about {needed / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB left; "
            "free some space, ask for fewer samples, or choose another disk"
        )


def refuse_existing(dest: Path) -> None:
    """Raise DatasetInvalid if ``dest`` is there; otherwise see that its parent is."""
    if dest.exists():
        raise DatasetInvalid(f"{dest} already exists; delete it or choose another folder")
    dest.parent.mkdir(parents=True, exist_ok=True)


def _write_meta_data(folder: Path, regions: list[Region]) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / "meta_data.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("id", "start", "end", "peak_flux"))
        for region in regions:
            for window in region.windows:
                times = (_nanoseconds(window.start), _nanoseconds(window.end))
                rows.writerow((window.sample_id, *times, window.peak_flux))


def _nanoseconds(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}.000000000"


def _write_oracle(path: Path, regions: list[Region]) -> None:
    path.parent.mkdir(exist_ok=True)
    windows = [window for region in regions for window in region.windows]
    rates = [
        {"id": window.sample_id}
        | {name: f"{value:.6g}" for name, value in window.flares.truth().items()}
        for window in windows
    ]
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, list(rates[0]), lineterminator="\n")
        rows.writeheader()
        rows.writerows(rates)


def _write_all_images(
    folder: Path, regions: list[Region], seed: int, workers: int, progress: Progress | None
) -> None:
    shown: Progress = progress if progress is not None else iter
    write = partial(write_region, folder, seed)
    if workers == 1:
        for region in shown(regions):
            write(region)
        return
    with worker_pool(workers) as pool:
        futures = [pool.submit(write, region) for region in regions]
        for future in shown(futures):
            future.result()


def _folder_of(region: Region, folder: Path) -> Path:
    return folder / region.split / str(region.number)


def write_region(folder: Path, seed: int, region: Region) -> None:
    """Write all samples of a region under ``folder``; its folder appears when it is whole."""
    dest = _folder_of(region, folder)
    partial = dest.with_name(f".{dest.name}.{os.getpid()}{PARTIAL}")
    surroundings = Surroundings(region, seed)
    for position, window in enumerate(region.windows):
        sample = partial / window.sample_id.removeprefix(f"{region.number}_")
        sample.mkdir(parents=True)
        write_sample(sample, window, surroundings.images(window, position))
    partial.rename(dest)
