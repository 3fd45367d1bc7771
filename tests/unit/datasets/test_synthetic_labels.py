import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.datasets.synthetic.labels import (
    draw_peak_flux,
    event_probability,
    rate_above,
    rounded,
    true_rates,
)
from flare.goes import EVENTS, QUIET_FLUX, flux_of_class

rates = st.floats(1e-3, 50)
seeds = st.integers(0, 2**32 - 1)


def many_fluxes(rate: float, n: int = 20_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.array([draw_peak_flux(rate, rng) for _ in range(n)])


@given(rates, seeds)
def test_a_label_is_quiet_or_a_tenth_of_a_noaa_class_divided_by_085(rate, seed):
    flux = draw_peak_flux(rate, np.random.default_rng(seed))
    if flux != QUIET_FLUX:
        noaa = flux * 0.85
        tenths = noaa / 10.0 ** np.floor(np.log10(noaa) + 1e-9) * 10
        assert tenths == pytest.approx(round(tenths), abs=1e-6)


def test_nothing_lies_between_quiet_and_b1():
    fluxes = many_fluxes(0.05)
    assert 1e-7 / 0.85 * 0.999 < fluxes[fluxes > QUIET_FLUX].min() < 2e-7


def test_noaa_c85_is_the_label_1e5_exactly():
    assert rounded(8.52e-6 / 0.85) == 1e-5


def test_a_flux_that_rounds_up_to_the_next_class_keeps_its_size():
    assert rounded(9.97e-6 / 0.85) == pytest.approx(1e-5 / 0.85)


@pytest.mark.parametrize("event", EVENTS)
def test_the_probability_of_an_event_is_its_frequency(event):
    outcomes = many_fluxes(3.0) >= flux_of_class(event)
    probability = event_probability(event, 3.0)
    error = np.sqrt(probability * (1 - probability) / outcomes.size)
    assert outcomes.mean() == pytest.approx(probability, abs=4 * error)


def test_a_decade_in_flux_is_worth_ten_to_the_power_of_the_slope():
    assert rate_above(1e-6, 1.0) / rate_above(1e-5, 1.0) == pytest.approx(10**1.29, rel=0.01)


def test_no_flare_is_larger_than_the_largest_allowed():
    assert many_fluxes(2000.0, 2000).max() <= rounded(2e-3)


@given(rates)
def test_larger_events_are_rarer(rate):
    truth = true_rates(rate)
    assert truth["p_C1.0"] > truth["p_M1.0"] > truth["p_X1.0"] > 0
    assert truth["lambda_C"] == pytest.approx(rate)
