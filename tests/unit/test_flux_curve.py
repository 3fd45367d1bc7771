"""The distribution of the peak flux that event probabilities stand for."""

import numpy as np
import pytest

from flare.flux_curve import flux_quantiles, log_rates, probabilities
from flare.goes import EVENTS


def test_log_rates_and_probabilities_are_inverse():
    p = np.array([1e-9, 0.01, 0.5, 0.999])
    np.testing.assert_allclose(probabilities(log_rates(p)), p, rtol=1e-6)


def test_the_median_of_an_even_chance_of_an_event_is_its_flux():
    (median,) = flux_quantiles(np.array([[0.9, 0.7, 0.5, 0.1]]), EVENTS, [0.5])[0]
    assert median == pytest.approx(-5.0)


def test_a_quantile_below_the_weakest_event_is_quiet():
    quantiles = flux_quantiles(np.array([[0.4, 0.2, 0.05, 0.01]]), EVENTS, [0.05, 0.5, 0.95])
    assert quantiles[0, :2].tolist() == [-9.0, -9.0]
    assert quantiles[0, 2] == pytest.approx(-5.0)


def test_a_power_law_goes_on_beyond_the_strongest_event():
    rates = np.log(3.0) - np.log(10.0) * np.arange(4)  # a tenth for each decade
    (high,) = flux_quantiles(probabilities(rates)[None], EVENTS, [np.exp(-3e-4)])[0]
    assert high == pytest.approx(-3.0)


def test_quantiles_rise_with_their_level_and_with_the_probabilities():
    rng = np.random.default_rng(0)
    p = np.sort(rng.random((200, 4)), axis=1)[:, ::-1]
    quantiles = flux_quantiles(p, EVENTS, [0.05, 0.25, 0.5, 0.75, 0.95])
    assert (np.diff(quantiles, axis=1) >= 0).all()
    more = flux_quantiles(np.sqrt(p), EVENTS, [0.05, 0.25, 0.5, 0.75, 0.95])
    assert (more >= quantiles - 1e-9).all()


def test_probabilities_of_exactly_nothing_and_everything_have_quantiles():
    p = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.0, 0.0]])
    assert np.isfinite(flux_quantiles(p, EVENTS, [0.05, 0.5, 0.95])).all()
