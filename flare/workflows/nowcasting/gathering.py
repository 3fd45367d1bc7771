"""Gather the images of four time steps, and cut the field of every region from them."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from flare.datasets.sun.cutout import follow, full_disk, region_image
from flare.datasets.sun.images import ImageUnusable, SolarImage, read_image
from flare.datasets.sun.regions import SolarRegion
from flare.datasets.sun.sources import SunSource
from flare.progress import counter
from flare.sample import (
    CHANNELS,
    INPUT_WINDOW_HOURS,
    N_CHANNELS,
    N_PLANES,
    N_STEPS,
    STEP_NAMES,
    STEP_OFFSETS_MINUTES,
    Cube,
    Present,
)

log = logging.getLogger("flare")

#: How far an image may be from its time step: SDOBenchmark's own tolerance.
TOLERANCE = timedelta(minutes=15)

#: Channels that a picture of the full disk is made of, the first that is there.
_PICTURE = ("193", "211", "171", "304", "131", "335", "94", "1700", "continuum", "magnetogram")

BEHIND_LIMB = "behind the limb"


@dataclass(frozen=True)
class Refused:
    """An image that is missing, or was not used, and why; ``region`` is 0 where it is for all."""

    step: int
    channel: str
    reason: str
    source: str = ""
    region: int = 0


@dataclass(frozen=True)
class DiskPicture:
    """The full disk in grey levels, (P, P), north up, and the places of regions in it.

    ``places`` are arcsec west and north of disk centre by region, without those behind the limb;
    ``radius`` is that of the Sun and ``field`` the width of the picture, in arcsec.
    """

    grey: NDArray[np.uint8]
    channel: str
    time: datetime
    field: float
    radius: float
    places: dict[int, tuple[float, float]]


@dataclass
class Gathered:
    """Cubes (R, T, C, S, S) of R regions with their mask, and what they were made of.

    ``images`` are the digests of the files used by ``step/channel``; ``newest`` is the time of the
    newest of them.
    """

    regions: Sequence[SolarRegion]
    cubes: Cube
    present: Present
    images: dict[str, str] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    newest: datetime | None = None
    picture: DiskPicture | None = None

    def reasons(self, row: int) -> Counter[str]:
        """Count why images of a region are missing."""
        number = self.regions[row].number
        return Counter(
            one.reason for one in self.refused
            if one.region in (0, number)
            and not self.present[row, one.step, CHANNELS.index(one.channel)]
        )  # fmt: skip


def gather(
    source: SunSource, regions: Sequence[SolarRegion], issue_time: datetime, size: int
) -> Gathered:
    """Take the image nearest to each step of each channel that can be used.

    Images after ``issue_time``, or further than 15 minutes from their step, are not used. Each
    image is read, cut for all regions at ``size`` pixels, and forgotten.
    """
    shape = (len(regions), N_STEPS, N_CHANNELS)
    result = Gathered(regions, np.zeros((*shape, size, size), np.uint8), np.zeros(shape, np.bool_))
    start = issue_time - timedelta(hours=INPUT_WINDOW_HOURS)
    shown: dict[tuple[int, int], SolarImage] = {}
    with counter("images") as progress:
        for step, offset in enumerate(STEP_OFFSETS_MINUTES):
            for k, channel in enumerate(CHANNELS):
                time = start + timedelta(minutes=offset)
                image = _nearest(source, step, channel, time, issue_time, result.refused)
                if image is not None and _add(result, step, k, image):
                    rank = (step, -_PICTURE.index(channel))
                    shown = {rank: image} if not shown or rank > max(shown) else shown
                progress(step * N_CHANNELS + k + 1, N_PLANES)
    for image in shown.values():
        result.picture = _picture(image, regions)
    return result


def _nearest(
    source: SunSource,
    step: int,
    channel: str,
    time: datetime,
    issue_time: datetime,
    refused: list[Refused],
) -> SolarImage | None:
    """Return the first usable image around a time; note what was refused before it."""
    earliest, latest = time - TOLERANCE, min(time + TOLERANCE, issue_time)
    reason = f"no image within {TOLERANCE // timedelta(minutes=1)} min"
    name = ""
    for raw in source.images(channel, time, earliest, latest):
        name = raw.source
        try:
            image = read_image(raw)
            if image.channel != channel:
                raise ImageUnusable(f"it is an image of {image.channel}")
            if not earliest <= image.time <= latest:
                raise ImageUnusable(f"stale: observed {image.time:%Y-%m-%d %H:%M:%S} UTC")
        except ImageUnusable as error:
            reason = str(error)
            log.info("%s, %s: %s is not used (%s)", STEP_NAMES[step], channel, name, reason)
        else:
            return image
    refused.append(Refused(step, channel, reason, name))
    return None


def _add(result: Gathered, step: int, k: int, image: SolarImage) -> bool:
    """Cut the field of every region from one image; return whether any could be."""
    used = False
    for row, region in enumerate(result.regions):
        try:
            place = follow(region, image)
            if place is None:
                raise ImageUnusable(BEHIND_LIMB)
            size = result.cubes.shape[-1]
            result.cubes[row, step, k] = region_image(image, place, size)
        except ImageUnusable as error:
            why = Refused(step, image.channel, str(error), image.source, region.number)
            result.refused.append(why)
        else:
            result.present[row, step, k] = used = True
    if used:
        result.images[f"{step}/{image.channel}"] = image.digest
        result.newest = max(image.time, result.newest or image.time)
    return used


def _picture(image: SolarImage, regions: Sequence[SolarRegion]) -> DiskPicture:
    """Return the full disk of an image, and where the regions are in it."""
    grey, width = full_disk(image)
    followed = {region.number: follow(region, image) for region in regions}
    places = {
        number: (float(place.Tx.to_value("arcsec")), float(place.Ty.to_value("arcsec")))
        for number, place in followed.items()
        if place is not None
    }
    radius = float(image.map.rsun_obs.to_value("arcsec"))
    return DiskPicture(grey, image.channel, image.time, width, radius, places)
