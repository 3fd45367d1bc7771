import json
from dataclasses import replace

import numpy as np
import pytest
from small_forecasters import POSTPROCESSING, small_climatology

from flare.forecast import Forecast
from flare.forecasters.answer import answers
from flare.goes import EVENTS

FORECASTER = small_climatology().with_postprocessing(POSTPROCESSING)  # alerts of M1.0 from 0.13


def answer(log10_flux=-5.5, probability=(0.9, 0.6, 0.2, 0.01), forecaster=FORECASTER):
    flux = np.array([log10_flux])
    forecast = Forecast(flux, flux - 0.5, flux + 1, np.array([probability]), EVENTS)
    return answers(forecaster, forecast)[0]


def test_flux_log_flux_letter_and_class_say_the_same():
    result = answer(np.log10(2.35e-5))
    assert result["peak_flux_w_m2"] == pytest.approx(2.35e-5)
    assert result["log_flux"] == pytest.approx(np.log10(2.35e-5))
    assert (result["flare_class"], result["goes_class"]) == ("M", "M2.3")


def test_the_interval_is_in_watts():
    result = answer(-5)
    assert (result["flux_low_w_m2"], result["flux_high_w_m2"]) == pytest.approx((10**-5.5, 1e-4))
    assert result["interval_level"] == FORECASTER.spec.interval_level


@pytest.mark.parametrize(
    ("probability", "flare", "alert"),
    [(0.5, True, True), (0.499, False, True), (0.13, False, True), (0.129, False, False)],
)
def test_a_flare_is_called_from_one_half_and_an_alert_from_the_threshold(probability, flare, alert):
    result = answer(probability=(0.95, 0.9, probability, 0.0))
    assert (result["is_mx_flare"], result["alert"]) == (flare, alert)
    assert (result["mx_probability"], result["alert_threshold"]) == (probability, 0.13)


def test_every_event_has_its_probability():
    assert answer()["probabilities"] == {
        "B1.0": 0.9,
        "C1.0": 0.6,
        "M1.0": 0.2,
        "X1.0": 0.01,
    }


@pytest.mark.parametrize("synthetic", [True, False])
def test_an_answer_says_whether_its_forecaster_saw_synthetic_data(synthetic):
    forecaster = replace(FORECASTER, origin=replace(FORECASTER.origin, synthetic=synthetic))
    assert answer(forecaster=forecaster)["synthetic"] is synthetic


def test_there_is_one_answer_for_each_sample_and_json_can_say_it():
    flux = np.array([-6.0, -5.0, -4.0])
    forecast = Forecast(flux, flux, flux, np.full((3, 4), 0.2), EVENTS)
    result = json.loads(json.dumps(answers(FORECASTER, forecast)))
    assert [one["flare_class"] for one in result] == ["C", "M", "X"]
