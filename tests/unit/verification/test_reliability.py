import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression

from flare.errors import VerificationInvalid
from flare.verification.bootstrap import region_weights
from flare.verification.corp import corp_decomposition, murphy_curve, recalibrated_probability
from flare.verification.probabilistic import brier_score
from flare.verification.reliability import (
    bin_edges,
    binned_frequencies,
    brier_decomposition,
    consistency_band,
    expected_calibration_error,
    reliability_bins,
    reliability_table,
)

some = settings(max_examples=30)
samples = st.lists(
    st.tuples(st.booleans(), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=40
).map(lambda rows: tuple(map(np.array, zip(*rows, strict=True))))


def bins_of(observed, probability, n_bins=1, *, weights=None):
    return reliability_bins(
        np.array(observed), np.array(probability), n_bins=n_bins, bins="width", weights=weights
    )


@pytest.mark.parametrize(
    ("observed", "probability", "error"),
    [
        (np.arange(20) < 10, np.full(20, 0.8), 0.3),
        # One sample off by 0.4 and three by 0.1.
        (np.arange(4) < 1, np.array([0.6, 0.1, 0.1, 0.1]), 0.7 / 4),
    ],
)
def test_the_calibration_error_is_the_mean_distance_over_bins_by_their_share(
    observed, probability, error
):
    assert expected_calibration_error(observed, probability) == pytest.approx(error)


def test_calibration_error_of_a_resample_is_that_of_the_repeated_samples():
    observed, probability = np.array([True, False, True]), np.array([0.9, 0.3, 0.35])
    weights = np.array([[1, 1, 1], [0, 2, 1]])
    weighted = expected_calibration_error(observed, probability, weights=weights)
    repeated = expected_calibration_error(observed[[1, 1, 2]], probability[[1, 1, 2]])
    assert weighted[1] == pytest.approx(float(repeated))


@some
@given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.999)), min_size=1), st.integers(1, 15))
def test_filled_bins_equal_scikit_learns(forecasts, n_bins):
    observed = np.array([outcome for outcome, _ in forecasts])
    # Off the edges, where the two put a forecast into different bins.
    probability = (np.floor(np.array([p for _, p in forecasts]) * n_bins) + 0.5) / n_bins
    # Both ends, which both put into the outer bins.
    observed, probability = np.append(observed, [False, True]), np.append(probability, [0, 1])
    frequency, mean = calibration_curve(observed, probability, n_bins=n_bins)
    rows = binned_frequencies(observed, probability, n_bins=n_bins)
    np.testing.assert_allclose([row["observed"] for row in rows], frequency)
    np.testing.assert_allclose([row["forecast"] for row in rows], mean)
    assert sum(row["n"] for row in rows) == len(observed)


def test_bins_hold_their_lower_edge_the_last_both_and_empty_ones_are_nan():
    bins = bins_of([False, False, True], [0.0, 0.75, 1.0], n_bins=4)
    np.testing.assert_array_equal(bins.observed.counts, [1, 0, 0, 2])
    np.testing.assert_array_equal(bins.event_counts, [0, 0, 0, 1])
    np.testing.assert_array_equal(bins.observed.value, [0, np.nan, np.nan, 0.5])
    np.testing.assert_array_equal(bins.mean_probability, [0, np.nan, np.nan, 0.875])


def test_bins_of_equal_counts_hold_a_tenth_each_and_never_divide_equal_forecasts():
    distinct = np.linspace(0.001, 0.2, 400)
    edges = bin_edges(distinct, n_bins=10, bins="count")
    assert np.histogram(distinct, edges)[0].tolist() == [40] * 10
    repeated = np.array([0.0] * 60 + [0.1] * 30 + [0.5] * 10)
    counts = np.histogram(repeated, bin_edges(repeated, n_bins=10, bins="count"))[0]
    assert counts[counts > 0].tolist() == [60, 30, 10]
    assert bin_edges(np.full(5, 0.3), n_bins=10, bins="count").tolist() == [0.3, 0.3]


