"""Write a synthetic dataset in SDOBenchmark's layout, with a table of the true flare rates."""

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from PIL import Image

from flare.cores import usable_cores
from flare.datasets.synthetic.flares import LEVELS
from flare.datasets.synthetic.region import SPLITS, Region, Window, make_region, make_regions
from flare.datasets.synthetic.render import Images, Surroundings
from flare.errors import ConfigInvalid, DatasetInvalid
from flare.files import atomic_folder, require_space
from flare.goes import CLASS_LETTERS, QUIET_FLUX, class_letter
from flare.parallel import Progress, map_in_order
from flare.sample import CHANNELS, STEP_OFFSETS_MINUTES

GENERATOR_VERSION = 2
BYTES_PER_SAMPLE = 450_000
JPEG_QUALITY = 75
#: How the regions of the test split are chosen.
TEST_CHOICES = ("as_observed", "selected")

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

    ``difficulty`` is one of ``flare.datasets.synthetic.flares.LEVELS``. ``test`` says how the
    regions of the test split are chosen: ``as_observed``, unselected, so that the oracle's
    probabilities are right there, or ``selected`` by their labels as SDOBenchmark's were, with
    three times as many M1.0 events as in training.

    Raises
    ------
    ConfigInvalid
        ``difficulty`` or ``test`` is another word, or a split has no sample.
    DatasetInvalid
        ``dest`` exists.
    DiskTooSmall
        The disk has too little space for it.
    PlaceInUse
        Another process is making ``dest``.
    """
    for name, value, choices in (("difficulty", difficulty, LEVELS), ("test", test, TEST_CHOICES)):
        if value not in choices:
            raise ConfigInvalid(f"{name} is {value!r}; choose one of {', '.join(choices)}")
    if min(n_training, n_test) < 1:
        raise ConfigInvalid(f"{n_training} and {n_test} samples; each split needs at least 1")
    dest = Path(dest)
    _refuse_existing(dest)
    sizes = {"training": n_training, "test": n_test}
    instead = "ask for fewer samples, or choose another data_dir"
    require_space(dest, sum(sizes.values()) * BYTES_PER_SAMPLE, str(dest), instead=instead)
    regions = {
        split: make_regions(split, sizes[split], seed=seed, level=LEVELS[difficulty], test=test)
        for split in SPLITS
    }
    every = [region for split in SPLITS for region in regions[split]]
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
    with atomic_folder(dest) as folder:
        text = json.dumps(description, indent=2) + "\n"
        (folder / "dataset.json").write_text(text, encoding="utf-8")
        for split in SPLITS:
            rows = [_label(window) for region in regions[split] for window in region.windows]
            _write_table(folder / split / "meta_data.csv", rows)
        rates = [_rates(window) for region in every for window in region.windows]
        _write_table(folder / "oracle" / "oracle.csv", rates)
        write = partial(write_region, folder, seed)
        workers = usable_cores() if processes is None else processes
        with closing(map_in_order(write, every, processes=workers)) as written:
            for done, _ in enumerate(written, 1):
                if progress is not None:
                    progress(done, len(every))
    return SyntheticSummary(dest, **{split: _summarise(regions[split]) for split in SPLITS})


def write_region(folder: Path, seed: int, region: Region) -> None:
    """Write all samples of a region under ``folder``."""
    surroundings = Surroundings(region, seed)
    for position, window in enumerate(region.windows):
        name = window.sample_id.removeprefix(f"{region.number}_")
        sample = folder / region.split / str(region.number) / name
        sample.mkdir(parents=True)
        write_sample(sample, window, surroundings.images(window, position))


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


def write_example(dest: Path) -> Path:
    """Write the images of ``data/example`` to ``dest/<id>`` and return that folder.

    It is the first sample of a selected test split that an M-class flare follows and that lacks one
    or two of its images, so that the example shows missing images too.

    Raises DatasetInvalid: the folder exists.
    """
    index = 0
    while True:
        region = make_region("test", index, seed=0, test="selected")
        surroundings = Surroundings(region, seed=0)
        for position, window in enumerate(region.windows):
            if class_letter(window.peak_flux) != "M":
                continue
            images = surroundings.images(window, position)
            if (~images.present).sum() in (1, 2):
                folder = Path(dest) / window.sample_id
                _refuse_existing(folder)
                with atomic_folder(folder) as partial_folder:
                    write_sample(partial_folder, window, images)
                return folder
        index += 1


def _refuse_existing(dest: Path) -> None:
    if dest.exists():
        raise DatasetInvalid(f"{dest} already exists; delete it or choose another folder")


def _summarise(regions: Sequence[Region]) -> SplitSummary:
    classes = dict.fromkeys(("quiet", *CLASS_LETTERS), 0)
    for region in regions:
        for window in region.windows:
            quiet = window.peak_flux == QUIET_FLUX
            classes["quiet" if quiet else class_letter(window.peak_flux)] += 1
    return SplitSummary(sum(classes.values()), len(regions), classes)


def _label(window: Window) -> dict[str, object]:
    start, end = (f"{time:%Y-%m-%d %H:%M:%S}.000000000" for time in (window.start, window.end))
    return {"id": window.sample_id, "start": start, "end": end, "peak_flux": window.peak_flux}


def _rates(window: Window) -> dict[str, object]:
    rates = {name: f"{value:.6g}" for name, value in window.flares.truth().items()}
    return {"id": window.sample_id, **rates}


def _write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir()
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
