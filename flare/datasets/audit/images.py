"""Check the images of a pack: copies of an image, and images of a single grey level.

Images are compared by digests of the pixels that a model reads, so that a file that was only
written again is the same image.
"""

from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice, pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.datasets.audit.checks import AuditFinding, audit_finding
from flare.datasets.pack.reader import Pack
from flare.images.planes import UNIFORM
from flare.parallel import Progress, map_in_order, reported
from flare.sample import CHANNELS, N_CHANNELS, N_PLANES, N_STEPS, STEP_NAMES, Present

_TASK_SAMPLES = 64  # hashing is faster than decoding, so a task has more samples


@dataclass(frozen=True)
class Planes:
    """Digests of the images of N samples.

    ``digests`` uint64 (N, 4, 10) are the first 8 bytes of the SHA-256 of the pixels; 0 where there
    is none, or one of a single grey level.
    """

    table: pd.DataFrame
    digests: NDArray[np.uint64]
    present: Present

    @property
    def uniform(self) -> NDArray[np.bool_]:
        """Images that the pack has as present, but which have no content."""
        return np.asarray(self.present & (self.digests == 0))

    def take(self, rows: NDArray[np.intp]) -> "Planes":
        """Return some of the samples."""
        table = self.table.iloc[rows].reset_index(drop=True)
        return Planes(table, self.digests[rows], self.present[rows])

    def name(self, place: NDArray[np.intp]) -> str:
        """Name the image at (sample, step, channel)."""
        sample, step, channel = map(int, place)
        return f"{self.table['id'][sample]} {CHANNELS[channel]} ({STEP_NAMES[step]})"


def planes_of(
    pack: Pack, *, processes: int | None = None, progress: Progress | None = None
) -> dict[str, Planes]:
    """Read every image of a pack once, and return the digests by split."""
    splits = {name: pack.split(name) for name in pack.samples}
    tasks = [
        (pack, name, row, rows.present[row : row + _TASK_SAMPLES])
        for name, rows in splits.items()
        for row in range(0, len(rows), _TASK_SAMPLES)
    ]
    with closing(map_in_order(_digest_samples, tasks, processes=processes)) as results:
        samples = iter(list(reported(results, progress, sum(pack.samples.values()))))
    return {
        name: Planes(rows.table, np.stack(list(islice(samples, len(rows)))), rows.present)
        for name, rows in splits.items()
    }


def _digest_samples(task: tuple[Pack, str, int, Present]) -> list[NDArray[np.uint64]]:
    """Digest consecutive samples of a split, from a row on."""
    pack, split, first, present = task
    cubes = pack.cubes(split)
    return [
        digest_images(np.asarray(cubes[row]).reshape(N_PLANES, -1), has)
        for row, has in enumerate(present, start=first)
    ]


def digest_images(planes: NDArray[np.uint8], present: Present) -> NDArray[np.uint64]:
    """Digest one sample's images (40, pixels), where ``present`` (4, 10) says so."""
    digests = np.zeros(N_PLANES, dtype=np.uint64)
    for k in np.flatnonzero(present):
        if (planes[k] != planes[k, 0]).any():
            digests[k] = np.frombuffer(sha256(planes[k]).digest()[:8], np.uint64)[0]
    return digests.reshape(N_STEPS, N_CHANNELS)


def identical_images(left: Planes, right: Planes, *, place: str) -> AuditFinding:
    """Count images on the right whose pixels are on the left too, in any sample."""
    same = np.isin(right.digests, left.digests[left.digests > 0])
    places = np.argwhere(same)
    twins = (np.argwhere(left.digests == right.digests[tuple(image)])[0] for image in places)
    pairs = zip(twins, places, strict=True)
    n_samples = len(np.unique(places[:, 0]))
    return audit_finding(
        "identical_images",
        place,
        (f"{left.name(one)} | {right.name(image)}" for one, image in pairs),
        count=len(places),
        total=int(right.present.sum()),
        note=f"in {n_samples} samples" if n_samples else "",
    )


def images_in_two_regions(planes: Planes, *, place: str) -> AuditFinding:
    """Count images whose pixels several regions of one split have.

    Samples of one region with overlapping windows rightly share images.
    """
    values, counts = np.unique(planes.digests, return_counts=True)
    several = values[(counts > 1) & (values > 0)]
    places = np.argwhere(np.isin(planes.digests, several))
    digests = planes.digests[tuple(places.T)]
    regions = planes.table["active_region"].to_numpy()[places[:, 0]]
    order = np.lexsort((regions, digests))
    places, digests, regions = places[order], digests[order], regions[order]
    _, first = np.unique(digests, return_index=True)
    bounds = [*first.tolist(), len(digests)]
    bad = [(low, high) for low, high in pairwise(bounds) if regions[low] != regions[high - 1]]
    return audit_finding(
        "images_in_two_regions",
        place,
        (f"{planes.name(places[low])} | {planes.name(places[high - 1])}" for low, high in bad),
        count=sum(high - low for low, high in bad),
        total=int(planes.present.sum()),
    )


def uniform_images(planes: Planes, *, place: str) -> AuditFinding:
    """Count images of one grey level that the pack has as present.

    The reader masks files of one value, so these come from a pack that something else wrote, or
    from pixels so nearly equal that averaging them down leaves one level.
    """
    places = np.argwhere(planes.uniform)
    by_channel = planes.uniform.sum(axis=(0, 1))  # (C,)
    counts = {channel: int(n) for channel, n in zip(CHANNELS, by_channel, strict=True) if n}
    return audit_finding(
        "uniform_images",
        place,
        map(planes.name, places),
        count=len(places),
        total=int(planes.present.sum()),
        note=", ".join(f"{n} of {channel}" for channel, n in counts.items()),
        figures=dict(counts),
    )


def masked_uniform_images(pack: Pack, *, place: str) -> AuditFinding:
    """Count the files of one value that were masked when the pack was made.

    Examples are among the rejected files that the pack names.
    """
    named = pack.rejected_images()
    uniform = named[named["reason"] == UNIFORM]
    count = pack.rejected_counts.get(UNIFORM, 0)
    present = N_PLANES * sum(pack.samples.values()) - sum(pack.missing.values())
    return audit_finding(
        "masked_uniform_images",
        place,
        (f"{key} {file}" for key, file in zip(uniform["id"], uniform["file"], strict=True)),
        count=count,
        total=present + count,
        note=f"masked as missing, {count:,} images" if count else "",
    )
