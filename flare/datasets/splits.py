"""Split samples by active region, never by sample: into training and validation, or into folds.

Samples of one region show the same magnetic field hours apart, and those of one range share a
label: separated, they would let a model recognise what it should forecast. Regions that share an
image stay together too. The table has no positions, so numbers and times are used instead: NOAA
numbers regions as they appear, and known pairs of neighbours (11967/11968, 11869/11872,
11598/11599) are at most three numbers apart and are observed in the same hours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.datasets.sdobenchmark.fingerprint import short
from flare.errors import ConfigInvalid, DatasetInvalid
from flare.files import digest
from flare.goes import class_index
from flare.seeding import Stream, stream

MAX_NUMBER_DIFFERENCE = 3

#: Largest group of neighbouring regions. In years of high activity each region overlaps with the
#: next one, and without a bound a single chain would hold most of the dataset.
MAX_GROUP = 6


@dataclass(frozen=True)
class Split:
    """Ascending row numbers of a table, and a fingerprint of 16 digits of the split's members."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    fingerprint: str


def split_by_region(table: pd.DataFrame, *, validation_share: float = 0.2, seed: int = 0) -> Split:
    """Split a table's rows by active region, each flare class in proportion.

    The regions of each largest class (below C, C, M, X) are split separately, so that validation
    has its share of the rare strong flares: a class with two groups or more is in both parts.
    Which regions it gets depends on the regions and the seed, not on the order of the rows.

    Raises DatasetInvalid: there are too few regions for two parts.
    """
    if not 0 < validation_share < 1:
        raise ConfigInvalid(f"validation_share is {validation_share}; take one between 0 and 1")
    groups = region_groups(table)
    chosen = _choose(groups, strata(table, groups), validation_share, seed)
    in_validation = np.isin(table["active_region"].to_numpy(), list(chosen))
    if in_validation.all() or not in_validation.any():
        raise DatasetInvalid(
            f"{sum(map(len, groups))} active regions in {len(groups)} groups of neighbours are too "
            f"few for a validation share of {validation_share}; use a dataset with more regions"
        )
    members = sorted(
        f"{'validation' if held else 'training'} {sample}"
        for held, sample in zip(in_validation, table["id"], strict=True)
    )
    return Split(
        np.flatnonzero(~in_validation),
        np.flatnonzero(in_validation),
        short(digest("\n".join(members).encode())),
    )


def folds_by_region(table: pd.DataFrame, n_folds: int, *, seed: int) -> NDArray[np.intp]:
    """Assign a table's regions to folds; return each row's fold, (N,) in 0..n_folds - 1.

    Neighbouring regions stay together. The regions of each largest class (below C, C, M, X) are
    assigned separately, so that every fold has its share of the rare strong flares. Which fold a
    region is in depends on the regions and the seed, not on the order of the rows.

    Raises DatasetInvalid: there are fewer groups of neighbours than folds.
    """
    groups = region_groups(table)
    if len(groups) < n_folds:
        raise DatasetInvalid(
            f"{sum(map(len, groups))} active regions in {len(groups)} groups of neighbours are too "
            f"few for folds={n_folds}; use fewer folds, folds=0, or a dataset with more regions"
        )
    levels = strata(table, groups)
    sizes = np.zeros(n_folds, dtype=np.intp)  # regions in each fold
    fold_of: dict[int, int] = {}
    for level in sorted(set(levels), reverse=True):
        own = [group for group, stratum in zip(groups, levels, strict=True) if stratum == level]
        of_class = np.zeros(n_folds, dtype=np.intp)
        for k in stream(seed, Stream.FOLDS, level).permutation(len(own)):
            fold = int(np.lexsort((sizes, of_class))[0])  # fewest of this class, then fewest of all
            fold_of.update(dict.fromkeys(own[k], fold))
            of_class[fold] += len(own[k])
            sizes[fold] += len(own[k])
    return np.array([fold_of[int(region)] for region in table["active_region"]], dtype=np.intp)


def region_groups(table: pd.DataFrame) -> list[tuple[int, ...]]:
    """Return groups of regions that stay together, each sorted, by their first number.

    Pairs of neighbours are joined as long as a group has at most ``MAX_GROUP`` regions: smallest
    difference of numbers first, then longest common time.
    """
    group = {int(region): {int(region)} for region in table["active_region"].unique()}
    for _, _, first, second in sorted(neighbours(table)):
        joined = group[first] | group[second]
        if len(joined) <= MAX_GROUP:
            group.update(dict.fromkeys(joined, joined))
    return sorted({tuple(sorted(members)) for members in group.values()})


def neighbours(table: pd.DataFrame) -> Iterator[tuple[int, int, int, int]]:
    """Yield pairs of neighbours: (difference of numbers, minus common ns, first, second region)."""
    windows = {
        int(str(region)): rows[["start", "end"]].to_numpy().astype("int64")  # (windows, 2)
        for region, rows in table.groupby("active_region")
    }
    for first, own in windows.items():
        for second in range(first + 1, first + 1 + MAX_NUMBER_DIFFERENCE):
            if second in windows:
                other = windows[second]
                begin = np.maximum(own[:, None, 0], other[None, :, 0])
                end = np.minimum(own[:, None, 1], other[None, :, 1])
                common = int(np.maximum(end - begin, 0).sum())
                if common > 0:
                    yield second - first, -common, first, second


def strata(table: pd.DataFrame, groups: Iterable[tuple[int, ...]]) -> list[int]:
    """Return each group's largest class: 0 below C, 1 C, 2 M, 3 X."""
    largest = table.groupby("active_region")["peak_flux"].max()
    flux = [max(float(largest[region]) for region in members) for members in groups]
    return [max(int(index) - 1, 0) for index in class_index(flux)]


def _choose(groups: list[tuple[int, ...]], levels: list[int], share: float, seed: int) -> set[int]:
    """Return the regions of validation."""
    chosen: set[int] = set()
    missing = 0.0  # regions by which the strata so far fall short of their share
    for stratum in sorted(set(levels), reverse=True):
        own = [group for group, level in zip(groups, levels, strict=True) if level == stratum]
        order = stream(seed, Stream.SPLIT, stratum).permutation(len(own))
        sizes = np.cumsum([0, *(len(own[k]) for k in order)])
        wanted = share * sizes[-1] + missing
        count = int(np.abs(sizes - wanted).argmin())
        if len(own) > 1:
            count = min(max(count, 1), len(own) - 1)
        missing = wanted - sizes[count]
        chosen.update(region for k in order[:count] for region in own[k])
    return chosen
