"""Forecasts and scorecards made by hand, for tests of what is said of them."""

import numpy as np

from flare.forecast import Forecast
from flare.goes import EVENTS, event_outcomes
from flare.verification.inputs import Observations
from flare.verification.scorecard import Scorecard, score_forecasts

#: 60 samples of 12 regions; every other region is quiet, every third has M flares, the rest C.
REGIONS = np.arange(60) // 5 + 11000
TRUTH = Observations(
    np.where(REGIONS % 2 == 0, 1e-9, np.where(REGIONS % 3 == 0, 3e-5, 3e-6)),
    REGIONS.astype(np.int64),
)


def hand_made(confidence: float) -> Forecast:
    """Forecast what happened; a confidence of 0 is the event rate, of 1 the truth itself."""
    outcomes = event_outcomes(TRUTH.peak_flux)
    probability = confidence * outcomes + (1 - confidence) * outcomes.mean(axis=0)
    flux = confidence * np.log10(TRUTH.peak_flux) + (1 - confidence) * -6.5
    return Forecast(flux, flux - 1, flux + 1, probability, EVENTS, dict.fromkeys(EVENTS, 0.5))


def scorecard(confidence: float = 0.8, truth: Observations = TRUTH) -> Scorecard:
    """Score such forecasts."""
    return score_forecasts(hand_made(confidence), truth, n_resamples=100)
