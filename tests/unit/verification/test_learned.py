"""What is said of a forecaster that has learned nothing."""

import numpy as np

from flare.forecast import Forecast
from flare.goes import EVENTS
from flare.verification.inputs import Observations
from flare.verification.scorecard import why_not_learned

FLUX = np.array([1e-9, 1e-9, 2e-6, 3e-5])
OBSERVATIONS = Observations(FLUX, np.arange(4))
CLIMATOLOGY = {"B1.0": 0.5, "C1.0": 0.5, "M1.0": 0.25, "X1.0": 0.01}


def forecasts(probability: np.ndarray, log10_flux: np.ndarray) -> Forecast:
    return Forecast(
        log10_flux, log10_flux, log10_flux, probability, EVENTS, dict.fromkeys(EVENTS, 0.5)
    )


def reached(sure: float) -> np.ndarray:
    """Return probabilities that lie so far from 1/2 on the side of what happened."""
    outcomes = FLUX[:, None] >= np.array([1e-7, 1e-6, 1e-5, 1e-4])
    return np.where(outcomes, 0.5 + sure, 0.5 - sure)


def test_the_same_forecast_for_all_is_named():
    same = np.tile(list(CLIMATOLOGY.values()), (4, 1))
    reason = why_not_learned(forecasts(same, np.full(4, -7.0)), OBSERVATIONS, CLIMATOLOGY)
    assert reason is not None
    assert "same for all validation samples" in reason


def test_forecasts_that_differ_and_are_no_better_than_the_rates_are_named_with_both_scores():
    wrong = forecasts(reached(-0.3), np.log10(FLUX)[::-1])
    reason = why_not_learned(wrong, OBSERVATIONS, CLIMATOLOGY)
    assert reason is not None
    assert "climatology 0." in reason


def test_nothing_is_said_of_forecasts_that_are_better_than_the_rates():
    assert (
        why_not_learned(forecasts(reached(0.4), np.log10(FLUX)), OBSERVATIONS, CLIMATOLOGY) is None
    )
