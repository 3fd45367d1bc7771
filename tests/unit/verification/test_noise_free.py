"""Expected scores under true probabilities: closed forms, and the mean over drawn outcomes."""

import numpy as np
import pytest

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.verification.probabilistic import brier_skill_score
from flare.verification.resampling import TrueProbabilities, noise_free_scores

EVENT = "M1.0"


def forecast_of(probability: np.ndarray, threshold: float = 0.3) -> Forecast:
    flux = np.full(len(probability), -6.0)
    return Forecast(flux, flux, flux, probability[:, None], (EVENT,), {EVENT: threshold})


@pytest.fixture
def chance() -> np.ndarray:
    return np.random.default_rng(0).beta(0.5, 3, 400)


@pytest.fixture
def truth(chance) -> TrueProbabilities:
    return TrueProbabilities(chance[:, None], (EVENT,), np.arange(len(chance)) // 4)


def skill(
    truth: TrueProbabilities, score: str = "brier_skill_score", **probabilities
) -> list[float]:
    """Return the expected score of each forecaster."""
    forecasts = {name: forecast_of(one) for name, one in probabilities.items()}
    scores = noise_free_scores(forecasts, truth, event=EVENT, n_resamples=10)
    return [one.value for own in scores.values() for one in own if one.name == score]


def test_an_error_costs_its_mean_square_over_the_uncertainty(chance, truth):
    wrong = np.clip(chance + 0.1, 0, 1)
    own, other = skill(truth, oracle=chance, wrong=wrong)
    uncertainty = chance.mean() * (1 - chance.mean())
    assert own == pytest.approx(1 - np.mean(chance * (1 - chance)) / uncertainty)
    assert own - other == pytest.approx(np.mean((wrong - chance) ** 2) / uncertainty)


def test_no_forecast_has_more_expected_skill_than_the_true_probabilities(chance, truth):
    rng = np.random.default_rng(1)
    others = {str(k): np.clip(chance + rng.normal(0, 0.05, len(chance)), 0, 1) for k in range(5)}
    own, *rest = skill(truth, oracle=chance, **others)
    assert own > max(rest)


@pytest.mark.parametrize(
    ("score", "none"),
    [("brier_skill_score", 0), ("true_skill_statistic", 0), ("roc_area", 0.5)],
)
def test_a_constant_has_no_skill(chance, truth, score, none):
    constant = np.full(len(chance), chance.mean())
    assert skill(truth, score, constant=constant) == [pytest.approx(none)]


def test_it_is_what_many_draws_of_the_outcomes_come_to(chance, truth):
    forecast, rng = np.clip(chance * 0.8 + 0.02, 0, 1), np.random.default_rng(2)
    sampled = [brier_skill_score(rng.random(len(chance)) < chance, forecast) for _ in range(1000)]
    assert skill(truth, model=forecast) == [pytest.approx(np.mean(sampled), abs=0.007)]


def test_an_event_without_true_probability_and_forecasts_of_other_samples_are_refused(
    chance, truth
):
    with pytest.raises(VerificationInvalid, match=r"no event 'X1\.0'"):
        noise_free_scores({"model": forecast_of(chance)}, truth, event="X1.0", n_resamples=10)
    with pytest.raises(VerificationInvalid, match="399 forecasts for 400 true"):
        skill(truth, model=chance[:-1])
