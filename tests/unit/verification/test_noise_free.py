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


def value(scores, name: str, score: str) -> float:
    return next(one.value for one in scores[name] if one.name == score)


def test_the_true_probabilities_have_the_brier_skill_of_their_variance(chance, truth):
    scores = noise_free_scores({"oracle": forecast_of(chance)}, truth, event=EVENT, n_resamples=10)
    rate = chance.mean()
    expected = 1 - np.mean(chance * (1 - chance)) / (rate * (1 - rate))
    assert value(scores, "oracle", "brier_skill_score") == pytest.approx(expected)


def test_an_error_costs_its_mean_square_over_the_uncertainty(chance, truth):
    wrong = np.clip(chance + 0.1, 0, 1)
    both = {"oracle": forecast_of(chance), "wrong": forecast_of(wrong)}
    scores = noise_free_scores(both, truth, event=EVENT, n_resamples=10)
    lost = value(scores, "oracle", "brier_skill_score") - value(
        scores, "wrong", "brier_skill_score"
    )
    rate = chance.mean()
    assert lost == pytest.approx(np.mean((wrong - chance) ** 2) / (rate * (1 - rate)))


def test_no_forecast_has_more_expected_skill_than_the_true_probabilities(chance, truth):
    rng = np.random.default_rng(1)
    forecasts = {"oracle": forecast_of(chance)} | {
        str(k): forecast_of(np.clip(chance + rng.normal(0, 0.05, len(chance)), 0, 1))
        for k in range(5)
    }
    scores = noise_free_scores(forecasts, truth, event=EVENT, n_resamples=10)
    best = max(forecasts, key=lambda name: value(scores, name, "brier_skill_score"))
    assert best == "oracle"


def test_a_constant_has_no_skill(chance, truth):
    constant = forecast_of(np.full(len(chance), chance.mean()))
    scores = noise_free_scores({"constant": constant}, truth, event=EVENT, n_resamples=10)
    assert value(scores, "constant", "brier_skill_score") == pytest.approx(0)
    assert value(scores, "constant", "true_skill_statistic") == pytest.approx(0)
    assert value(scores, "constant", "roc_area") == pytest.approx(0.5)


def test_it_is_what_many_draws_of_the_outcomes_come_to(chance, truth):
    forecast = np.clip(chance * 0.8 + 0.02, 0, 1)
    scores = noise_free_scores({"model": forecast_of(forecast)}, truth, event=EVENT, n_resamples=10)
    rng = np.random.default_rng(2)
    sampled = [brier_skill_score(rng.random(len(chance)) < chance, forecast) for _ in range(2000)]
    assert value(scores, "model", "brier_skill_score") == pytest.approx(np.mean(sampled), abs=0.005)


def test_an_event_without_true_probability_is_refused(chance, truth):
    with pytest.raises(VerificationInvalid, match=r"no event 'X1\.0'"):
        noise_free_scores({"model": forecast_of(chance)}, truth, event="X1.0", n_resamples=10)


def test_forecasts_of_other_samples_are_refused(chance, truth):
    with pytest.raises(VerificationInvalid, match="399 forecasts for 400 true"):
        noise_free_scores({"model": forecast_of(chance[:-1])}, truth, event=EVENT, n_resamples=10)
