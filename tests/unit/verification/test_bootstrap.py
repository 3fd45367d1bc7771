import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.errors import VerificationInvalid
from flare.verification.bootstrap import (
    grouped_means,
    grouped_shares,
    interval,
    region_weights,
    wilson_interval,
)
from flare.verification.flux import mean_error


@given(regions=st.lists(st.integers(11000, 11009), min_size=1, max_size=40))
def test_all_samples_of_a_region_have_the_same_weight(regions):
    weights = region_weights(np.array(regions), n_resamples=20, seed=0)
    for region in set(regions):
        columns = weights[:, np.array(regions) == region]
        np.testing.assert_array_equal(columns, np.repeat(columns[:, :1], columns.shape[1], axis=1))


@given(regions=st.lists(st.integers(11000, 11009), min_size=1, max_size=40))
def test_each_resample_draws_as_many_regions_as_there_are(regions):
    weights = region_weights(np.array(regions), n_resamples=20, seed=0)
    names, first = np.unique(regions, return_index=True)
    np.testing.assert_array_equal(weights[:, first].sum(axis=1), len(names))


def test_the_same_seed_draws_the_same_regions_and_another_others():
    regions = np.arange(30)
    first = region_weights(regions, n_resamples=10, seed=7)
    np.testing.assert_array_equal(first, region_weights(regions, n_resamples=10, seed=7))
    assert (first != region_weights(regions, n_resamples=10, seed=8)).any()


def test_the_bootstrap_finds_the_standard_error_of_a_mean():
    values = np.random.default_rng(3).normal(0, 1, 400)
    weights = region_weights(np.arange(400), n_resamples=4000, seed=0)
    spread = mean_error(np.zeros(400), values, weights=weights).std()
    assert spread == pytest.approx(values.std() / np.sqrt(400), rel=0.05)


def test_ten_copies_of_each_sample_in_its_region_leave_the_interval_as_it_was():
    values = np.random.default_rng(3).normal(0, 1, 50)
    once = region_weights(np.arange(50), n_resamples=200, seed=0)
    tenfold = region_weights(np.repeat(np.arange(50), 10), n_resamples=200, seed=0)
    narrow = mean_error(np.zeros(50), values, weights=once)
    copied = mean_error(np.zeros(500), np.repeat(values, 10), weights=tenfold)
    np.testing.assert_allclose(interval(copied), interval(narrow))


def test_the_interval_leaves_out_the_same_share_on_both_sides():
    assert interval(np.arange(1001.0), 0.9) == pytest.approx((50, 950))


def test_undefined_resamples_are_left_out_of_the_interval():
    values = np.append(np.arange(101.0), np.full(101, np.nan))
    assert interval(values, 0.9) == pytest.approx((5, 95))


def test_there_is_no_interval_when_most_resamples_are_undefined():
    values = np.append(np.arange(100.0), np.full(101, np.nan))
    assert np.isnan(interval(values)).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_not_a_share_is_refused(level):
    with pytest.raises(VerificationInvalid, match=str(level)):
        interval(np.arange(3.0), level)


def test_an_interval_of_no_values_is_refused():
    with pytest.raises(VerificationInvalid, match="no resampled values"):
        interval(np.array([]))


def test_no_resamples_are_refused():
    with pytest.raises(VerificationInvalid, match="0 resamples"):
        region_weights(np.arange(3), n_resamples=0, seed=0)


def test_no_regions_are_refused():
    with pytest.raises(VerificationInvalid, match=r"\(0,\)"):
        region_weights(np.array([]), seed=0)


VALUES = np.array([1.0, 3.0, 10.0, 20.0, 30.0])
GROUPS = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], dtype=np.bool_)


def test_wilsons_interval_is_the_published_one():
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I
    low, high = wilson_interval(np.array([81.0, 15.0, 0.0]), np.array([263.0, 148.0, 20.0]), 0.95)
    assert low.tolist() == pytest.approx([0.2553, 0.0624, 0.0], abs=1e-4)
    assert high.tolist() == pytest.approx([0.3662, 0.1605, 0.1611], abs=1e-4)


def test_a_group_without_samples_has_neither_mean_nor_interval():
    weights = region_weights(np.arange(5), n_resamples=20, seed=0)
    result = grouped_means(VALUES, GROUPS, weights=weights, level=0.95)
    assert result.value.tolist() == pytest.approx([2, 20, np.nan], nan_ok=True)
    assert result.counts.tolist() == [2, 3, 0]
    assert np.isnan(result.low).tolist() == [False, False, True]


def test_the_interval_of_a_mean_is_that_over_resampled_regions():
    weights = region_weights([1, 2, 3, 4, 4], n_resamples=200, seed=0)
    result = grouped_means(VALUES, GROUPS, weights=weights, level=0.9)
    some = weights[:, 2:]
    with np.errstate(invalid="ignore"):
        means = (some @ VALUES[2:]) / some.sum(axis=1)
    assert (result.low[1], result.high[1]) == pytest.approx(interval(means, 0.9))


def test_a_mean_of_one_region_has_no_interval():
    weights = region_weights([1, 1, 2, 3, 3], n_resamples=50, seed=0)
    result = grouped_means(VALUES, GROUPS, weights=weights, level=0.95)
    assert np.isnan(result.low).tolist() == [True, False, True]


def test_a_share_of_one_region_has_at_least_the_binomial_interval():
    weights = region_weights([1, 1, 2, 3, 3], n_resamples=50, seed=0)
    outcomes = np.array([True, False, True, True, True])
    result = grouped_shares(outcomes, GROUPS, weights=weights, level=0.95)
    low, high = wilson_interval(np.array([1.0]), np.array([2.0]), 0.95)
    assert (result.low[0], result.high[0]) == (low[0], high[0])
