"""Count what is in the folders of samples: the part of a census that other processes do.

The images of a sample are read once; what becomes of them is a few hundred bytes.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flare.datasets.sdobenchmark.findings import Finding, found
from flare.datasets.sdobenchmark.sample_images import list_names, read_files
from flare.files import digest_of_images
from flare.images.places import STEP_TOLERANCE_MINUTES, SampleRead, image_places, sample_of_files
from flare.images.planes import is_ignored_channel, parse_name
from flare.sample import N_CHANNELS, N_STEPS, Cube, Present

#: File names have whole seconds; an image less than one from its step is on it.
_ON_STEP_MINUTES = 1 / 60


@dataclass(frozen=True)
class SampleCount:
    """What is left to know of one sample.

    ``present`` and ``on_disk`` are bool (4, 10): images that can be used, and those that have a
    file of any kind. ``grey`` is each image's median grey level, float32 (4, 10), NaN where there
    is none. ``minutes_off`` is the distance of the used image that lies furthest from its step.
    """

    present: Present
    on_disk: Present
    grey: NDArray[np.float32]
    minutes_off: float
    digest: str
    findings: dict[str, Finding]


@dataclass(frozen=True)
class SamplesToCount:
    """Consecutive samples of a split: folder and start of each."""

    samples: tuple[tuple[Path, datetime], ...]


def count_samples(task: SamplesToCount) -> list[SampleCount]:
    """Count each sample of a task."""
    return [count_sample(folder, start) for folder, start in task.samples]


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
        findings=_findings(folder, sample),
    )


def median_levels(cube: Cube, present: Present) -> NDArray[np.float32]:
    """Return the median grey level of each image, float32 (T, C); NaN where there is none.

    The pixels of a level are taken to lie evenly from half a level below it to half a level above:
    the median of whole levels would move in steps of 4 % in DN/s, more than instruments fade in
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


def _findings(folder: Path, sample: SampleRead) -> dict[str, Finding]:
    """Count what a folder's names and images show, with examples relative to the split."""
    where = f"{folder.parent.name}/{folder.name}"
    names = list_names(folder)
    if names is None:
        return {"no_folder": Finding(1, where)}
    images = [name for name in names if parse_name(name)]
    ignored = [name for name in names if is_ignored_channel(name)]
    others = sorted(set(names) - set(images) - set(ignored))
    by_check = {
        "no_images": [] if images else [""],
        "not_an_image": others,
        "ignored_channel": ignored,
        "off_step": [place.name for place in sample.used if place.minutes >= _ON_STEP_MINUTES],
    }
    for name, reason in sample.rejected:
        by_check.setdefault(reason.replace(" ", "_"), []).append(name)
    return {
        check: found(f"{where}/{name}".rstrip("/") for name in some)
        for check, some in by_check.items()
        if some
    }
