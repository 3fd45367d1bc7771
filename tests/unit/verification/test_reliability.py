import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from flare.errors import VerificationInvalid
from flare.verification.reliability import expected_calibration_error, reliability_curve


def test_a_forecast_of_four_fifths_that_comes_true_half_the_time_is_off_by_three_tenths() -> None:
    observed = np.arange(20) < 10
    assert expected_calibration_error(observed, np.full(20, 0.8)) == pytest.approx(0.3)


def test_bins_count_by_their_share_of_the_samples() -> None:
    observed = np.array([True, False, False, False])
    probability = np.array([0.6, 0.1, 0.1, 0.1])
    # One sample off by 0.4 and three by 0.1.
    assert expected_calibration_error(observed, probability) == pytest.approx(0.7 / 4)


def test_calibration_error_of_a_resample_is_that_of_the_repeated_samples() -> None:
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
def test_curve_equals_scikit_learns_where_bins_are_filled(
    forecasts: list[tuple[bool, float]], n_bins: int
) -> None:
    observed = np.array([outcome for outcome, _ in forecasts])
    # Off the edges, where the two put a forecast into different bins.
    probability = (np.floor(np.array([p for _, p in forecasts]) * n_bins) + 0.5) / n_bins
    # Both ends, which both put into the outer bins.
    observed, probability = np.append(observed, [False, True]), np.append(probability, [0, 1])
    frequency, mean = calibration_curve(observed, probability, n_bins=n_bins)
    curve = reliability_curve(observed, probability, n_bins=n_bins)
    filled = curve.counts > 0
    np.testing.assert_allclose(curve.observed_frequency[filled], frequency)
    np.testing.assert_allclose(curve.mean_probability[filled], mean)
    assert curve.counts.sum() == len(observed)


def test_empty_bins_are_nan_and_not_zero() -> None:
    curve = reliability_curve(np.array([True, False]), np.array([0.05, 0.05]))
    assert curve.observed_frequency[0] == 0.5
    assert np.isnan(curve.observed_frequency[1:]).all()
    assert np.isnan(curve.mean_probability[1:]).all()


def test_probabilities_of_exactly_0_and_1_are_in_the_outer_bins() -> None:
    curve = reliability_curve(np.array([False, True]), np.array([0.0, 1.0]))
    assert (curve.counts[0], curve.counts[-1]) == (1, 1)
    assert (curve.event_counts[0], curve.event_counts[-1]) == (0, 1)


def test_a_probability_between_two_bins_is_in_the_upper_one() -> None:
    curve = reliability_curve(np.array([True, False]), np.array([0.5, 0.5]), n_bins=2)
    np.testing.assert_array_equal(curve.counts, [0, 2])


def test_no_bins_are_refused() -> None:
    with pytest.raises(VerificationInvalid, match="0 bins"):
        reliability_curve(np.array([True]), np.array([0.5]), n_bins=0)
