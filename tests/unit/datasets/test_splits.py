"""Splits and folds by active region: none on both sides, each class in proportion, repeatable."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare.datasets.splits import MAX_GROUP, folds_by_region, region_groups, split_by_region
from flare.errors import ConfigInvalid, DatasetInvalid
from flare.goes import class_index

QUIET, C, M, X = 1e-9, 4e-6, 3e-5, 2e-4


def table_of(regions: dict[int, tuple[float, float]], *, windows: int = 3) -> pd.DataFrame:
    """Return samples of regions, given as number -> (day of the first window, largest label)."""
    rows = [
        {
            "id": f"{region}_{window}",
            "active_region": region,
            "start": datetime(2014, 1, 1) + timedelta(days=day, hours=12 * window),
            "end": datetime(2014, 1, 1) + timedelta(days=day, hours=12 * (window + 1)),
            "peak_flux": flux if window == 0 else QUIET,
        }
        for region, (day, flux) in regions.items()
        for window in range(windows)
    ]
    return pd.DataFrame(rows)


def lone_regions(counts: dict[float, int]) -> pd.DataFrame:
    """Return regions of each label, far from each other in number and time."""
    labels = [flux for flux, count in counts.items() for _ in range(count)]
    return table_of({11000 + 10 * k: (20.0 * k, flux) for k, flux in enumerate(labels)})


tables = st.dictionaries(
    st.integers(11000, 11060),
    st.tuples(st.floats(0, 60), st.sampled_from([QUIET, C, M, X])),
    min_size=16,
    max_size=50,
).map(table_of)


@settings(max_examples=10)
@given(tables, st.integers(0, 5), st.floats(0.1, 0.5), st.randoms(use_true_random=False))
def test_groups_of_neighbours_are_on_one_side_whatever_the_order_of_the_rows(
    table, seed, share, random
):
    groups = region_groups(table)
    regions = table["active_region"].to_numpy()
    assert sorted(region for group in groups for region in group) == sorted(set(regions))
    assert max(map(len, groups)) <= MAX_GROUP
    split = split_by_region(table, validation_share=share, seed=seed)
    assert sorted([*split.train, *split.validation]) == list(range(len(table)))
    sides = [set(regions[rows]) for rows in (split.train, split.validation)]
    assert all(sum(1 for side in sides if side & set(group)) == 1 for group in groups)
    order = list(range(len(table)))
    random.shuffle(order)
    shuffled = table.iloc[order].reset_index(drop=True)
    other = split_by_region(shuffled, validation_share=share, seed=seed)
    assert set(table["id"][split.validation]) == set(shuffled["id"][other.validation])
    assert split.fingerprint == other.fingerprint


@settings(max_examples=10)
@given(tables, st.integers(2, 3), st.integers(0, 5), st.randoms(use_true_random=False))
def test_groups_of_neighbours_are_in_one_fold_whatever_the_order_of_the_rows(
    table, n_folds, seed, random
):
    folds = folds_by_region(table, n_folds, seed=seed)
    assert set(folds) == set(range(n_folds))
    of_folds = regions_of_folds(table, folds)
    for group in region_groups(table):
        assert sum(1 for regions in of_folds if regions & set(group)) == 1
    order = np.arange(len(table))
    random.shuffle(order)
    again = folds_by_region(table.iloc[order], n_folds, seed=seed)
    np.testing.assert_array_equal(again, folds[order])


def regions_of_folds(table: pd.DataFrame, folds: np.ndarray) -> list[set[int]]:
    regions = table["active_region"].to_numpy()
    return [set(regions[folds == fold]) for fold in range(folds.max() + 1)]


def test_each_class_is_parted_in_proportion():
    table = lone_regions({QUIET: 400, C: 250, M: 50, X: 10})
    split = split_by_region(table, validation_share=0.2)
    largest = table.groupby("active_region")["peak_flux"].max()
    held = largest.loc[table["active_region"][split.validation].unique()]
    assert np.bincount(class_index(held)).tolist() == [80, 0, 50, 10, 2]


def test_a_class_of_two_regions_is_on_both_sides():
    table = lone_regions({QUIET: 20, X: 2})
    split = split_by_region(table, validation_share=0.1)
    assert (table["peak_flux"][split.train] == X).sum() == 1
    assert (table["peak_flux"][split.validation] == X).sum() == 1


def test_what_a_rare_class_takes_too_much_a_common_one_gives_back():
    table = lone_regions({QUIET: 50, C: 2, M: 2, X: 2})
    split = split_by_region(table, validation_share=0.1)
    assert table["active_region"][split.validation].nunique() == 6


def test_the_seed_decides_the_split_and_the_folds():
    table = lone_regions({QUIET: 30, M: 10})
    one, again, other = (split_by_region(table, seed=seed) for seed in (0, 0, 1))
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert not np.array_equal(one.validation, other.validation)
    assert (folds_by_region(table, 3, seed=0) != folds_by_region(table, 3, seed=1)).any()


@pytest.mark.parametrize("pair", [(11967, 11968), (11869, 11872), (11598, 11599)])
def test_known_neighbours_seen_at_the_same_time_stay_together(pair):
    table = table_of({pair[0]: (0, M), pair[1]: (0.5, C), 11000: (0, C)})
    assert region_groups(table) == [(11000,), pair]


@pytest.mark.parametrize("day", [1.5, 7])  # three windows of 12 h end at 1.5 days
def test_consecutive_regions_without_common_time_are_not_neighbours(day):
    table = table_of({11967: (0, M), 11968: (day, C)})
    assert region_groups(table) == [(11967,), (11968,)]


def test_a_long_chain_is_cut_where_it_holds_together_least():
    # Ten consecutive regions at the same time, but the sixth is seen half a day later.
    days = {11000 + k: (0.5 if k >= 5 else 0.0, C) for k in range(10)}
    assert region_groups(table_of(days)) == [tuple(range(11000, 11005)), tuple(range(11005, 11010))]


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5, float("nan")])
def test_a_share_that_leaves_one_side_empty_is_refused(share):
    with pytest.raises(ConfigInvalid, match="take one between 0 and 1"):
        split_by_region(lone_regions({C: 10}), validation_share=share)


def test_one_region_cannot_be_parted():
    with pytest.raises(DatasetInvalid, match=r"1 active regions in 1 groups .* too few"):
        split_by_region(lone_regions({C: 1}))


@pytest.mark.parametrize("seed", range(3))
def test_every_fold_has_its_share_of_each_class(seed):
    table = lone_regions({QUIET: 9, C: 7, M: 4, X: 3})
    folds = folds_by_region(table, 3, seed=seed)
    for flux, least in ((C, 2), (M, 1), (X, 1)):
        counts = [int((table["peak_flux"][folds == fold] == flux).sum()) for fold in range(3)]
        assert min(counts) >= least
    sizes = [len(regions) for regions in regions_of_folds(table, folds)]
    assert max(sizes) - min(sizes) <= 1


def test_more_folds_than_groups_of_regions_are_refused_with_what_to_do():
    table = table_of({11000: (0, QUIET), 11001: (0, M), 11050: (90, C)})
    with pytest.raises(DatasetInvalid, match=r"3 active regions in 2 groups .* folds=3; use fewer"):
        folds_by_region(table, 3, seed=0)
