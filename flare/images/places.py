"""Put images into the cube of a sample, by the time and channel in their names.

In the bottom row because the dataset reader and the server must agree. A damaged image raises no
error: it is masked as missing and listed, since gaps are part of this dataset. Nothing here needs
pandas, so that worker processes start fast and stay small.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from flare.images.planes import ImageRejected, decode_plane, parse_name
from flare.sample import (
    CHANNELS,
    IMAGE_SIZE,
    N_CHANNELS,
    N_STEPS,
    STEP_OFFSETS_MINUTES,
    Cube,
    Present,
)

#: How far an image may lie from its time step: the tolerance of the dataset's own pipeline.
STEP_TOLERANCE_MINUTES = 15.0


_CHANNEL_INDEX = {channel: index for index, channel in enumerate(CHANNELS)}


class Place(NamedTuple):
    """Where an image belongs, and how many minutes it lies from that time step."""

    minutes: float
    name: str
    step: int
    channel: int


@dataclass(frozen=True)
class SampleRead:
    """The images of one sample.

    ``cube`` is uint8 (4, 10, S, S), zero where ``present`` (4, 10) is False. ``rejected`` pairs
    the name of each file that could not be used with the reason; ``used`` has the places of the
    others, the nearest to its time step first.
    """

    cube: Cube
    present: Present
    rejected: tuple[tuple[str, str], ...]
    used: tuple[Place, ...]


def sample_of_files(
    files: Mapping[str, bytes] | None,
    start: datetime,
    *,
    size: int = IMAGE_SIZE,
    cube: Cube | None = None,
) -> SampleRead:
    """Decode images into the places that their names give.

    An image belongs to the nearest time step within 15 minutes. Of several for one place the
    nearest usable one is chosen.

    ``files`` has bytes by file name, None for a sample without a folder. ``cube``, uint8 (4, 10, S,
    S), is decoded into instead of a new one.
    """
    if cube is None:
        cube = np.empty((N_STEPS, N_CHANNELS, size, size), dtype=np.uint8)
    present = np.zeros((N_STEPS, N_CHANNELS), dtype=np.bool_)
    rejected: list[tuple[str, str]] = [] if files is not None else [("", "no folder")]
    used: list[Place] = []
    for place in sorted(image_places(files or (), start)):
        minutes, name, step, channel = place
        if minutes > STEP_TOLERANCE_MINUTES:
            rejected.append((name, "off schedule"))
        elif present[step, channel]:
            rejected.append((name, "duplicate"))
        else:
            try:
                decode_plane((files or {})[name], size=size, out=cube[step, channel])
                present[step, channel] = True
                used.append(place)
            except ImageRejected as error:
                rejected.append((name, error.reason))
    cube[~present] = 0
    return SampleRead(cube, present, tuple(rejected), tuple(used))


def image_places(names: Iterable[str], start: datetime) -> list[Place]:
    """Return the place of each image among the time steps of a window."""
    places = []
    for name in names:
        parsed = parse_name(name)
        if parsed is not None:
            minutes = (parsed[0] - start).total_seconds() / 60
            distances = [abs(minutes - offset) for offset in STEP_OFFSETS_MINUTES]
            nearest = min(distances)
            step = distances.index(nearest)
            places.append(Place(nearest, name, step, _CHANNEL_INDEX[parsed[1]]))
    return places


def start_of(names: Iterable[str]) -> datetime | None:
    """Infer from the names of images when their input window begins; UTC without a zone.

    It is the start that puts the most images on time steps, then the one with the least total
    distance, then the earliest: images of a single time count as the newest of the window. None
    where no name is that of an image of a sample.
    """
    parsed = [(name, parse_name(name)) for name in names]
    times = {name: image[0] for name, image in parsed if image is not None}
    if not times:
        return None
    offsets = [timedelta(minutes=minutes) for minutes in STEP_OFFSETS_MINUTES]
    starts = {time - offset for time in set(times.values()) for offset in offsets}
    return min(starts, key=lambda start: _misfit(times, start))


def _misfit(names: Iterable[str], start: datetime) -> tuple[int, float, datetime]:
    """Return (minus the images on steps, their total distance in minutes, start)."""
    near = [
        place.minutes
        for place in image_places(names, start)
        if place.minutes <= STEP_TOLERANCE_MINUTES
    ]
    return -len(near), sum(near), start
