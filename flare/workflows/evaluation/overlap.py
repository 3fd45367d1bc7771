"""Which active regions of a split a forecaster was trained on: scores on them are optimistic.

A NOAA number is the same region in every real dataset. A synthetic region is identified by its
number and the seed of its dataset: sets of one seed share regions whatever their sizes, sets of
different seeds share none. Where the seed is unknown, equal numbers count as the same region: a
false alarm can be overruled, an unnoticed leak cannot.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flare.datasets.pack.reader import Pack, PackedSplit
from flare.forecasters.base import Origin


@dataclass(frozen=True)
class Regions:
    """Active regions of a dataset.

    ``seed`` is that of synthetic regions, None for real ones or an unknown seed; ``fingerprint`` is
    that of the dataset, None where it is unknown.
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
    """Return the regions that a forecaster was fitted or postprocessed on, validation included."""
    if not _same_numbers(origin, regions):
        return ()
    return tuple(sorted(regions.numbers.intersection(origin.active_regions)))


def _same_numbers(origin: Origin, regions: Regions) -> bool:
    """Return True if region numbers name the same regions in both."""
    if regions.fingerprint is not None and origin.data_fingerprint == regions.fingerprint:
        return True  # the same data, whatever its description says
    if origin.synthetic != regions.synthetic:
        return False
    known = origin.synthetic_seed is not None and regions.seed is not None
    return not origin.synthetic or not known or origin.synthetic_seed == regions.seed


def listed(regions: Iterable[int], *, most: int = 10) -> str:
    """Return the first region numbers as text."""
    numbers = sorted(regions)
    return ", ".join(map(str, numbers[:most])) + (", ..." if len(numbers) > most else "")
