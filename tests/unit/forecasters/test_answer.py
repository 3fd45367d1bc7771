import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_forecasters import CUBES, KINDS, POSTPROCESSING, PRESENT, small, small_climatology

from flare.forecast import Forecast
from flare.forecasters.answer import answers
from flare.forecasters.postprocessing.apply import (
    are_coherent,
    made_coherent,
    quantile_bounds,
)
from flare.goes import CLASS_FLOORS, EVENTS, class_letter

FORECASTER = small_climatology().with_postprocessing(POSTPROCESSING)  # alerts of M1.0 from 0.13


def answer(log10_flux=-5.5, probability=(0.9, 0.6, 0.2, 0.01), forecaster=FORECASTER):
    flux = np.array([log10_flux])
    forecast = Forecast(flux, flux - 0.5, flux + 1, np.array([probability]), EVENTS)
    return answers(forecaster, forecast)[0]


def test_every_field_of_an_answer_says_the_same_in_its_unit():
    result = answer(np.log10(2.35e-5))
    assert result["peak_flux_w_m2"] == pytest.approx(2.35e-5)
    assert result["log_flux"] == pytest.approx(np.log10(2.35e-5))
    assert (result["flare_class"], result["goes_class"]) == ("M", "M2.3")
    ends = result["flux_low_w_m2"], result["flux_high_w_m2"]
    assert ends == pytest.approx((2.35e-5 / 10**0.5, 2.35e-4))
    assert result["interval_level"] == FORECASTER.spec.interval_level
    assert result["probabilities"] == {"B1.0": 0.9, "C1.0": 0.6, "M1.0": 0.2, "X1.0": 0.01}


@pytest.mark.parametrize(
    ("probability", "flare", "alert"),
    [(0.5, True, True), (0.499, False, True), (0.13, False, True), (0.129, False, False)],
)
def test_a_flare_is_called_from_one_half_and_an_alert_from_the_threshold(probability, flare, alert):
    result = answer(probability=(0.95, 0.9, probability, 0.0))
    assert (result["is_mx_flare"], result["alert"]) == (flare, alert)
    assert (result["mx_probability"], result["alert_threshold"]) == (probability, 0.13)


@pytest.mark.parametrize("synthetic", [True, False])
def test_an_answer_says_whether_its_forecaster_saw_synthetic_data(synthetic):
    forecaster = replace(FORECASTER, origin=replace(FORECASTER.origin, synthetic=synthetic))
    assert answer(forecaster=forecaster)["synthetic"] is synthetic


def test_there_is_one_answer_for_each_sample_and_json_can_say_it():
    flux = np.array([-6.0, -5.0, -4.0])
    forecast = Forecast(flux, flux, flux, np.full((3, 4), 0.2), EVENTS)
    result = json.loads(json.dumps(answers(FORECASTER, forecast)))
    assert [one["flare_class"] for one in result] == ["C", "M", "X"]


LEVEL = 0.9
COHERENT = replace(POSTPROCESSING, interval_level=LEVEL)


def coherent(flux, lower, upper, probability) -> tuple[float, float, float]:
    one = [np.array([value], dtype=float) for value in (flux, lower, upper)]
    moved = made_coherent(Forecast(*one, np.array([probability]), EVENTS), level=LEVEL)
    return float(moved.log10_flux[0]), float(moved.lower[0]), float(moved.upper[0])


def test_an_interval_does_not_begin_above_what_is_unlikely_to_be_reached():
    """The contradiction that users reported: from 3.6e-5 up, with P(M or X) = 0.16."""
    flux, lower, upper = coherent(-4.2, np.log10(3.6e-5), -3.5, (0.99, 0.8, 0.16, 0.03))
    assert class_letter(10**flux) == "C"
    assert 10**flux == pytest.approx(9.99999e-6, rel=1e-9)
    assert 10**lower == pytest.approx(9.99999e-7, rel=1e-9)
    assert 10**upper == pytest.approx(9.99999e-5, rel=1e-9)


