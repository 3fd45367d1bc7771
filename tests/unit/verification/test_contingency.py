import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scores.categorical import BinaryContingencyManager
from sklearn import metrics as sklearn_metrics

from flare.errors import VerificationInvalid
from flare.verification import contingency
from flare.verification.contingency import (
    CONTINGENCY_SCORES,
    ContingencyTable,
    best_threshold,
    contingency_table,
    heidke_skill_score,
    tables_at,
    true_skill_statistic,
)

some = settings(max_examples=25)

# Finley's tornado forecasts of 1884, the oldest table that everybody has scored.
FINLEY = ContingencyTable(hits=28, misses=23, false_alarms=72, correct_negatives=2680)
# Gilbert's answer to Finley's 96.6 %: Murphy 1996, The Finley affair, Weather Forecast. 11.
NO_TORNADO = ContingencyTable(hits=0, misses=51, false_alarms=0, correct_negatives=2752)
# A year of rain forecasts: WWRP/WGNE Joint Working Group, Forecast Verification FAQ.
RAIN = ContingencyTable(hits=82, misses=23, false_alarms=38, correct_negatives=222)

counts = st.integers(1, 300)
tables = st.builds(ContingencyTable, counts, counts, counts, counts)


def outcomes_and_forecasts(table: ContingencyTable) -> tuple[np.ndarray, np.ndarray]:
    numbers = [table.hits, table.misses, table.false_alarms, table.correct_negatives]
    return (
        np.repeat([True, True, False, False], numbers),
        np.repeat([True, False, True, False], numbers),
    )


@pytest.mark.parametrize(
    ("table", "score", "published", "digit"),
    [
        (FINLEY, "true_skill_statistic", 0.523, 1e-3),
        (FINLEY, "heidke_skill_score", 0.355, 1e-3),
        (FINLEY, "probability_of_detection", 0.549, 1e-3),
        (FINLEY, "false_alarm_ratio", 0.720, 1e-3),
        (FINLEY, "critical_success_index", 0.228, 1e-3),
        (FINLEY, "frequency_bias", 1.961, 1e-3),
        (FINLEY, "accuracy", 0.966, 1e-3),
        (FINLEY, "gilbert_skill_score", 0.216, 1e-3),
        (NO_TORNADO, "accuracy", 0.982, 1e-3),
        (NO_TORNADO, "heidke_skill_score", 0, 1e-9),
        (RAIN, "accuracy", 0.83, 1e-2),
        (RAIN, "frequency_bias", 1.14, 1e-2),
        (RAIN, "probability_of_detection", 0.78, 1e-2),
        (RAIN, "false_alarm_ratio", 0.32, 1e-2),
        (RAIN, "probability_of_false_detection", 0.15, 1e-2),
        (RAIN, "critical_success_index", 0.57, 1e-2),
    ],
)
def test_published_tables_have_their_published_scores(table, score, published, digit):
    assert CONTINGENCY_SCORES[score](table) == pytest.approx(published, abs=digit / 2)


def test_counting_finleys_forecasts_gives_back_his_table():
    assert contingency_table(*outcomes_and_forecasts(FINLEY)) == FINLEY


BUREAUS = {
    "true_skill_statistic": "peirce_skill_score",
    "heidke_skill_score": "heidke_skill_score",
    "probability_of_detection": "probability_of_detection",
    "probability_of_false_detection": "probability_of_false_detection",
    "false_alarm_ratio": "false_alarm_ratio",
    "critical_success_index": "critical_success_index",
    "frequency_bias": "frequency_bias",
    "accuracy": "accuracy",
    "gilbert_skill_score": "gilberts_skill_score",
    "symmetric_extremal_dependence_index": "symmetric_extremal_dependence_index",
}
SCIKIT_LEARNS = {
    "precision": sklearn_metrics.precision_score,
    "recall": sklearn_metrics.recall_score,
    "f1_score": sklearn_metrics.f1_score,
    "accuracy": sklearn_metrics.accuracy_score,
    "heidke_skill_score": sklearn_metrics.cohen_kappa_score,
}


@some
@given(table=tables)
def test_scores_equal_those_of_scikit_learn_and_of_the_bureau_of_meteorology(table):
    observed, forecast = outcomes_and_forecasts(table)
    for ours, theirs in SCIKIT_LEARNS.items():
        assert CONTINGENCY_SCORES[ours](table) == pytest.approx(theirs(observed, forecast)), ours
    arrays = (xr.DataArray(a.astype(float)) for a in (forecast, observed))
    bureau = BinaryContingencyManager(*arrays)
    for ours, name in BUREAUS.items():
        expected = float(getattr(bureau, name)())
        assert CONTINGENCY_SCORES[ours](table) == pytest.approx(expected, abs=1e-12), ours


@some
@given(table=tables, times=st.integers(2, 50))
def test_tss_does_not_change_when_quiet_days_are_added(table, times):
    quieter = ContingencyTable(
        table.hits, table.misses, table.false_alarms * times, table.correct_negatives * times
    )
    assert true_skill_statistic(quieter) == pytest.approx(float(true_skill_statistic(table)))


