"""Write a synthetic dataset in SDOBenchmark's layout, with a table of the true flare rates."""

import csv
import json
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from PIL import Image

from flare.cores import usable_cores
from flare.datasets.synthetic.flares import level_of
from flare.datasets.synthetic.region import SPLITS, TEST_SPLITS, Region, Window, make_regions
from flare.datasets.synthetic.render import Images, Surroundings
from flare.errors import ConfigInvalid, DatasetInvalid
from flare.files import atomic_folder, require_space
from flare.goes import CLASS_LETTERS, QUIET_FLUX, class_letter
from flare.parallel import Progress, map_in_order
from flare.sample import CHANNELS, STEP_OFFSETS_MINUTES

GENERATOR_VERSION = 2
BYTES_PER_SAMPLE = 450_000
JPEG_QUALITY = 75
MOST_SAMPLES = 200_000  # a split's regions then stay within their block of numbers

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
    """What was written, by split."""

    path: Path
    training: SplitSummary
    test: SplitSummary


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

    Sample k of a split has the same bytes for every size of the set and number of processes.
    ``dest`` appears when everything is written; an interrupted run leaves nothing.

    Parameters
    ----------
    difficulty
        ``easy``, ``medium`` or ``hard``; see ``flare.datasets.synthetic.flares.LEVELS``.
    test
        How the regions of the test split are chosen: ``as_observed``, unselected, so that the
        oracle's probabilities are right there, or ``selected`` by their labels as SDOBenchmark's
        were, with three times as many M1.0 events as in training.

    Raises
    ------
    ConfigInvalid
        A size, the seed or the number of processes is out of bounds, or there is no such way to
        choose test regions.
    DatasetInvalid
        ``dest`` exists.
    DiskTooSmall
        The disk has too little space for it.
    PlaceInUse
        Another process is making ``dest``.
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
    instead = "ask for fewer samples, or choose another data_dir"
    require_space(dest, sum(sizes.values()) * BYTES_PER_SAMPLE, str(dest), instead=instead)
    with atomic_folder(dest) as folder:
        text = json.dumps(description, indent=2) + "\n"
        (folder / "dataset.json").write_text(text, encoding="utf-8")
        for split in SPLITS:
            _write_meta_data(folder / split, [r for r in regions if r.split == split])
        _write_oracle(folder / "oracle" / "oracle.csv", regions)
        _write_images(folder, regions, seed, workers, progress)
    summaries = {split: summarise(regions, split) for split in SPLITS}
    return SyntheticSummary(dest, **summaries)


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


def refuse_existing(dest: Path) -> None:
    """Raise DatasetInvalid if ``dest`` exists."""
    if dest.exists():
        raise DatasetInvalid(f"{dest} already exists; delete it or choose another folder")


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


def _write_images(
    folder: Path, regions: list[Region], seed: int, workers: int, progress: Progress | None
) -> None:
    write = partial(write_region, folder, seed)
    done = 0
    with closing(map_in_order(write, regions, processes=workers)) as samples:
        for _ in samples:
            done += 1
            if progress is not None:
                progress(done, len(regions))


def write_region(folder: Path, seed: int, region: Region) -> None:
    """Write all samples of a region under ``folder``."""
    surroundings = Surroundings(region, seed)
    for position, window in enumerate(region.windows):
        name = window.sample_id.removeprefix(f"{region.number}_")
        sample = folder / region.split / str(region.number) / name
        sample.mkdir(parents=True)
        write_sample(sample, window, surroundings.images(window, position))