def test_the_consistency_band_of_independent_samples_is_about_binomial():
    index = np.zeros(500, dtype=np.intp)
    low, high = consistency_band(np.full(500, 0.2), index, n_bins=2, level=0.95)
    # Binomial: 0.2 +- 1.96 sqrt(0.2 * 0.8 / 500) = 0.165, 0.235
    assert (low[0], high[0]) == pytest.approx((0.165, 0.235), abs=0.006)
    assert np.isnan(low[1])  # a bin without forecasts


def test_a_bin_without_events_still_has_an_interval():
    weights = region_weights(np.arange(10), n_resamples=50, seed=0)
    bins = bins_of(np.zeros(10, dtype=bool), np.full(10, 0.01), weights=weights)
    assert bins.observed.high[0] == pytest.approx(0.2775, abs=1e-4)  # Wilson's, for 0 of 10


def test_samples_that_share_a_region_widen_the_intervals():
    outcomes = np.repeat(np.arange(20) % 4 == 0, 10)  # 20 regions of 10 samples that are alike
    weights = region_weights(np.arange(200) // 10, n_resamples=300, seed=0)
    wide, narrow = (
        bins_of(outcomes, np.full(200, 0.3), weights=one).observed for one in (weights, None)
    )
    assert wide.high[0] - wide.low[0] > 2 * (narrow.high[0] - narrow.low[0])


@some
@given(sample=samples, n_bins=st.integers(1, 12))
def test_the_five_parts_sum_to_the_brier_score_in_every_resample(sample, n_bins):
    observed, probability, counts = sample
    weights = np.stack([np.ones(len(counts)), 1 + counts])
    weights[1, 1:] -= 1  # samples that a resample left out
    parts = brier_decomposition(observed, probability, n_bins=n_bins, weights=weights)
    whole = brier_score(observed, probability, weights=weights)
    np.testing.assert_allclose(parts.brier_score, whole, atol=1e-12)


@some
@given(sample=samples)
def test_three_parts_are_enough_where_all_forecasts_of_a_bin_are_equal(sample):
    observed, probability, _ = sample
    tenths = np.floor(probability * 9.99) / 10 + 0.05
    parts = brier_decomposition(observed, tenths)
    three = parts.reliability - parts.resolution + parts.uncertainty
    assert three == pytest.approx(float(brier_score(observed, tenths)), abs=1e-12)


def test_four_forecasts_have_the_parts_that_a_pencil_gives():
    observed = np.array([True, False, True, False])
    parts = brier_decomposition(observed, np.array([0.9, 0.7, 0.4, 0.2]), n_bins=2)
    # Below one half: mean 0.3 and frequency 1/2; above: mean 0.8 and frequency 1/2.
    assert parts.reliability == pytest.approx((0.2**2 + 0.3**2) / 2)
    assert parts.resolution == pytest.approx(0)
    assert parts.uncertainty == 0.25
    assert parts.within_bin_variance == pytest.approx(0.01)
    assert parts.within_bin_covariance == pytest.approx(2 * 0.1 * 0.5)


def test_perfect_forecasts_resolve_all_the_uncertainty_and_constant_ones_nothing():
    observed = np.arange(10) < 3
    perfect = brier_decomposition(observed, observed.astype(float))
    constant = brier_decomposition(observed, np.full(10, 0.27))
    assert (perfect.reliability, perfect.resolution) == (0, pytest.approx(0.21))
    assert perfect.uncertainty == constant.uncertainty == pytest.approx(0.21)
    assert constant.resolution == pytest.approx(0, abs=1e-15)
    assert constant.within_bin_variance == pytest.approx(0, abs=1e-15)


def test_a_resample_of_nothing_has_no_parts():
    parts = brier_decomposition(np.array([True]), np.array([0.5]), weights=np.zeros((1, 1)))
    assert np.isnan(parts.brier_score).all()


@pytest.mark.parametrize("score", [brier_decomposition, reliability_bins])
@pytest.mark.parametrize(
    ("probability", "n_bins", "message"),
    [
        ([0.5, np.nan], 10, r"probability\[1\] is nan"),
        ([0.5, 1.2], 10, "1.2; a probability"),
        ([0.5], 10, r"shape \(1,\); wanted \(2,\)"),
        ([0.5, 0.5], 0, "0 bins"),
    ],
)
def test_what_cannot_be_put_into_bins_is_named(score, probability, n_bins, message):
    options = {"bins": "width", "weights": None} if score is reliability_bins else {}
    with pytest.raises(VerificationInvalid, match=message):
        score(np.array([True, False]), np.array(probability), n_bins=n_bins, **options)


def test_the_table_has_six_bins_of_equally_many_forecasts_or_one_for_each_value():
    rng = np.random.default_rng(0)
    probability = rng.random(600)
    observed = rng.random(600) < probability
    weights = region_weights(np.arange(600), n_resamples=100, seed=0)
    table = reliability_table(observed, probability, weights=weights, level=0.95)
    assert [one["n"] for one in table] == [100] * 6
    for one in table:
        assert one["low"] <= one["observed"] <= one["high"]
        assert one["observed"] == pytest.approx(one["forecast"], abs=0.15)
    (constant,) = reliability_table(observed, np.full(600, 0.4), weights=weights, level=0.95)
    assert (constant["forecast"], constant["n"]) == (pytest.approx(0.4), 600)
    assert constant["observed"] == pytest.approx(observed.mean())


def test_a_probability_on_an_edge_is_in_the_bin_that_it_begins():
    tenths = np.arange(10) / 10
    rows = binned_frequencies(np.zeros(10, dtype=bool), tenths)
    assert [row["low"] for row in rows] == [row["forecast"] for row in rows] == tenths.tolist()


def test_laplaces_rule_keeps_bins_of_few_forecasts_from_0_and_1():
    observed, probability = np.array([True, False, False, False]), np.array([0.9, 0.1, 0.1, 0.1])
    plain = binned_frequencies(observed, probability)
    assert [(row["observed"], row["n"], row["events"]) for row in plain] == [(0, 3, 0), (1, 1, 1)]
    ruled = binned_frequencies(observed, probability, laplace=True)
    assert [row["observed"] for row in ruled] == [1 / 5, 2 / 3]


RANDOM = np.random.default_rng(3)
PROBABILITY = np.round(RANDOM.random(300), 2)  # with ties
OBSERVED = RANDOM.random(300) < 0.1 + 0.6 * PROBABILITY


def test_recalibration_is_scikit_learns_isotonic_regression():
    theirs = IsotonicRegression(out_of_bounds="clip").fit(PROBABILITY, OBSERVED)
    ours = recalibrated_probability(OBSERVED, PROBABILITY)
    np.testing.assert_allclose(ours, theirs.predict(PROBABILITY), atol=1e-12)


def test_the_corp_parts_of_each_score_add_up_and_are_not_negative():
    scores = corp_decomposition(OBSERVED, PROBABILITY)
    for parts in scores.values():
        total = parts.miscalibration - parts.discrimination + parts.uncertainty
        assert total == pytest.approx(float(parts.score))
        assert min(float(parts.miscalibration), float(parts.discrimination)) >= -1e-12
    brier = float(brier_score(OBSERVED, PROBABILITY))
    assert float(scores["brier"].score) == pytest.approx(brier)


def test_a_certain_and_wrong_forecast_has_an_infinite_log_score_where_it_counts():
    observed, probability = np.array([True, False, True]), np.array([0.0, 0.2, 0.9])
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0]])
    score = corp_decomposition(observed, probability, weights=weights)["log"].score
    assert np.isinf(score[0])
    assert score[1] == pytest.approx(-(2 * np.log(0.8) + np.log(0.9)) / 3)


def test_the_area_below_a_murphy_curve_is_the_brier_score():
    edges = np.linspace(0, 1, 2001)
    area = murphy_curve(OBSERVED, PROBABILITY, (edges[1:] + edges[:-1]) / 2).mean()
    assert area == pytest.approx(float(brier_score(OBSERVED, PROBABILITY)), abs=1e-3)
