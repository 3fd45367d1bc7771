import numpy as np
import pytest

from flare.verification.bootstrap import (
    grouped_means,
    grouped_shares,
    interval,
    region_weights,
    wilson_interval,
)

VALUES = np.array([1.0, 3.0, 10.0, 20.0, 30.0])
GROUPS = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], dtype=np.bool_)


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I
    low, high = wilson_interval(np.array([81.0, 15.0, 0.0]), np.array([263.0, 148.0, 20.0]), 0.95)
    assert low.tolist() == pytest.approx([0.2553, 0.0624, 0.0], abs=1e-4)
    assert high.tolist() == pytest.approx([0.3662, 0.1605, 0.1611], abs=1e-4)


def test_a_group_without_samples_has_neither_mean_nor_interval() -> None:
    weights = region_weights(np.arange(5), n_resamples=20, seed=0)
    result = grouped_means(VALUES, GROUPS, weights=weights, level=0.95)
    assert result.value.tolist() == pytest.approx([2, 20, np.nan], nan_ok=True)
    assert result.counts.tolist() == [2, 3, 0]
    assert np.isnan(result.low).tolist() == [False, False, True]


def test_the_interval_of_a_mean_is_that_over_resampled_regions() -> None:
    weights = region_weights([1, 2, 3, 4, 4], n_resamples=200, seed=0)
    result = grouped_means(VALUES, GROUPS, weights=weights, level=0.9)
    some = weights[:, 2:]
    with np.errstate(invalid="ignore"):
        means = (some @ VALUES[2:]) / some.sum(axis=1)
    assert (result.low[1], result.high[1]) == pytest.approx(interval(means, 0.9))


def test_a_mean_of_one_region_has_no_interval() -> None:
    weights = region_weights([1, 1, 2, 3, 3], n_resamples=50, seed=0)
    result = grouped_means(VALUES, GROUPS, weights=weights, level=0.95)
    assert np.isnan(result.low).tolist() == [True, False, True]


def test_a_share_of_one_region_has_at_least_the_binomial_interval() -> None:
    weights = region_weights([1, 1, 2, 3, 3], n_resamples=50, seed=0)
    outcomes = np.array([True, False, True, True, True])
    result = grouped_shares(outcomes, GROUPS, weights=weights, level=0.95)
    low, high = wilson_interval(np.array([1.0]), np.array([2.0]), 0.95)
    assert (result.low[0], result.high[0]) == (low[0], high[0])
