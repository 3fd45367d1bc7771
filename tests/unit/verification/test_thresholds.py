import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.errors import VerificationInvalid
from flare.verification.contingency import (
    best_threshold,
    contingency_table,
    tables_at,
    true_skill_statistic,
)

forecasts = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30)


def tss(observed: np.ndarray, probability: np.ndarray, threshold: float) -> float:
    return float(true_skill_statistic(contingency_table(observed, probability >= threshold)))


@given(forecasts)
def test_no_threshold_beats_the_best_one(pairs: list[tuple[bool, float]]) -> None:
    observed = np.array([True, False, *(outcome for outcome, _ in pairs)])
    probability = np.array([0.5, 0.5, *(p for _, p in pairs)])
    best = tss(observed, probability, best_threshold(observed, probability))
    for threshold in [0.0, 1.0, *probability, *np.nextafter(probability, 2)]:
        assert tss(observed, probability, threshold) <= best + 1e-12


def test_the_best_threshold_is_the_middle_of_the_gap() -> None:
    observed = np.array([False, False, True, True])
    assert best_threshold(observed, np.array([0.1, 0.2, 0.6, 0.9])) == pytest.approx(0.4)


def test_of_equally_good_gaps_the_widest_is_chosen() -> None:
    observed = np.array([False, True, False, True])
    probability = np.array([0.1, 0.2, 0.3, 0.8])
    # TSS is 0.5 both from 0.1 to 0.2 and from 0.3 to 0.8.
    assert best_threshold(observed, probability) == pytest.approx(0.55)


def test_a_climatology_never_raises_an_alarm() -> None:
    observed = np.arange(100) < 6
    assert best_threshold(observed, np.full(100, 0.06)) > 0.06


@pytest.mark.parametrize("low", [0.3, float(np.nextafter(0.3, 1))])
def test_neighbouring_floats_are_distinguished(low: float) -> None:
    # The middle of two neighbours rounds onto the lower one for one of these pairs.
    observed, probability = np.array([False, True]), np.array([low, np.nextafter(low, 1)])
    assert tss(observed, probability, best_threshold(observed, probability)) == 1


@pytest.mark.parametrize("outcomes", [True, False])
def test_without_events_or_non_events_the_answer_is_the_given_one(outcomes: bool) -> None:
    observed = np.full(3, outcomes)
    assert best_threshold(observed, np.array([0.1, 0.2, 0.3]), otherwise=0.25) == 0.25


def test_tables_at_0_always_and_above_everything_never_have_an_alarm() -> None:
    observed, probability = np.array([True, False, False]), np.array([1.0, 0.4, 0.0])
    tables = tables_at(observed, probability, np.array([0.0, 0.4, 1.0, 1.1]))
    np.testing.assert_array_equal(tables.alarms, [3, 2, 1, 0])
    np.testing.assert_array_equal(tables.hits, [1, 1, 1, 0])
    np.testing.assert_array_equal(tables.correct_negatives, [0, 1, 2, 2])


def test_probabilities_that_are_nan_have_no_best_threshold() -> None:
    with pytest.raises(VerificationInvalid, match="nan"):
        best_threshold(np.array([True, False]), np.array([0.5, np.nan]))