@some
@given(events=counts, non_events=counts)
def test_constant_forecasts_have_no_skill_and_perfect_ones_perfect_scores(events, non_events):
    always = ContingencyTable(events, 0, non_events, 0)
    never = ContingencyTable(0, events, 0, non_events)
    for score in (true_skill_statistic, heidke_skill_score):
        assert score(always) == score(never) == 0
    usual = never if events < non_events else always
    assert contingency.appleman_skill_score(usual) == 0
    perfect = ContingencyTable(events, 0, 0, non_events)
    zero_is_perfect = {"probability_of_false_detection", "false_alarm_ratio"}
    for name, score in CONTINGENCY_SCORES.items():
        assert score(perfect) == (0 if name in zero_is_perfect else 1), name


@pytest.mark.parametrize(
    ("table", "undefined"),
    [
        (
            ContingencyTable(hits=0, misses=0, false_alarms=3, correct_negatives=7),
            "true_skill_statistic probability_of_detection recall frequency_bias "
            "appleman_skill_score symmetric_extremal_dependence_index",
        ),
        (
            ContingencyTable(hits=0, misses=3, false_alarms=0, correct_negatives=7),
            "precision false_alarm_ratio symmetric_extremal_dependence_index",
        ),
    ],
)
def test_scores_that_need_events_or_alarms_are_nan_without_them(table, undefined):
    result = {name for name, score in CONTINGENCY_SCORES.items() if np.isnan(score(table))}
    assert result == set(undefined.split())


def test_a_weight_of_two_counts_like_a_second_sample_and_a_resample_without_events_is_nan():
    observed, forecast = np.array([True, False, True]), np.array([True, True, False])
    weights = np.array([[1, 1, 1], [2, 0, 1], [0, 1, 0]])
    table = contingency_table(observed, forecast, weights=weights)
    np.testing.assert_array_equal(table.hits, [1, 2, 0])
    np.testing.assert_array_equal(table.misses, [1, 1, 0])
    np.testing.assert_array_equal(table.false_alarms, [1, 0, 1])
    np.testing.assert_array_equal(np.isnan(true_skill_statistic(table)), [False, True, True])


@pytest.mark.parametrize(
    ("observed", "forecast", "message"),
    [
        ([], [], "at least one sample"),
        ([True, False], [True], r"\(2,\); wanted \(1,\)"),
        ([True, False], [0.7, 0.2], "probability >= threshold"),
        ([1, 0], [True, False], "wanted booleans"),
        ([[True]], [[True]], r"\(1, 1\)"),
    ],
)
def test_arrays_that_make_no_table_are_named(observed, forecast, message):
    empty_is_bool = bool if not observed else None
    with pytest.raises(VerificationInvalid, match=message):
        contingency_table(np.array(observed, empty_is_bool), np.array(forecast, empty_is_bool))


forecasts = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30)


def tss(observed: np.ndarray, probability: np.ndarray, threshold: float) -> float:
    return float(true_skill_statistic(contingency_table(observed, probability >= threshold)))


@some
@given(forecasts)
def test_no_threshold_beats_the_best_one(pairs):
    observed = np.array([True, False, *(outcome for outcome, _ in pairs)])
    probability = np.array([0.5, 0.5, *(p for _, p in pairs)])
    best = tss(observed, probability, best_threshold(observed, probability))
    for threshold in [0.0, 1.0, *probability, *np.nextafter(probability, 2)]:
        assert tss(observed, probability, threshold) <= best + 1e-12


@pytest.mark.parametrize(
    ("outcomes", "probability", "threshold"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9], 0.4),  # the middle of the gap
        ([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.8], 0.55),  # TSS 0.5 from 0.1 to 0.2, too: the wider gap
        ([1, 0, 0, 0], [0.06] * 4, 0.53),  # a climatology never raises an alarm
    ],
)
def test_the_best_threshold_is_the_middle_of_the_widest_gap(outcomes, probability, threshold):
    observed = np.array(outcomes, dtype=bool)
    assert best_threshold(observed, np.array(probability)) == pytest.approx(threshold)


@pytest.mark.parametrize("low", [0.3, float(np.nextafter(0.3, 1))])
def test_neighbouring_floats_are_distinguished(low):
    # The middle of two neighbours rounds onto the lower one for one of these pairs.
    observed, probability = np.array([False, True]), np.array([low, np.nextafter(low, 1)])
    assert tss(observed, probability, best_threshold(observed, probability)) == 1


def test_without_events_or_non_events_the_threshold_is_the_given_one_and_nan_is_refused():
    probability = np.array([0.1, 0.2, 0.3])
    for outcome in (True, False):
        assert best_threshold(np.full(3, outcome), probability, otherwise=0.25) == 0.25
    with pytest.raises(VerificationInvalid, match="nan"):
        best_threshold(np.array([True, False]), np.array([0.5, np.nan]))


def test_tables_at_0_always_and_above_everything_never_have_an_alarm():
    observed, probability = np.array([True, False, False]), np.array([1.0, 0.4, 0.0])
    tables = tables_at(observed, probability, np.array([0.0, 0.4, 1.0, 1.1]))
    np.testing.assert_array_equal(tables.alarms, [3, 2, 1, 0])
    np.testing.assert_array_equal(tables.hits, [1, 1, 1, 0])
    np.testing.assert_array_equal(tables.correct_negatives, [0, 1, 2, 2])
