import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as their_log_loss

from flare.errors import VerificationInvalid
from flare.goes import event_outcomes
from flare.verification.probabilistic import (
    RANKED_EVENTS,
    average_precision,
    brier_score,
    brier_skill_score,
    log_loss,
    ranked_probability_score,
    ranked_probability_skill_score,
    roc_area,
)

some = settings(max_examples=30)


@st.composite
def forecasts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes with at least one of each, probabilities with many ties, and weights."""
    n = draw(st.integers(2, 40))
    observed = np.array([True, False, *draw(st.lists(st.booleans(), min_size=n, max_size=n))])
    tenths = st.lists(st.integers(0, 10), min_size=n + 2, max_size=n + 2)
    weights = np.array(draw(st.lists(st.integers(0, 3), min_size=n + 2, max_size=n + 2)))
    weights[:2] += 1
    return observed, np.array(draw(tenths)) / 10, weights


@some
@given(sample=forecasts())
def test_scores_with_ties_and_weights_equal_those_of_scikit_learn(sample):
    observed, probability, weights = sample
    both = np.stack([np.ones_like(weights), weights])
    for ours, theirs in (
        (brier_score, brier_score_loss),
        (roc_area, roc_auc_score),
        (average_precision, average_precision_score),
    ):
        expected = [theirs(observed, probability, sample_weight=one) for one in both]
        result = ours(observed, probability, weights=both)
        np.testing.assert_allclose(result, expected, atol=1e-12)


@some
@given(probability=st.floats(0, 1), events=st.integers(1, 50), others=st.integers(1, 50))
def test_a_constant_forecast_has_no_skill_in_its_order(probability, events, others):
    observed, constant = np.arange(events + others) < events, np.full(events + others, probability)
    assert roc_area(observed, constant) == 0.5
    rate = events / (events + others)
    assert average_precision(observed, constant) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("score", "without_events", "without_non_events"),
    [
        (roc_area, np.nan, np.nan),
        (average_precision, np.nan, 1),
        (brier_skill_score, np.nan, np.nan),
    ],
)
def test_scores_without_events_or_non_events_are_nan_or_defined(
    score, without_events, without_non_events
):
    probability = np.array([0.1, 0.2, 0.3])
    results = [score(np.full(3, outcome), probability) for outcome in (False, True)]
    np.testing.assert_array_equal(results, [without_events, without_non_events])


@pytest.mark.parametrize("rate", [0.06, 0.0])
def test_brier_skill_against_a_named_rate_is_zero_for_that_rate(rate):
    skill = brier_skill_score(np.arange(10) < 3, np.full(10, rate), reference_rate=rate)
    assert skill == pytest.approx(0)


def test_each_resample_is_compared_with_its_own_event_rate():
    weights = np.array([[1, 1, 1], [2, 1, 1]])
    observed, rate_of_second = np.array([True, False, False]), np.full(3, 0.5)
    skill = brier_skill_score(observed, rate_of_second, weights=weights)
    assert skill[0] < 0
    assert skill[1] == pytest.approx(0)


@pytest.mark.parametrize(
    ("probability", "message"),
    [
        ([0.2, float("nan")], r"probability\[1\] is nan"),
        ([0.2, 1.01], "1.01; a probability lies in 0..1"),
        ([-0.5, 0.5], "-0.5"),
        ([0.2], r"shape \(1,\); wanted \(2,\)"),
    ],
)
@pytest.mark.parametrize("score", [roc_area, average_precision, brier_score, brier_skill_score])
def test_what_is_not_a_probability_is_named(score, probability, message):
    with pytest.raises(VerificationInvalid, match=message):
        score(np.array([True, False]), np.array(probability))


@pytest.mark.parametrize("rate", [6.0, -0.1, float("nan")])
def test_a_reference_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(VerificationInvalid, match=f"reference rate of {rate}"):
        brier_skill_score(np.array([True, False]), np.array([0.5, 0.5]), reference_rate=rate)


def test_weights_for_other_samples_are_refused():
    with pytest.raises(VerificationInvalid, match=r"\(5, 3\)"):
        brier_score(np.array([True, False]), np.array([0.5, 0.5]), weights=np.ones((5, 3)))


QUIET_AND_C = np.array([[False, False, False, False], [True, True, False, False]])


@st.composite
def ranked_forecasts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    classes = np.array(draw(st.lists(st.integers(0, 4), min_size=1, max_size=30)))
    reached = classes[:, None] > np.arange(4)
    chance = st.lists(st.floats(0, 1), min_size=4, max_size=4)
    n = len(classes)
    return reached, np.array(draw(st.lists(chance, min_size=n, max_size=n)))


@some
@given(sample=ranked_forecasts())
def test_the_ranked_probability_score_is_the_sum_of_four_brier_scores(sample):
    reached, probability = sample
    columns = zip(reached.T, probability.T, strict=True)
    expected = sum(float(brier_score(r, p)) for r, p in columns)
    assert ranked_probability_score(reached, probability) == pytest.approx(expected)
    assert ranked_probability_score(reached, reached.astype(float)) == 0


@pytest.mark.parametrize(
    ("forecast", "score"), [([0, 0, 0, 0], 4), ([1, 1, 0, 0], 2), ([1, 1, 1, 0], 1)]
)
def test_of_an_x_flare_quiet_has_the_worst_score_and_m_a_better_one_than_c(forecast, score):
    assert RANKED_EVENTS == ("B1.0", "C1.0", "M1.0", "X1.0")
    reached = event_outcomes(np.array([2e-4]), RANKED_EVENTS)
    assert ranked_probability_score(reached, np.array([forecast], dtype=float)) == score


def test_a_weight_of_two_counts_like_a_second_sample():
    probability = np.array([[0.5, 0.3, 0.1, 0.0], [0.9, 0.6, 0.2, 0.1]])
    weights = np.array([[1, 1], [2, 1]])
    weighted = ranked_probability_score(QUIET_AND_C, probability, weights=weights)
    repeated = ranked_probability_score(QUIET_AND_C[[0, 0, 1]], probability[[0, 0, 1]])
    assert weighted[1] == pytest.approx(float(repeated))


def test_the_ranked_skill_is_0_for_the_rates_of_the_sample_and_1_for_a_perfect_forecast():
    reached = np.array([4, 2, 2, 1, 0, 0, 0, 0])[:, None] > np.arange(4)
    rates = np.repeat(reached.mean(axis=0)[None], 8, axis=0)
    assert ranked_probability_skill_score(reached, rates) == pytest.approx(0)
    assert ranked_probability_skill_score(reached, reached.astype(float)) == 1
    assert np.isnan(ranked_probability_skill_score(reached[:1], np.full((1, 4), 0.5)))


def test_each_resample_is_compared_with_its_own_class_rates():
    thirds, weights = np.array([[2 / 3, 2 / 3, 0, 0]] * 2), np.array([[1, 1], [1, 2]])
    skill = ranked_probability_skill_score(QUIET_AND_C, thirds, weights=weights)
    assert skill[0] < 0
    assert skill[1] == pytest.approx(0)


@pytest.mark.parametrize(
    ("reached", "probability", "message"),
    [
        ([[False, True]], [[0.5, 0.5]], "without the one before"),
        ([[1, 0]], [[0.5, 0.5]], "wanted booleans"),
        ([True], [0.5], r"shape \(1,\)"),
        ([[True, False]], [[0.5]], r"\(1, 1\); wanted \(1, 2\)"),
        ([[True, False]], [[0.5, np.nan]], r"probability\[0, 1\] is nan"),
        ([[True, False]], [[1.5, 0.5]], "1.5; a probability lies in 0..1"),
        (np.zeros((0, 4), dtype=bool), np.zeros((0, 4)), r"shape \(0, 4\)"),
    ],
)
def test_what_is_not_a_ranked_forecast_is_named(reached, probability, message):
    with pytest.raises(VerificationInvalid, match=message):
        ranked_probability_score(np.array(reached), np.array(probability))


@some
@given(sample=ranked_forecasts())
def test_the_log_loss_is_the_mean_of_those_of_the_thresholds(sample):
    reached, probability = sample
    inside = np.clip(probability, 1e-7, 1 - 1e-7)
    theirs = [
        their_log_loss(r, p, labels=[False, True]) for r, p in zip(reached.T, inside.T, strict=True)
    ]
    assert log_loss(reached, probability) == pytest.approx(np.mean(theirs), abs=1e-6)
