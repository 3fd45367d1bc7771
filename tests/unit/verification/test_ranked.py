import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scores.probability import brier_score as their_brier_score
from sklearn.metrics import log_loss as their_log_loss

from flare.errors import VerificationInvalid
from flare.goes import event_outcomes
from flare.verification.probabilistic import (
    RANKED_EVENTS,
    log_loss,
    ranked_probability_score,
    ranked_probability_skill_score,
)

MOVES = np.array([[False, False, False, False], [True, True, False, False]])


@st.composite
def forecasts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    classes = np.array(draw(st.lists(st.integers(0, 4), min_size=1, max_size=30)))
    reached = classes[:, None] > np.arange(4)
    chance = st.lists(st.floats(0, 1), min_size=4, max_size=4)
    n = len(classes)
    return reached, np.array(draw(st.lists(chance, min_size=n, max_size=n)))


def test_the_thresholds_are_those_between_the_five_classes() -> None:
    assert RANKED_EVENTS == ("B1.0", "C1.0", "M1.0", "X1.0")


@given(sample=forecasts())
def test_it_is_the_sum_of_four_brier_scores(sample: tuple) -> None:
    reached, probability = sample
    theirs = sum(
        float(their_brier_score(xr.DataArray(p), xr.DataArray(r.astype(float))))
        for r, p in zip(reached.T, probability.T, strict=True)
    )
    assert ranked_probability_score(reached, probability) == pytest.approx(theirs)


@given(sample=forecasts())
def test_a_perfect_forecast_has_0(sample: tuple) -> None:
    reached, _ = sample
    assert ranked_probability_score(reached, reached.astype(float)) == 0


def test_an_x_flare_forecast_as_quiet_has_the_worst_score_4() -> None:
    reached = event_outcomes(np.array([2e-4]), RANKED_EVENTS)
    assert ranked_probability_score(reached, np.zeros((1, 4))) == 4


def test_m_for_an_x_flare_is_a_smaller_error_than_c() -> None:
    reached = event_outcomes(np.array([2e-4, 2e-4]), RANKED_EVENTS)
    c, m = np.array([[1.0, 1, 0, 0]]), np.array([[1.0, 1, 1, 0]])
    assert ranked_probability_score(reached[:1], m) == 1
    assert ranked_probability_score(reached[:1], c) == 2


def test_a_weight_of_two_counts_like_a_second_sample() -> None:
    probability = np.array([[0.5, 0.3, 0.1, 0.0], [0.9, 0.6, 0.2, 0.1]])
    weighted = ranked_probability_score(MOVES, probability, weights=np.array([[1, 1], [2, 1]]))
    repeated = ranked_probability_score(MOVES[[0, 0, 1]], probability[[0, 0, 1]])
    assert weighted[1] == pytest.approx(float(repeated))


def test_forecasting_the_class_rates_of_the_sample_has_no_skill() -> None:
    reached = np.array([4, 2, 2, 1, 0, 0, 0, 0])[:, None] > np.arange(4)
    rates = np.repeat(reached.mean(axis=0)[None], 8, axis=0)
    assert ranked_probability_skill_score(reached, rates) == pytest.approx(0)


def test_a_perfect_forecast_of_several_classes_has_a_skill_of_1() -> None:
    assert ranked_probability_skill_score(MOVES, MOVES.astype(float)) == 1


def test_each_resample_is_compared_with_its_own_class_rates() -> None:
    thirds = np.array([[2 / 3, 2 / 3, 0, 0]] * 2)
    skill = ranked_probability_skill_score(MOVES, thirds, weights=np.array([[1, 1], [1, 2]]))
    assert skill[0] < 0
    assert skill[1] == pytest.approx(0)


def test_there_is_no_skill_to_have_where_all_samples_are_of_one_class() -> None:
    assert np.isnan(ranked_probability_skill_score(MOVES[:1], np.full((1, 4), 0.5)))


@pytest.mark.parametrize(
    ("reached", "probability", "said"),
    [
        ([[False, True]], [[0.5, 0.5]], "without the one before"),
        ([[1, 0]], [[0.5, 0.5]], "wanted booleans"),
        ([True], [0.5], r"shape \(1,\)"),
        ([[True, False]], [[0.5]], r"\(1, 1\); wanted \(1, 2\)"),
        ([[True, False]], [[0.5, np.nan]], r"probability\[0, 1\] is nan"),
        ([[True, False]], [[1.5, 0.5]], "1.5; a probability lies in 0..1"),
    ],
)
def test_what_is_not_a_ranked_forecast_is_named(
    reached: list, probability: list, said: str
) -> None:
    with pytest.raises(VerificationInvalid, match=said):
        ranked_probability_score(np.array(reached), np.array(probability))


def test_no_samples_have_no_ranked_score() -> None:
    with pytest.raises(VerificationInvalid, match=r"shape \(0, 4\)"):
        ranked_probability_score(np.zeros((0, 4), dtype=bool), np.zeros((0, 4)))


@given(sample=forecasts())
def test_the_log_loss_is_the_mean_of_those_of_the_thresholds(sample: tuple) -> None:
    reached, probability = sample
    inside = np.clip(probability, 1e-7, 1 - 1e-7)
    theirs = [
        their_log_loss(r, p, labels=[False, True]) for r, p in zip(reached.T, inside.T, strict=True)
    ]
    assert log_loss(reached, probability) == pytest.approx(np.mean(theirs), abs=1e-6)
