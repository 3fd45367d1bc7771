"""One map of a whole distribution."""

import numpy as np
import pytest

from flare.flux_curve import log_rates, probabilities
from flare.forecast import Forecast
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.calibration import RATE, choose_rate_calibration
from flare.forecasters.postprocessing.fit import calibration_gains, fit_postprocessing
from flare.goes import EVENTS

N = 3000


def sun(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return true probabilities (N, 4) and labels that happened with them."""
    rng = np.random.default_rng(seed)
    rates = rng.normal(-0.5, 1.0, N)[:, None] - 1.5 * np.arange(4)
    p = probabilities(rates)
    reached = (rng.random(N)[:, None] < p).sum(axis=1)
    return p, np.array([1e-9, 3e-7, 3e-6, 3e-5, 3e-4])[reached]


P, LABELS = sun()
OUTCOMES = LABELS[:, None] >= np.array([1e-7, 1e-6, 1e-5, 1e-4])
FOLDS = np.arange(N) % 3


def distorted(slope: float, offset: float) -> np.ndarray:
    return probabilities((log_rates(P) - offset) / slope)


def forecast(probability: np.ndarray) -> Forecast:
    flux = np.full(N, -7.0)
    return Forecast(flux, flux, flux, probability, EVENTS)


def test_a_distortion_of_the_log_rates_is_found_again():
    chosen = choose_rate_calibration(distorted(0.5, 0.8), OUTCOMES, FOLDS)
    assert chosen.method == RATE
    assert chosen.parameters["slope"][0] == pytest.approx(0.5, abs=0.05)
    assert chosen.parameters["offset"][0] == pytest.approx(0.8, abs=0.15)


def test_probabilities_that_are_right_are_left_as_they_are():
    assert choose_rate_calibration(P, OUTCOMES, FOLDS).method == "none"


def test_without_enough_events_nothing_is_fitted():
    rare = OUTCOMES & (np.arange(N) < 5)[:, None]
    assert choose_rate_calibration(distorted(0.5, 0.8), rare, FOLDS).method == "none"


def test_all_events_flux_and_interval_come_from_one_curve():
    raw = distorted(2.0, -0.5)
    postprocessing = fit_postprocessing(forecast(raw), LABELS, FOLDS, level=0.9, distribution=True)
    assert len({str(one) for one in postprocessing.calibrations.values()}) == 1
    made = postprocessing.apply(np.empty(N), raw, EVENTS)
    assert (np.diff(made.probability, axis=1) <= 0).all()
    for k, flux in enumerate((-7.0, -6.0, -5.0, -4.0)):
        likely = made.probability[:, k] > 0.5 + 1e-9
        assert (made.log10_flux[likely] >= flux - 1e-9).all()
        assert (made.log10_flux[~likely] <= flux + 1e-6).all()
    assert (made.lower <= made.log10_flux).all()
    assert (made.log10_flux <= made.upper).all()


def test_what_it_gains_is_reported_of_each_event():
    postprocessing = fit_postprocessing(
        forecast(distorted(0.5, 0.8)), LABELS, FOLDS, level=0.9, distribution=True
    )
    gains = calibration_gains(forecast(distorted(0.5, 0.8)), LABELS, FOLDS, postprocessing)
    assert all(gains[event].after < gains[event].before for event in ("B1.0", "C1.0"))


def test_without_a_distribution_nothing_changes():
    assert not PostProcessing().distribution
