import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from flare.errors import VerificationInvalid
from flare.verification.bootstrap import region_weights
from flare.verification.probabilistic import brier_score
from flare.verification.reliability import (
    ReliabilityBins,
    bin_edges,
    binned_frequencies,
    brier_decomposition,
    consistency_band,
    expected_calibration_error,
    reliability_bins,
    reliability_table,
)


def curve_of(observed: np.ndarray, probability: np.ndarray, n_bins: int = 10) -> ReliabilityBins:
    options = {"bins": "width", "weights": None, "level": 0.95}
    return reliability_bins(observed, probability, n_bins=n_bins, **options)


def test_a_forecast_of_four_fifths_that_comes_true_half_the_time_is_off_by_three_tenths():
    observed = np.arange(20) < 10
    assert expected_calibration_error(observed, np.full(20, 0.8)) == pytest.approx(0.3)


def test_bins_count_by_their_share_of_the_samples():
    observed = np.array([True, False, False, False])
    probability = np.array([0.6, 0.1, 0.1, 0.1])
    # One sample off by 0.4 and three by 0.1.
    assert expected_calibration_error(observed, probability) == pytest.approx(0.7 / 4)


def test_calibration_error_of_a_resample_is_that_of_the_repeated_samples():
    observed, probability = np.array([True, False, True]), np.array([0.9, 0.3, 0.35])
    weighted = expected_calibration_error(
        observed, probability, weights=np.array([[1, 1, 1], [0, 2, 1]])
    )
    repeated = expected_calibration_error(observed[[1, 1, 2]], probability[[1, 1, 2]])
    assert weighted[1] == pytest.approx(float(repeated))


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.999)), min_size=1),
    st.integers(1, 15),
)
def test_curve_equals_scikit_learns_where_bins_are_filled(forecasts, n_bins):
    observed = np.array([outcome for outcome, _ in forecasts])
    # Off the edges, where the two put a forecast into different bins.
    probability = (np.floor(np.array([p for _, p in forecasts]) * n_bins) + 0.5) / n_bins
    # Both ends, which both put into the outer bins.
    observed, probability = np.append(observed, [False, True]), np.append(probability, [0, 1])
    frequency, mean = calibration_curve(observed, probability, n_bins=n_bins)
    curve = curve_of(observed, probability, n_bins=n_bins)
    filled = curve.observed.counts > 0
    np.testing.assert_allclose(curve.observed.value[filled], frequency)
    np.testing.assert_allclose(curve.mean_probability[filled], mean)
    assert curve.observed.counts.sum() == len(observed)


def test_empty_bins_are_nan_and_not_zero():
    curve = curve_of(np.array([True, False]), np.array([0.05, 0.05]))
    assert curve.observed.value[0] == 0.5
    assert np.isnan(curve.observed.value[1:]).all()
    assert np.isnan(curve.mean_probability[1:]).all()


def test_probabilities_of_exactly_0_and_1_are_in_the_outer_bins():
    curve = curve_of(np.array([False, True]), np.array([0.0, 1.0]))
    assert (curve.observed.counts[0], curve.observed.counts[-1]) == (1, 1)
    assert (curve.event_counts[0], curve.event_counts[-1]) == (0, 1)


def test_a_probability_between_two_bins_is_in_the_upper_one():
    curve = curve_of(np.array([True, False]), np.array([0.5, 0.5]), n_bins=2)
    np.testing.assert_array_equal(curve.observed.counts, [0, 2])


def test_no_bins_are_refused():
    with pytest.raises(VerificationInvalid, match="0 bins"):
        curve_of(np.array([True]), np.array([0.5]), n_bins=0)


def test_bins_of_equal_counts_hold_a_tenth_each():
    distinct = np.linspace(0.001, 0.2, 400)
    edges = bin_edges(distinct, n_bins=10, bins="count")
    assert np.histogram(distinct, edges)[0].tolist() == [40] * 10


def test_forecasts_that_are_the_same_number_stay_in_one_bin():
    probability = np.array([0.0] * 60 + [0.1] * 30 + [0.5] * 10)
    edges = bin_edges(probability, n_bins=10, bins="count")
    counts = np.histogram(probability, edges)[0]
    assert counts[counts > 0].tolist() == [60, 30, 10]
    assert bin_edges(np.full(5, 0.3), n_bins=10, bins="count").tolist() == [0.3, 0.3]


def test_the_consistency_band_of_independent_samples_is_about_binomial():
    chance = np.full(500, 0.2)
    low, high = consistency_band(chance, np.zeros(500, dtype=np.intp), n_bins=1, level=0.95)
    # Binomial: 0.2 +- 1.96 sqrt(0.2 * 0.8 / 500) = 0.165, 0.235
    assert (low[0], high[0]) == pytest.approx((0.165, 0.235), abs=0.006)


def test_a_bin_without_forecasts_has_no_band():
    low, _ = consistency_band(np.full(9, 0.1), np.zeros(9, dtype=np.intp), n_bins=2, level=0.95)
    assert np.isnan(low).tolist() == [False, True]


def test_a_bin_without_events_still_has_an_interval():
    weights = region_weights(np.arange(10), n_resamples=50, seed=0)
    bins = reliability_bins(
        np.zeros(10, dtype=np.bool_), np.full(10, 0.01), n_bins=1, bins="width", weights=weights,
        level=0.95,
    )  # fmt: skip
    # Wilson's upper end for 0 of 10.
    assert bins.observed.high[0] == pytest.approx(0.2775, abs=1e-4)


