"""What a census counts in the files of a dataset: one sample at a time, and files without a row.

None of these findings stops the reader: it uses what it can and masks the rest. They are counted to
show how a copy differs from the published dataset. Worker processes import this file, so it needs
no pandas.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flare.datasets.sdobenchmark.sample_images import list_names, read_files
from flare.files import digest_of_images
from flare.images.planes import (
    STEP_TOLERANCE_MINUTES,
    SampleRead,
    image_places,
    is_ignored_channel,
    parse_name,
    sample_of_files,
)
from flare.sample import N_CHANNELS, N_STEPS, Cube, Present

#: File names have whole seconds; an image less than one from its step is on it.
_ON_STEP_MINUTES = 1 / 60

#: Every check, in the order in which it is reported.
CENSUS_CHECKS: dict[str, str] = {
    "other_table_name": "table with another name than meta_data.csv, read",
    "no_header": "table without a header line, read",
    "second_table": "second table of the split, not read",
    "fractional_seconds": "row with fractional seconds in start or end",
    "other_window": "row whose window is not 12 h long",
    "shared_region": "active region in both splits",
    "no_folder": "row without a folder",
    "no_images": "folder without images",
    "no_row": "folder without a row, not read",
    "stray_file": "file outside of the samples' folders",
    "not_an_image": "file that is not an image of a sample",
    "ignored_channel": "image of 1600 Å, ignored",
    "off_step": "image off its step by up to 15 min, used",
    "off_schedule": "image further off, masked",
    "duplicate": "further image of one step, not used",
    "flagged": "image flagged as doubtful, masked",
    "unreadable": "image that cannot be decoded, masked",
    "wrong_size": "image of another size than 256 x 256, masked",
    "not_grey": "image in colour, masked",
    "uniform": "image whose pixels all have one value, masked",
}


@dataclass(frozen=True)
class Finding:
    """The number of cases of a check; ``example`` is the first sample, file or folder."""

    count: int = 0
    example: str | None = None


#: The samples, files or folders that a check concerns, by the name of the check.
Cases = Mapping[str, Sequence[str]]


def gather(parts: Iterable[Cases]) -> dict[str, Finding]:
    """Count cases, in the order of ``CENSUS_CHECKS``, with 0 where there is none."""
    cases: dict[str, list[str]] = {check: [] for check in CENSUS_CHECKS}
    for part in parts:
        for check, some in part.items():
            cases[check] += some
    return {check: Finding(len(some), some[0] if some else None) for check, some in cases.items()}


@dataclass(frozen=True)
class SampleCount:
    """What the census keeps of one sample.

    ``present`` and ``on_disk`` are bool (4, 10): images that can be used, and those that have a
    file of any kind. ``grey`` is each image's median grey level, float32 (4, 10), NaN where there
    is none. ``minutes_off`` is the distance of the used image that lies furthest from its step.
    """

    present: Present
    on_disk: Present
    grey: NDArray[np.float32]
    minutes_off: float
    digest: str
    cases: Cases


def count_samples(samples: Sequence[tuple[Path, datetime]]) -> list[SampleCount]:
    """Count consecutive samples of a split, each with its folder and start."""
    return [count_sample(folder, start) for folder, start in samples]


def count_sample(folder: Path, start: datetime) -> SampleCount:
    """Read the images of one sample and count what they are."""
    files = read_files(folder)
    sample = sample_of_files(files, start)
    on_disk = np.zeros((N_STEPS, N_CHANNELS), dtype=np.bool_)
    for distance, _, step, channel in image_places(files or (), start):
        on_disk[step, channel] |= distance <= STEP_TOLERANCE_MINUTES
    return SampleCount(
        present=sample.present,
        on_disk=on_disk,
        grey=median_levels(sample.cube, sample.present),
        minutes_off=max((place.minutes for place in sample.used), default=0.0),
        digest=digest_of_images(files),
        cases=_cases(folder, sample),
    )


def median_levels(cube: Cube, present: Present) -> NDArray[np.float32]:
    """Return the median grey level of each image, float32 (T, C); NaN where there is none.

    The pixels of a level are assumed to be spread evenly over the interval of half a level around
    it: the median of whole levels would move in steps of 4 % in DN/s, more than instruments fade in
    a quarter.
    """
    levels = np.full(present.shape, np.nan, dtype=np.float32)
    for step, channel in np.argwhere(present):
        # By counting, since 65,536 pixels have 256 values: Pillow takes 0.04 ms, NumPy's bincount
        # 0.1 and its median 0.5.
        counts = np.array(Image.fromarray(cube[step, channel]).histogram())
        up_to = counts.cumsum()
        level = int(np.searchsorted(up_to, up_to[-1] / 2))
        below = up_to[level] - counts[level]
        levels[step, channel] = level - 0.5 + (up_to[-1] / 2 - below) / counts[level]
    return levels


def _cases(folder: Path, sample: SampleRead) -> Cases:
    """Return what a folder's names and images show, by check, relative to the split."""
    where = f"{folder.parent.name}/{folder.name}"
    names = list_names(folder)
    if names is None:
        return {"no_folder": [where]}
    images = [name for name in names if parse_name(name)]
    ignored = [name for name in names if is_ignored_channel(name)]
    cases = {
        "not_an_image": sorted(set(names) - set(images) - set(ignored)),
        "ignored_channel": ignored,
        "off_step": [place.name for place in sample.used if place.minutes >= _ON_STEP_MINUTES],
    }
    for name, reason in sample.rejected:
        cases.setdefault(reason.replace(" ", "_"), []).append(name)
    paths = {check: [f"{where}/{name}" for name in some] for check, some in cases.items()}
    return {**paths, "no_images": [] if images else [where]}


def stray_cases(split_dir: Path, *, folders: Collection[Path], tables: Collection[Path]) -> Cases:
    """Return the files outside of the samples' folders, and the folders that have no row.

    ``split_dir`` need not exist; ``folders`` are those of the table, ``tables`` files that are no
    strays.
    """
    known = set(folders)
    regions = {folder.parent for folder in known}
    files, without_row = [], []
    for entry in _entries(split_dir):
        if entry in tables:
            continue
        if not entry.is_dir():
            files.append(entry)
            continue
        inside = _entries(entry)
        # One that was listed a moment ago needs no further look: there are thousands.
        others = [path for path in inside if path not in known]
        files += [path for path in others if not path.is_dir()]
        without_row += [path for path in others if path.is_dir()]
        if entry not in regions and not any(path.is_dir() for path in inside):
            without_row.append(entry)
    return {
        "stray_file": [str(path.relative_to(split_dir)) for path in files],
        "no_row": [str(path.relative_to(split_dir)) for path in without_row],
    }


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
