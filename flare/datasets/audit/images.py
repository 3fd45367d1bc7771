"""Images that are there more often than they should be, and images of nothing."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from flare.datasets.audit.checks import AuditFinding, Verdict, met
from flare.datasets.audit.planes import Planes
from flare.datasets.pack.reader import Pack
from flare.images.planes import UNIFORM
from flare.sample import CHANNELS, N_PLANES


def identical_images(left: Planes, right: Planes, *, place: str) -> AuditFinding:
    """Look for images on the right whose pixels are on the left too, whatever sample has them."""
    same = np.isin(right.digests, left.digests[left.digests > 0])
    places = np.argwhere(same)

    def examples() -> Iterator[str]:
        for image in places:
            twin = np.argwhere(left.digests == right.digests[tuple(image)])[0]
            yield f"{left.name(twin)} | {right.name(image)}"

    return met(
        "identical_images",
        place,
        Verdict.INVALID,
        examples(),
        count=len(places),
        total=int(right.present.sum()),
        note=_samples_note(len(np.unique(places[:, 0]))),
    )


def images_in_two_regions(planes: Planes, *, place: str) -> AuditFinding:
    """Look for pixels that several regions of one split have.

    Samples of one region with overlapping windows share images as they should.
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
    return met(
        "images_in_two_regions",
        place,
        Verdict.WARNING,
        (f"{planes.name(places[low])} | {planes.name(places[high - 1])}" for low, high in bad),
        count=sum(high - low for low, high in bad),
        total=int(planes.present.sum()),
    )


def uniform_images(planes: Planes, *, place: str) -> AuditFinding:
    """Look for images of one grey level that count as present.

    The reader masks files of one value, so these come from a pack that something else wrote, or
    from pixels so nearly equal that averaging them down leaves one level.
    """
    places = np.argwhere(planes.uniform)
    by_channel = planes.uniform.sum(axis=(0, 1))  # (C,)
    counts = {channel: int(n) for channel, n in zip(CHANNELS, by_channel, strict=True) if n}
    return met(
        "uniform_images",
        place,
        Verdict.INVALID,
        map(planes.name, places),
        count=len(places),
        total=int(planes.present.sum()),
        note=", ".join(f"{n} of {channel}" for channel, n in counts.items()),
        figures=dict(counts),
    )


def masked_uniform_images(pack: Pack, *, place: str) -> AuditFinding:
    """Tell how many files of one value were masked when the pack was made.

    Examples are among the rejected files that the pack names.
    """
    named = pack.rejected_images()
    uniform = named[named["reason"] == UNIFORM]
    count = pack.rejected_counts.get(UNIFORM, 0)
    present = N_PLANES * sum(pack.samples.values()) - sum(pack.missing.values())
    return met(
        "masked_uniform_images",
        place,
        Verdict.WARNING,
        (f"{key} {file}" for key, file in zip(uniform["id"], uniform["file"], strict=True)),
        count=count,
        total=present + count,
        note=f"masked as missing, {count:,} images" if count else "",
    )


def _samples_note(count: int) -> str:
    return f"in {count} samples" if count else ""