def test_samples_that_share_a_region_widen_the_intervals():
    outcomes = np.repeat(np.arange(20) % 4 == 0, 10)  # 20 regions of 10 samples that are alike
    weights = region_weights(np.arange(200) // 10, n_resamples=300, seed=0)
    wide, narrow = (
        reliability_bins(
            outcomes, np.full(200, 0.3), n_bins=1, bins="width", weights=one, level=0.95
        ).observed
        for one in (weights, None)
    )
    assert wide.high[0] - wide.low[0] > 2 * (narrow.high[0] - narrow.low[0])


samples = st.lists(
    st.tuples(st.booleans(), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=40
)


@given(sample=samples, n_bins=st.integers(1, 12))
def test_the_five_parts_sum_to_the_brier_score_in_every_resample(sample, n_bins):
    observed = np.array([outcome for outcome, _, _ in sample])
    probability = np.array([p for _, p, _ in sample])
    weights = np.stack([np.ones(len(sample)), [1 + w for _, _, w in sample]])
    weights[1, 1:] -= 1  # samples that a resample left out
    parts = brier_decomposition(observed, probability, n_bins=n_bins, weights=weights)
    whole = brier_score(observed, probability, weights=weights)
    np.testing.assert_allclose(parts.brier_score, whole, atol=1e-12)


@given(sample=samples)
def test_three_parts_are_enough_where_all_forecasts_of_a_bin_are_equal(sample):
    observed = np.array([outcome for outcome, _, _ in sample])
    tenths = np.floor(np.array([p for _, p, _ in sample]) * 9.99) / 10 + 0.05
    parts = brier_decomposition(observed, tenths)
    three = parts.reliability - parts.resolution + parts.uncertainty
    assert three == pytest.approx(float(brier_score(observed, tenths)), abs=1e-12)


@given(sample=samples)
def test_reliability_is_the_squared_distance_in_the_reliability_diagram(sample):
    observed = np.array([outcome for outcome, _, _ in sample])
    probability = np.array([p for _, p, _ in sample])
    curve = curve_of(observed, probability)
    filled = curve.observed.counts > 0
    distance = (curve.mean_probability - curve.observed.value)[filled]
    expected = np.sum(curve.observed.counts[filled] * distance**2) / len(sample)
    assert brier_decomposition(observed, probability).reliability == pytest.approx(
        expected, abs=1e-12
    )


def test_four_forecasts_have_the_parts_that_a_pencil_gives():
    observed = np.array([True, False, True, False])
    parts = brier_decomposition(observed, np.array([0.9, 0.7, 0.4, 0.2]), n_bins=2)
    # Below one half: mean 0.3 and frequency 1/2; above: mean 0.8 and frequency 1/2.
    assert parts.reliability == pytest.approx((0.2**2 + 0.3**2) / 2)
    assert parts.resolution == pytest.approx(0)
    assert parts.uncertainty == 0.25
    assert parts.within_bin_variance == pytest.approx(0.01)
    assert parts.within_bin_covariance == pytest.approx(2 * 0.1 * 0.5)


def test_perfect_forecasts_resolve_all_the_uncertainty():
    observed = np.arange(10) < 3
    parts = brier_decomposition(observed, observed.astype(float))
    assert (parts.reliability, parts.resolution) == (0, pytest.approx(0.21))
    assert parts.uncertainty == pytest.approx(0.21)


@given(probability=st.floats(0, 1), events=st.integers(0, 20), others=st.integers(1, 20))
def test_a_constant_forecast_resolves_nothing(probability, events, others):
    observed = np.arange(events + others) < events
    parts = brier_decomposition(observed, np.full(events + others, probability))
    assert parts.resolution == pytest.approx(0, abs=1e-15)
    assert parts.within_bin_variance == pytest.approx(0, abs=1e-15)


def test_a_resample_of_nothing_has_no_parts():
    parts = brier_decomposition(np.array([True]), np.array([0.5]), weights=np.zeros((1, 1)))
    assert np.isnan(parts.brier_score).all()


@pytest.mark.parametrize(
    ("probability", "n_bins", "said"),
    [
        ([0.5, np.nan], 10, r"probability\[1\] is nan"),
        ([0.5, 1.2], 10, "1.2; a probability"),
        ([0.5], 10, r"shape \(1,\); wanted \(2,\)"),
        ([0.5, 0.5], 0, "0 bins"),
    ],
)
def test_what_cannot_be_decomposed_is_named(probability, n_bins, said):
    with pytest.raises(VerificationInvalid, match=said):
        brier_decomposition(np.array([True, False]), np.array(probability), n_bins=n_bins)


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


def test_a_probability_on_an_edge_is_in_the_bin_that_it_begins() -> None:
    tenths = np.arange(10) / 10
    rows = binned_frequencies(np.zeros(10, dtype=bool), tenths)
    assert [row["low"] for row in rows] == tenths.tolist()
    assert [row["forecast"] for row in rows] == tenths.tolist()


def test_laplaces_rule_keeps_bins_of_few_forecasts_from_0_and_1() -> None:
    observed, probability = np.array([True, False, False, False]), np.array([0.9, 0.1, 0.1, 0.1])
    plain = binned_frequencies(observed, probability)
    assert [(row["observed"], row["n"], row["events"]) for row in plain] == [(0, 3, 0), (1, 1, 1)]
    ruled = binned_frequencies(observed, probability, laplace=True)
    assert [row["observed"] for row in ruled] == [1 / 5, 2 / 3]