def test_a_forecast_that_fits_its_probabilities_is_not_touched():
    given_ = (-5.24, -6.22, -4.62)
    assert coherent(*given_, (0.97, 0.62, 0.1, 0.01)) == given_


@pytest.mark.parametrize(
    ("exceeded", "probability", "bounds"),
    [
        (0.5, (0.9, 0.5, 0.4, 0.1), (-6, -5)),
        (0.95, (0.95, 0.5, 0.4, 0.1), (-7, -6)),
        (0.05, (0.9, 0.5, 0.4, 0.05), (-4, np.inf)),
        (0.5, (0.4, 0.3, 0.2, 0.1), (-np.inf, -7)),
    ],
)
def test_a_quantile_lies_between_the_thresholds_that_its_probabilities_name(
    exceeded, probability, bounds
):
    low, high = quantile_bounds(np.array([probability]), EVENTS, exceeded)
    assert (low[0], high[0]) == pytest.approx(bounds, abs=1e-6)


probabilities = st.lists(st.floats(0, 1), min_size=4, max_size=4).map(
    lambda values: tuple(sorted(values, reverse=True))
)
fluxes = st.lists(st.floats(-9, -2), min_size=3, max_size=3).map(sorted)


@settings(max_examples=50)
@given(fluxes, probabilities)
def test_whatever_was_forecast_the_answer_does_not_contradict_itself(ends, probability):
    lower, flux, upper = (np.array([one]) for one in ends)
    raw = Forecast(flux, lower, upper, np.array([probability]), EVENTS)
    forecast = made_coherent(raw, level=LEVEL)
    assert forecast.lower[0] <= forecast.log10_flux[0] <= forecast.upper[0]
    answer = answers(small_climatology(), forecast)[0]
    assert answer["coherent"]
    assert answer["is_mx_flare"] == (answer["flare_class"] in "MX")
    assert answer["goes_class"][0] == answer["flare_class"]
    for event, chance in answer["probabilities"].items():
        threshold = CLASS_FLOORS[event[0]]
        assert (answer["peak_flux_w_m2"] >= threshold) == (chance >= 0.5)
        assert (answer["flux_low_w_m2"] >= threshold) == (chance >= (1 + LEVEL) / 2)
        assert (answer["flux_high_w_m2"] >= threshold) == (chance >= (1 - LEVEL) / 2)


def test_an_answer_that_contradicts_itself_says_so():
    flux = np.array([-4.2])
    raw = Forecast(flux, flux - 0.2, flux + 0.7, np.array([[0.99, 0.8, 0.16, 0.03]]), EVENTS)
    assert not answers(small_climatology(), raw)[0]["coherent"]
    constant = small("constant")  # certain of every event, whatever its interval
    assert not answers(constant, constant.predict(CUBES[:1], PRESENT[:1]))[0]["coherent"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "constant"])
def test_every_kind_is_coherent_once_it_was_postprocessed(kind):
    forecast = small(kind).with_postprocessing(COHERENT).predict(CUBES, PRESENT)
    assert are_coherent(forecast, level=LEVEL).all()


def test_moving_to_other_rates_moves_flux_and_interval_along():
    plain = replace(COHERENT, rates=dict(zip(EVENTS, (0.6, 0.4, 0.2, 0.02), strict=True)))
    moved = plain.at_rates({"M1.0": 0.01, "X1.0": 0.001})
    raw = np.array([-4.9]), np.array([[0.95, 0.8, 0.6, 0.1]])
    before, after = plain.apply(*raw, EVENTS), moved.apply(*raw, EVENTS)
    assert class_letter(10 ** before.log10_flux[0]) == "M"
    assert after.probability_of("M1.0")[0] < 0.1
    assert class_letter(10 ** after.log10_flux[0]) == "C"
