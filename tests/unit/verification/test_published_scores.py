"""Forecasts and rates whose scores somebody else has printed."""

import numpy as np
import pytest

from flare.forecast import Forecast
from flare.verification.inputs import Observations
from flare.verification.probabilistic import ranked_probability_score, roc_area
from flare.verification.scorecard import Scorecard, score_forecasts

# One a year from 1981 to 1995.
IN_FIFTHS = "0.8 0.8 0 1 1 0.6 0.4 0.8 0 0 0.2 0 0 1 1"
FINER = "0.928 0.576 0.008 0.944 0.832 0.816 0.136 0.584 0.032 0.016 0.28 0.024 0 0.984 0.952"


@pytest.mark.parametrize(("forecasts", "printed"), [(IN_FIFTHS, 0.839), (FINER, 0.875)])
def test_mason_and_grahams_forecasts_have_their_roc_area(forecasts, printed):
    """The years 1981 to 1995: Mason & Graham 2002, doi:10.1256/003590002320603584."""
    observed = np.array([0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1]) == 1
    probability = np.array(forecasts.split(), dtype=float)
    assert roc_area(observed, probability) == pytest.approx(printed, abs=5e-4)


@pytest.mark.parametrize(("classes", "by_hand"), [([0.2, 0.5, 0.3], 0.73), ([0.2, 0.3, 0.5], 0.89)])
def test_of_wilks_two_rain_forecasts_the_one_nearer_to_dry_scores_better(classes, by_hand):
    """None, light and heavy rain, and none fell: Wilks, Statistical Methods, on the RPS."""
    at_least = np.cumsum(classes[::-1])[::-1][1:]
    score = ranked_probability_score(np.array([[False, False]]), at_least[None, :])
    assert score == pytest.approx(by_hand)


def scored(labels: np.ndarray, log10_flux: float, probability: float) -> Scorecard:
    """Score one forecast of flux and P(M1.0) for all labels."""
    n = len(labels)
    flux, chance = np.full(n, log10_flux), np.full((n, 1), probability)
    forecast = Forecast(flux, flux, flux, chance, ("M1.0",), {"M1.0": 0.5})
    return score_forecasts(forecast, Observations(labels, np.arange(n)), n_resamples=2)


def test_sdobenchmarks_training_climatology_is_worse_than_the_rate_of_its_test_split():
    # Its 886 test samples by class: quiet, below C, C, M, X. 514 of 8,336 training labels are M.
    labels = np.repeat([1e-9, 3e-7, 3e-6, 3e-5, 3e-4], [248, 111, 351, 151, 25])
    assert (labels >= 1e-5).mean() == pytest.approx(0.1986, abs=5e-5)
    card = scored(labels, -6.0, 514 / 8336)
    assert card.value("published", "brier_skill_score") == pytest.approx(-0.118, abs=5e-4)
    assert card.value("M1.0", "brier_uncertainty") == pytest.approx(176 / 886 * 710 / 886)


def test_the_flux_error_of_a_constant_is_the_mean_of_its_four_distances():
    # 5.294e-7 from 1e-9, 1e-6, 1e-5 and 1e-4, in units of 1e-7.
    by_hand = (5.284 + 4.706 + 94.706 + 994.706) / 4 * 1e-7
    card = scored(np.array([1e-9, 1e-6, 1e-5, 1e-4]), np.log10(5.294e-7), 0.0)
    assert card.value("flux", "flux_mae") == pytest.approx(by_hand, rel=1e-9)
