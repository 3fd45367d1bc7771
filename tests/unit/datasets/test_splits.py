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


@settings(max_examples=15, deadline=None)
@given(tables, st.integers(0, 5), st.floats(0.1, 0.5))
def test_every_sample_is_on_one_side_and_no_region_on_both(table, seed, share):
    split = split_by_region(table, validation_share=share, seed=seed)
    rows = np.concatenate([split.train, split.validation])
    assert sorted(rows) == list(range(len(table)))
    regions = table["active_region"].to_numpy()
    assert not set(regions[split.train]) & set(regions[split.validation])


@settings(max_examples=15, deadline=None)
@given(tables)
def test_groups_part_the_regions_and_stay_small(table):
    groups = region_groups(table)
    members = [region for group in groups for region in group]
    assert sorted(members) == sorted(table["active_region"].unique())
    assert max(map(len, groups)) <= MAX_GROUP


@settings(max_examples=15, deadline=None)
@given(tables)
def test_a_group_of_neighbours_is_never_parted(table):
    regions = table["active_region"].to_numpy()
    held = set(regions[split_by_region(table).validation])
    for group in region_groups(table):
        assert len(held & set(group)) in {0, len(group)}


@settings(max_examples=10, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(table, random):
    order = list(range(len(table)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = table.iloc[order].reset_index(drop=True)
    one, other = split_by_region(table), split_by_region(shuffled)
    assert set(table["id"][one.validation]) == set(shuffled["id"][other.validation])
    assert one.fingerprint == other.fingerprint


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


def test_the_same_seed_gives_the_same_split():
    table = lone_regions({QUIET: 30, M: 10})
    one, other = split_by_region(table, seed=3), split_by_region(table, seed=3)
    assert np.array_equal(one.validation, other.validation)
    assert one.fingerprint == other.fingerprint


def test_another_seed_gives_another_split_of_another_fingerprint():
    table = lone_regions({QUIET: 30, M: 10})
    one, other = split_by_region(table, seed=0), split_by_region(table, seed=1)
    assert not np.array_equal(one.validation, other.validation)
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize("pair", [(11967, 11968), (11869, 11872), (11598, 11599)])
def test_known_neighbours_seen_at_the_same_time_stay_together(pair):
    table = table_of({pair[0]: (0, M), pair[1]: (0.5, C), 11000: (0, C)})
    assert region_groups(table) == [(11000,), pair]


def test_consecutive_regions_of_different_weeks_are_not_neighbours():
    table = table_of({11967: (0, M), 11968: (7, C)})
    assert region_groups(table) == [(11967,), (11968,)]


def test_windows_that_only_touch_are_not_at_the_same_time():
    table = table_of({11967: (0, M), 11968: (1.5, C)})  # three windows of 12 h end at 1.5 days
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


def regions_of_folds(table: pd.DataFrame, folds: np.ndarray) -> list[set[int]]:
    regions = table["active_region"].to_numpy()
    return [set(regions[folds == fold]) for fold in range(folds.max() + 1)]


@settings(max_examples=15, deadline=None)
@given(tables, st.integers(2, 3), st.integers(0, 5))
def test_a_group_of_neighbours_is_in_one_fold(table, n, seed):
    for regions in regions_of_folds(table, folds_by_region(table, n, seed=seed)):
        for group in region_groups(table):
            assert len(regions & set(group)) in {0, len(group)}


@settings(max_examples=15, deadline=None)
@given(tables, st.integers(2, 3), st.integers(0, 5))
def test_no_fold_is_empty(table, n, seed):
    assert set(folds_by_region(table, n, seed=seed)) == set(range(n))


@pytest.mark.parametrize("seed", range(5))
def test_every_fold_has_its_share_of_each_class(seed):
    table = lone_regions({QUIET: 9, C: 7, M: 4, X: 3})
    folds = folds_by_region(table, 3, seed=seed)
    for flux, least in ((C, 2), (M, 1), (X, 1)):
        counts = [int((table["peak_flux"][folds == fold] == flux).sum()) for fold in range(3)]
        assert min(counts) >= least
    sizes = [len(regions) for regions in regions_of_folds(table, folds)]
    assert max(sizes) - min(sizes) <= 1


@settings(max_examples=10, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_fold(table, random):
    order = np.arange(len(table))
    random.shuffle(order)
    folds = folds_by_region(table, 3, seed=0)
    np.testing.assert_array_equal(folds_by_region(table.iloc[order], 3, seed=0), folds[order])


def test_another_seed_deals_other_folds():
    table = lone_regions({QUIET: 9, C: 7})
    assert (folds_by_region(table, 3, seed=0) != folds_by_region(table, 3, seed=1)).any()


def test_more_folds_than_groups_of_regions_are_refused_with_what_to_do():
    table = table_of({11000: (0, QUIET), 11001: (0, M), 11050: (90, C)})
    with pytest.raises(DatasetInvalid, match=r"3 active regions in 2 groups .* folds=3; use fewer"):
        folds_by_region(table, 3, seed=0)
