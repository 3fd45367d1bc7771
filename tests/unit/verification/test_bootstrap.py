import numpy as np
import pytest
from hypothesis import given, settings
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


@settings(max_examples=25)
@given(regions=st.lists(st.integers(11000, 11009), min_size=1, max_size=40).map(np.array))
def test_a_resample_draws_as_many_regions_as_there_are_with_all_their_samples(regions):
    weights = region_weights(regions, n_resamples=20, seed=0)
    names, first, index = np.unique(regions, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(weights, weights[:, first][:, index])
    np.testing.assert_array_equal(weights[:, first].sum(axis=1), len(names))


def test_the_same_seed_draws_the_same_regions_and_another_others():
    first, again, other = (
        region_weights(np.arange(30), n_resamples=10, seed=seed) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_bootstrap_gives_the_standard_error_of_a_mean():
    values = np.random.default_rng(3).normal(0, 1, 400)
    weights = region_weights(np.arange(400), n_resamples=2000, seed=0)
    spread = mean_error(np.zeros(400), values, weights=weights).std()
    assert spread == pytest.approx(values.std() / np.sqrt(400), rel=0.05)


def test_ten_copies_of_each_sample_in_its_region_leave_the_interval_as_it_was():
    values = np.random.default_rng(3).normal(0, 1, 50)
    once = region_weights(np.arange(50), n_resamples=200, seed=0)
    tenfold = region_weights(np.repeat(np.arange(50), 10), n_resamples=200, seed=0)
    narrow = mean_error(np.zeros(50), values, weights=once)
    copied = mean_error(np.zeros(500), np.repeat(values, 10), weights=tenfold)
    np.testing.assert_allclose(interval(copied), interval(narrow))


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        (np.arange(1001.0), (50, 950)),  # the same share left out on both sides
        (np.append(np.arange(101.0), np.full(101, np.nan)), (5, 95)),
        (np.append(np.arange(100.0), np.full(101, np.nan)), (np.nan, np.nan)),  # most undefined
    ],
)
def test_an_interval_is_of_the_defined_resamples_if_they_are_half(values, ends):
    assert interval(values, 0.9) == pytest.approx(ends, nan_ok=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: interval(np.arange(3.0), 0.0), "level of 0.0"),
        (lambda: interval(np.arange(3.0), 1.0), "level of 1.0"),
        (lambda: interval(np.arange(3.0), 95.0), "level of 95.0"),
        (lambda: interval(np.array([])), "no resampled values"),
        (lambda: region_weights(np.arange(3), n_resamples=0, seed=0), "0 resamples"),
        (lambda: region_weights(np.array([]), seed=0), r"\(0,\)"),
    ],
)
def test_what_gives_no_interval_is_refused(make, message):
    with pytest.raises(VerificationInvalid, match=message):
        make()


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
