import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scores.probability import brier_score as their_brier_score
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


@st.composite
def forecasts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes with at least one of each, probabilities with many ties, and weights."""
    n = draw(st.integers(2, 40))
    observed = np.array([True, False, *draw(st.lists(st.booleans(), min_size=n, max_size=n))])
    tenths = st.lists(st.integers(0, 10), min_size=n + 2, max_size=n + 2)
    weights = np.array(draw(st.lists(st.integers(0, 3), min_size=n + 2, max_size=n + 2)))
    weights[:2] += 1
    return observed, np.array(draw(tenths)) / 10, weights


@given(sample=forecasts())
def test_brier_score_equals_that_of_the_bureau_of_meteorologys_package(sample):
    observed, probability, _ = sample
    theirs = their_brier_score(xr.DataArray(probability), xr.DataArray(observed.astype(float)))
    assert brier_score(observed, probability) == pytest.approx(float(theirs))


@given(sample=forecasts())
def test_weighted_brier_score_equals_scikit_learns(sample):
    observed, probability, weights = sample
    theirs = brier_score_loss(observed, probability, sample_weight=weights)
    assert brier_score(observed, probability, weights=weights) == pytest.approx(theirs)


@given(sample=forecasts())
def test_weighted_roc_area_with_ties_equals_scikit_learns(sample):
    observed, probability, weights = sample
    theirs = [
        roc_auc_score(observed, probability),
        roc_auc_score(observed, probability, sample_weight=weights),
    ]
    ours = roc_area(observed, probability, weights=np.stack([np.ones_like(weights), weights]))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@given(sample=forecasts())
def test_roc_area_depends_on_the_order_of_probabilities_only(sample):
    observed, probability, _ = sample
    assert roc_area(observed, probability**3) == pytest.approx(
        float(roc_area(observed, probability))
    )


@given(probability=st.floats(0, 1), events=st.integers(1, 50), others=st.integers(1, 50))
def test_a_constant_forecast_has_a_roc_area_of_one_half(probability, events, others):
    observed = np.arange(events + others) < events
    assert roc_area(observed, np.full(events + others, probability)) == 0.5


@given(sample=forecasts())
def test_weighted_average_precision_with_ties_equals_scikit_learns(sample):
    observed, probability, weights = sample
    theirs = [
        average_precision_score(observed, probability),
        average_precision_score(observed, probability, sample_weight=weights),
    ]
    both = np.stack([np.ones_like(weights), weights])
    ours = average_precision(observed, probability, weights=both)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@given(probability=st.floats(0, 1), events=st.integers(1, 50), others=st.integers(1, 50))
def test_a_constant_forecast_has_the_event_rate_as_average_precision(probability, events, others):
    observed = np.arange(events + others) < events
    score = average_precision(observed, np.full(events + others, probability))
    assert score == pytest.approx(events / (events + others))


@given(sample=forecasts(), quiet=st.integers(1, 50))
def test_correct_negatives_below_all_events_do_not_raise_average_precision(sample, quiet):
    observed, probability, _ = sample
    busy = average_precision(observed, probability + 0.1 * (probability < 0.1))
    with_quiet = average_precision(
        np.append(observed, np.zeros(quiet, dtype=bool)),
        np.append(probability + 0.1 * (probability < 0.1), np.zeros(quiet)),
    )
    assert with_quiet == pytest.approx(float(busy))


def test_perfect_order_has_an_average_precision_of_1():
    assert average_precision(np.array([False, True, True]), np.array([0.1, 0.2, 0.3])) == 1


def test_average_precision_is_nan_without_events():
    assert np.isnan(average_precision(np.zeros(3, dtype=bool), np.array([0.1, 0.2, 0.3])))


def test_scores_of_the_order_are_defined_or_nan_without_non_events():
    observed, probability = np.ones(3, dtype=bool), np.array([0.1, 0.2, 0.3])
    assert average_precision(observed, probability) == 1
    assert np.isnan(roc_area(observed, probability))


def test_roc_area_is_nan_without_events():
    assert np.isnan(roc_area(np.zeros(3, dtype=bool), np.array([0.1, 0.2, 0.3])))


def test_brier_skill_against_a_named_rate_is_zero_for_that_rate():
    observed = np.arange(10) < 3
    skill = brier_skill_score(observed, np.full(10, 0.06), reference_rate=0.06)
    assert skill == pytest.approx(0)


def test_each_resample_is_compared_with_its_own_event_rate():
    observed = np.array([True, False, False])
    weights = np.array([[1, 1, 1], [2, 1, 1]])
    rate_of_second = np.full(3, 0.5)
    skill = brier_skill_score(observed, rate_of_second, weights=weights)
    assert skill[0] < 0
    assert skill[1] == pytest.approx(0)


def test_brier_skill_is_nan_without_events():
    assert np.isnan(brier_skill_score(np.zeros(3, dtype=bool), np.full(3, 0.1)))


def test_a_reference_rate_of_zero_is_not_mistaken_for_none():
    observed = np.array([True, False])
    assert brier_skill_score(observed, np.zeros(2), reference_rate=0.0) == 0


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        ([0.2, float("nan")], r"probability\[1\] is nan"),
        ([0.2, 1.01], "1.01; a probability lies in 0..1"),
        ([-0.5, 0.5], "-0.5"),
        ([0.2], r"shape \(1,\); wanted \(2,\)"),
    ],
)
def test_what_is_not_a_probability_is_named(probability, said):
    for score in (roc_area, average_precision, brier_score, brier_skill_score):
        with pytest.raises(VerificationInvalid, match=said):
            score(np.array([True, False]), np.array(probability))


@pytest.mark.parametrize("rate", [6.0, -0.1, float("nan")])
def test_a_reference_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(VerificationInvalid, match=f"reference rate of {rate}"):
        brier_skill_score(np.array([True, False]), np.array([0.5, 0.5]), reference_rate=rate)


def test_weights_for_other_samples_are_refused():
    with pytest.raises(VerificationInvalid, match=r"\(5, 3\)"):
        brier_score(np.array([True, False]), np.array([0.5, 0.5]), weights=np.ones((5, 3)))


MOVES = np.array([[False, False, False, False], [True, True, False, False]])


@st.composite
def ranked_forecasts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    classes = np.array(draw(st.lists(st.integers(0, 4), min_size=1, max_size=30)))
    reached = classes[:, None] > np.arange(4)
    chance = st.lists(st.floats(0, 1), min_size=4, max_size=4)
    n = len(classes)
    return reached, np.array(draw(st.lists(chance, min_size=n, max_size=n)))


def test_the_thresholds_are_those_between_the_five_classes():
    assert RANKED_EVENTS == ("B1.0", "C1.0", "M1.0", "X1.0")


@given(sample=ranked_forecasts())
def test_it_is_the_sum_of_four_brier_scores(sample):
    reached, probability = sample
    theirs = sum(
        float(their_brier_score(xr.DataArray(p), xr.DataArray(r.astype(float))))
        for r, p in zip(reached.T, probability.T, strict=True)
    )
    assert ranked_probability_score(reached, probability) == pytest.approx(theirs)


@given(sample=ranked_forecasts())
def test_a_perfect_forecast_has_0(sample):
    reached, _ = sample
    assert ranked_probability_score(reached, reached.astype(float)) == 0


def test_an_x_flare_forecast_as_quiet_has_the_worst_score_4():
    reached = event_outcomes(np.array([2e-4]), RANKED_EVENTS)
    assert ranked_probability_score(reached, np.zeros((1, 4))) == 4


def test_m_for_an_x_flare_is_a_smaller_error_than_c():
    reached = event_outcomes(np.array([2e-4, 2e-4]), RANKED_EVENTS)
    c, m = np.array([[1.0, 1, 0, 0]]), np.array([[1.0, 1, 1, 0]])
    assert ranked_probability_score(reached[:1], m) == 1
    assert ranked_probability_score(reached[:1], c) == 2


def test_a_weight_of_two_counts_like_a_second_sample():
    probability = np.array([[0.5, 0.3, 0.1, 0.0], [0.9, 0.6, 0.2, 0.1]])
    weighted = ranked_probability_score(MOVES, probability, weights=np.array([[1, 1], [2, 1]]))
    repeated = ranked_probability_score(MOVES[[0, 0, 1]], probability[[0, 0, 1]])
    assert weighted[1] == pytest.approx(float(repeated))


def test_forecasting_the_class_rates_of_the_sample_has_no_skill():
    reached = np.array([4, 2, 2, 1, 0, 0, 0, 0])[:, None] > np.arange(4)
    rates = np.repeat(reached.mean(axis=0)[None], 8, axis=0)
    assert ranked_probability_skill_score(reached, rates) == pytest.approx(0)


def test_a_perfect_forecast_of_several_classes_has_a_skill_of_1():
    assert ranked_probability_skill_score(MOVES, MOVES.astype(float)) == 1


def test_each_resample_is_compared_with_its_own_class_rates():
    thirds = np.array([[2 / 3, 2 / 3, 0, 0]] * 2)
    skill = ranked_probability_skill_score(MOVES, thirds, weights=np.array([[1, 1], [1, 2]]))
    assert skill[0] < 0
    assert skill[1] == pytest.approx(0)


def test_there_is_no_skill_to_have_where_all_samples_are_of_one_class():
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
def test_what_is_not_a_ranked_forecast_is_named(reached, probability, said):
    with pytest.raises(VerificationInvalid, match=said):
        ranked_probability_score(np.array(reached), np.array(probability))


def test_no_samples_have_no_ranked_score():
    with pytest.raises(VerificationInvalid, match=r"shape \(0, 4\)"):
        ranked_probability_score(np.zeros((0, 4), dtype=bool), np.zeros((0, 4)))


@given(sample=ranked_forecasts())
def test_the_log_loss_is_the_mean_of_those_of_the_thresholds(sample):
    reached, probability = sample
    inside = np.clip(probability, 1e-7, 1 - 1e-7)
    theirs = [
        their_log_loss(r, p, labels=[False, True]) for r, p in zip(reached.T, inside.T, strict=True)
    ]
    assert log_loss(reached, probability) == pytest.approx(np.mean(theirs), abs=1e-6)
