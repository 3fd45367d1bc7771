"""Which active regions a forecaster has seen before: a score on them would be one of memory.

A NOAA number is the same region in every copy of every real dataset. An invented region is known
by its number and the seed that invented it: sets of one seed share regions whatever their sizes,
sets of different seeds share none. Where a synthetic set does not say its seed, equal numbers count
as the same region, because a false alarm can be overruled and a silent leak cannot.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flare.datasets.pack.reader import Pack, PackedSplit
from flare.forecasters.base import Origin


@dataclass(frozen=True)
class Regions:
    """Active regions, and what their numbers mean.

    ``seed`` invented them, None where they are real or nobody knows; ``fingerprint`` is that of
    the dataset, None where it is not known.
    """

    numbers: frozenset[int]
    synthetic: bool
    seed: int | None
    fingerprint: str | None = None


def regions_of(pack: Pack, rows: PackedSplit) -> Regions:
    """Return the active regions of a split."""
    numbers = frozenset(int(region) for region in rows.table["active_region"])
    return Regions(numbers, pack.synthetic, pack.synthetic_seed, pack.fingerprint)


def seen_regions(origin: Origin, regions: Regions) -> tuple[int, ...]:
    """Return the regions that a forecaster was fitted or tuned on, validation included."""
    if not _same_numbers(origin, regions):
        return ()
    return tuple(sorted(regions.numbers.intersection(origin.active_regions)))


def _same_numbers(origin: Origin, regions: Regions) -> bool:
    """Say whether a number means one and the same region in both."""
    if regions.fingerprint is not None and origin.data_fingerprint == regions.fingerprint:
        return True  # the very same data, whatever its description says
    if origin.synthetic != regions.synthetic:
        return False
    known = origin.synthetic_seed is not None and regions.seed is not None
    return not origin.synthetic or not known or origin.synthetic_seed == regions.seed


def shown(regions: Iterable[int], *, most: int = 10) -> str:
    """Put the first region numbers into words."""
    numbers = sorted(regions)
    return ", ".join(map(str, numbers[:most])) + (", ..." if len(numbers) > most else "")
