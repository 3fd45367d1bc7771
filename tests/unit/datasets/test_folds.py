"""Folds by active region: neighbours together, each class in every fold, repeatable."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_splits import QUIET, C, M, X, lone_regions, table_of, tables

from flare.datasets.folds import folds_by_region
from flare.datasets.splits import region_groups
from flare.errors import DatasetInvalid


def regions_of_folds(table: pd.DataFrame, folds: np.ndarray) -> list[set[int]]:
    regions = table["active_region"].to_numpy()
    return [set(regions[folds == fold]) for fold in range(folds.max() + 1)]


@settings(max_examples=40, deadline=None)
@given(tables, st.integers(2, 3), st.integers(0, 5))
def test_a_group_of_neighbours_is_in_one_fold(table: pd.DataFrame, n: int, seed: int) -> None:
    for regions in regions_of_folds(table, folds_by_region(table, n, seed=seed)):
        for group in region_groups(table):
            assert len(regions & set(group)) in {0, len(group)}


@settings(max_examples=40, deadline=None)
@given(tables, st.integers(2, 3), st.integers(0, 5))
def test_no_fold_is_empty(table: pd.DataFrame, n: int, seed: int) -> None:
    assert set(folds_by_region(table, n, seed=seed)) == set(range(n))


@pytest.mark.parametrize("seed", range(5))
def test_every_fold_has_its_share_of_each_class(seed: int) -> None:
    table = lone_regions({QUIET: 9, C: 7, M: 4, X: 3})
    folds = folds_by_region(table, 3, seed=seed)
    for flux, least in ((C, 2), (M, 1), (X, 1)):
        counts = [int((table["peak_flux"][folds == fold] == flux).sum()) for fold in range(3)]
        assert min(counts) >= least
    sizes = [len(regions) for regions in regions_of_folds(table, folds)]
    assert max(sizes) - min(sizes) <= 1


@settings(max_examples=20, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_fold(table: pd.DataFrame, random: object) -> None:
    order = np.arange(len(table))
    random.shuffle(order)
    folds = folds_by_region(table, 3, seed=0)
    np.testing.assert_array_equal(folds_by_region(table.iloc[order], 3, seed=0), folds[order])


def test_another_seed_deals_other_folds() -> None:
    table = lone_regions({QUIET: 9, C: 7})
    assert (folds_by_region(table, 3, seed=0) != folds_by_region(table, 3, seed=1)).any()


def test_more_folds_than_groups_of_regions_are_refused_with_what_to_do() -> None:
    table = table_of({11000: (0, QUIET), 11001: (0, M), 11050: (90, C)})
    with pytest.raises(DatasetInvalid, match=r"3 active regions in 2 groups .* folds=3; use fewer"):
        folds_by_region(table, 3, seed=0)
