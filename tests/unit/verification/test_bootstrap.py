import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.errors import VerificationInvalid
from flare.verification.bootstrap import interval, region_weights
from flare.verification.flux import mean_error


@given(regions=st.lists(st.integers(11000, 11009), min_size=1, max_size=40))
def test_all_samples_of_a_region_have_the_same_weight(regions: list[int]) -> None:
    weights = region_weights(np.array(regions), n_resamples=20, seed=0)
    for region in set(regions):
        columns = weights[:, np.array(regions) == region]
        np.testing.assert_array_equal(columns, np.repeat(columns[:, :1], columns.shape[1], axis=1))


@given(regions=st.lists(st.integers(11000, 11009), min_size=1, max_size=40))
def test_each_resample_draws_as_many_regions_as_there_are(regions: list[int]) -> None:
    weights = region_weights(np.array(regions), n_resamples=20, seed=0)
    names, first = np.unique(regions, return_index=True)
    np.testing.assert_array_equal(weights[:, first].sum(axis=1), len(names))


def test_the_same_seed_draws_the_same_regions_and_another_others() -> None:
    regions = np.arange(30)
    first = region_weights(regions, n_resamples=10, seed=7)
    np.testing.assert_array_equal(first, region_weights(regions, n_resamples=10, seed=7))
    assert (first != region_weights(regions, n_resamples=10, seed=8)).any()


def test_the_bootstrap_finds_the_standard_error_of_a_mean() -> None:
    values = np.random.default_rng(3).normal(0, 1, 400)
    weights = region_weights(np.arange(400), n_resamples=4000, seed=0)
    spread = mean_error(np.zeros(400), values, weights=weights).std()
    assert spread == pytest.approx(values.std() / np.sqrt(400), rel=0.05)


def test_ten_copies_of_each_sample_in_its_region_leave_the_interval_as_it_was() -> None:
    values = np.random.default_rng(3).normal(0, 1, 50)
    once = region_weights(np.arange(50), n_resamples=200, seed=0)
    tenfold = region_weights(np.repeat(np.arange(50), 10), n_resamples=200, seed=0)
    narrow = mean_error(np.zeros(50), values, weights=once)
    copied = mean_error(np.zeros(500), np.repeat(values, 10), weights=tenfold)
    np.testing.assert_allclose(interval(copied), interval(narrow))


def test_the_interval_leaves_out_the_same_share_on_both_sides() -> None:
    assert interval(np.arange(1001.0), 0.9) == pytest.approx((50, 950))


def test_undefined_resamples_are_left_out_of_the_interval() -> None:
    values = np.append(np.arange(101.0), np.full(101, np.nan))
    assert interval(values, 0.9) == pytest.approx((5, 95))


def test_there_is_no_interval_when_most_resamples_are_undefined() -> None:
    values = np.append(np.arange(100.0), np.full(101, np.nan))
    assert np.isnan(interval(values)).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_not_a_share_is_refused(level: float) -> None:
    with pytest.raises(VerificationInvalid, match=str(level)):
        interval(np.arange(3.0), level)


def test_an_interval_of_no_values_is_refused() -> None:
    with pytest.raises(VerificationInvalid, match="no resampled values"):
        interval(np.array([]))


def test_no_resamples_are_refused() -> None:
    with pytest.raises(VerificationInvalid, match="0 resamples"):
        region_weights(np.arange(3), n_resamples=0, seed=0)


def test_no_regions_are_refused() -> None:
    with pytest.raises(VerificationInvalid, match=r"\(0,\)"):
        region_weights(np.array([]), seed=0)
