"""Read the image files of a sample: times and channels in their names, their bytes as grey planes.

In the bottom row because the dataset reader and the server must agree on which image is which and
on which ones count as missing. A damaged image raises no error there: it is masked as missing and
listed, since gaps are part of this dataset. Nothing here needs pandas, so that worker processes
start fast. Names: ``2012-01-15T000000__131.jpg`` (i4Ds/SDOBenchmark).
"""

import io
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from simplejpeg import decode_jpeg, decode_jpeg_header  # type: ignore[import-untyped]

from flare.errors import InputInvalid
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

#: Channels of SDO that samples do not have, although copies of the dataset may contain images.
IGNORED_CHANNELS = ("1600",)

_NAME = re.compile(
    r"([12]\d{3})-(\d\d)-(\d\d)T(\d\d)(\d\d)(\d\d)__([0-9a-z]+)\.(?:jpe?g|png)", re.IGNORECASE
)
_ENDINGS = (".jpg", ".jpeg", ".png")

#: Why an image is rejected whose name does not say where it belongs.
UNREADABLE_NAME = "unreadable name"

#: Why an image of a single value is rejected; the audit asks packs how many there were.
UNIFORM = "uniform"

_IMAGE_DESCRIPTION = 0x010E  # EXIF tag
_FLAG = "flagged"  # in the ImageDescription of an image that the instrument team doubts


class ImageRejected(InputInvalid):
    """An image that cannot be used; it is masked as missing and counted under ``reason``."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@lru_cache(maxsize=1024)  # every image of a sample is looked up several times
def parse_name(name: str) -> tuple[datetime, str] | None:
    """Return the time and channel in an image's file name.

    None for anything that is not one of the ten channels of a sample, 1600 Å included.
    """
    parsed = _time_and_channel(name)
    return parsed if parsed is not None and parsed[1] in CHANNELS else None


def is_ignored_channel(name: str) -> bool:
    """Return True if a file's name is that of an image of 1600 Å, which no sample has."""
    parsed = _time_and_channel(name)
    return parsed is not None and parsed[1] in IGNORED_CHANNELS


def is_misnamed(name: str) -> bool:
    """Return True if a file looks like an image, but its name has no time or channel.

    Hidden files are left out: the operating system makes them.
    """
    image = name.lower().endswith(_ENDINGS) and not name.startswith(".")
    return image and parse_name(name) is None and not is_ignored_channel(name)


def _time_and_channel(name: str) -> tuple[datetime, str] | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    # Eight times faster than strptime, and called for every file of a dataset.
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    try:
        return datetime(year, month, day, hour, minute, second), match[7].lower()
    except ValueError:
        return None


def decode_plane(
    data: bytes, *, size: int = IMAGE_SIZE, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Decode a JPEG or PNG into one grey plane (size, size).

    ``out``, C-contiguous (size, size), is decoded into instead of a new array; of an image that is
    rejected it may hold a part.

    Raises ImageRejected: ``unreadable`` (not an image, truncated), ``wrong size``, ``not grey``,
    ``flagged`` (the instrument team doubts it and says so in the EXIF ImageDescription) or
    ``uniform`` (every pixel has one value: a filled gap, which would be a field of -250 G, or a
    dark frame).
    """
    plane = np.empty((size, size), dtype=np.uint8) if out is None else out
    if not _decode_grey_jpeg(data, plane):
        plane[...] = _decode_by_pillow(data, size)
    if plane.min() == plane.max():
        raise ImageRejected(UNIFORM, f"every pixel is {plane[0, 0]}")
    return plane


def _decode_grey_jpeg(data: bytes, plane: NDArray[np.uint8]) -> bool:
    """Decode a grey JPEG of the plane's size without any flaw; False for any other file.

    libjpeg-turbo through simplejpeg gives Pillow's pixels in half the time, and lets other threads
    run meanwhile.
    """
    try:
        header = decode_jpeg_header(data, strict=True)
        if header[:3] != (*plane.shape, "Gray") or _FLAG.encode() in data.lower():
            return False
        decode_jpeg(data, "GRAY", buffer=plane, strict=True)
    except ValueError:  # no JPEG, cut short, or anything that libjpeg warns of
        return False
    return True


def _decode_by_pillow(data: bytes, size: int) -> NDArray[np.uint8]:
    """Decode any usable file, or raise ImageRejected with the reason."""
    try:
        # Of more than 89 megapixels Pillow warns, of more than 178 it raises; the size is checked
        # before anything is decompressed.
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image,
        ):
            if image.size != (size, size):
                raise ImageRejected("wrong size", f"{image.size[0]} x {image.size[1]} pixels")
            if image.mode != "L":
                raise ImageRejected("not grey", f"mode {image.mode}")
            if _is_flagged(image):
                raise ImageRejected("flagged", "flagged in its EXIF ImageDescription")
            return np.asarray(image)
    except Image.DecompressionBombError as error:
        raise ImageRejected("wrong size", str(error)) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, ImageRejected):
            raise
        raise ImageRejected("unreadable", str(error).split(" <_io")[0]) from error


def _is_flagged(image: Image.Image) -> bool:
    try:
        return _FLAG in str(image.getexif().get(_IMAGE_DESCRIPTION, "")).lower()
    except Exception:  # Pillow raises anything on damaged EXIF, and the pixels are whole
        return False


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
            places.append(Place(nearest, name, step, CHANNELS.index(parsed[1])))
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

    def misfit(start: datetime) -> tuple[int, float, datetime]:
        minutes = [place.minutes for place in image_places(times, start)]
        near = [apart for apart in minutes if apart <= STEP_TOLERANCE_MINUTES]
        return -len(near), sum(near), start

    return min(starts, key=misfit)
