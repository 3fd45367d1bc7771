import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.errors import VerificationInvalid
from flare.verification.probabilistic import brier_score
from flare.verification.reliability import brier_decomposition, reliability_curve

samples = st.lists(
    st.tuples(st.booleans(), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=40
)


@given(sample=samples, n_bins=st.integers(1, 12))
def test_the_five_parts_sum_to_the_brier_score_in_every_resample(
    sample: list[tuple[bool, float, int]], n_bins: int
) -> None:
    observed = np.array([outcome for outcome, _, _ in sample])
    probability = np.array([p for _, p, _ in sample])
    weights = np.stack([np.ones(len(sample)), [1 + w for _, _, w in sample]])
    weights[1, 1:] -= 1  # samples that a resample left out
    parts = brier_decomposition(observed, probability, n_bins=n_bins, weights=weights)
    whole = brier_score(observed, probability, weights=weights)
    np.testing.assert_allclose(parts.brier_score, whole, atol=1e-12)


@given(sample=samples)
def test_three_parts_are_enough_where_all_forecasts_of_a_bin_are_equal(
    sample: list[tuple[bool, float, int]],
) -> None:
    observed = np.array([outcome for outcome, _, _ in sample])
    tenths = np.floor(np.array([p for _, p, _ in sample]) * 9.99) / 10 + 0.05
    parts = brier_decomposition(observed, tenths)
    three = parts.reliability - parts.resolution + parts.uncertainty
    assert three == pytest.approx(float(brier_score(observed, tenths)), abs=1e-12)


@given(sample=samples)
def test_reliability_is_the_squared_distance_in_the_reliability_diagram(
    sample: list[tuple[bool, float, int]],
) -> None:
    observed = np.array([outcome for outcome, _, _ in sample])
    probability = np.array([p for _, p, _ in sample])
    curve = reliability_curve(observed, probability)
    filled = curve.counts > 0
    distance = (curve.mean_probability - curve.observed_frequency)[filled]
    expected = np.sum(curve.counts[filled] * distance**2) / len(sample)
    assert brier_decomposition(observed, probability).reliability == pytest.approx(
        expected, abs=1e-12
    )


def test_four_forecasts_have_the_parts_that_a_pencil_gives() -> None:
    observed = np.array([True, False, True, False])
    parts = brier_decomposition(observed, np.array([0.9, 0.7, 0.4, 0.2]), n_bins=2)
    # Below one half: mean 0.3 and frequency 1/2; above: mean 0.8 and frequency 1/2.
    assert parts.reliability == pytest.approx((0.2**2 + 0.3**2) / 2)
    assert parts.resolution == pytest.approx(0)
    assert parts.uncertainty == 0.25
    assert parts.within_bin_variance == pytest.approx(0.01)
    assert parts.within_bin_covariance == pytest.approx(2 * 0.1 * 0.5)


def test_perfect_forecasts_resolve_all_the_uncertainty() -> None:
    observed = np.arange(10) < 3
    parts = brier_decomposition(observed, observed.astype(float))
    assert (parts.reliability, parts.resolution) == (0, pytest.approx(0.21))
    assert parts.uncertainty == pytest.approx(0.21)


@given(probability=st.floats(0, 1), events=st.integers(0, 20), others=st.integers(1, 20))
def test_a_constant_forecast_resolves_nothing(probability: float, events: int, others: int) -> None:
    observed = np.arange(events + others) < events
    parts = brier_decomposition(observed, np.full(events + others, probability))
    assert parts.resolution == pytest.approx(0, abs=1e-15)
    assert parts.within_bin_variance == pytest.approx(0, abs=1e-15)


def test_a_resample_of_nothing_has_no_parts() -> None:
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
def test_what_cannot_be_taken_apart_is_named(
    probability: list[float], n_bins: int, said: str
) -> None:
    with pytest.raises(VerificationInvalid, match=said):
        brier_decomposition(np.array([True, False]), np.array(probability), n_bins=n_bins)
