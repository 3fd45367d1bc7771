"""From the outputs of a model to a forecast: calibration, order, and rates that are stated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_forecasters import CUBES, PRESENT, small_climatology

from flare.errors import ConfigInvalid, ForecasterInvalid
from flare.forecast import natural_probabilities, shift_prior
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.calibration import Calibration
from flare.goes import EVENTS

COLD = Calibration("temperature", {"temperature": (0.5,), "floor": (1e-6,)})
LIFTED = Calibration("platt", {"slope": (1.0,), "offset": (3.0,), "floor": (1e-6,)})
RATES = dict(zip(EVENTS, (0.7, 0.4, 0.1, 0.01), strict=True))
THRESHOLDS = dict(zip(EVENTS, (0.6, 0.35, 0.08, 0.02), strict=True))
KNOWN = PostProcessing(thresholds=THRESHOLDS, rates=RATES)
RAW = np.array([[0.9, 0.6, 0.2, 0.01], [0.5, 0.1, 0.05, 0.001]])

raw_probabilities = st.lists(
    st.lists(st.floats(0, 1), min_size=4, max_size=4).map(lambda row: sorted(row, reverse=True)),
    min_size=1,
    max_size=20,
).map(np.array)


def finished(postprocessing, raw=RAW):
    return postprocessing.apply(np.full(len(raw), -6.0), raw, EVENTS)


@pytest.mark.parametrize(
    ("calibrations", "m_probability"),
    [
        ({}, RAW[:, 2]),
        ({"M1.0": COLD}, COLD.apply(RAW[:, 2])),
        ({"M1.0": LIFTED}, RAW[:, 1]),  # no higher than the weaker event
    ],
)
def test_each_event_is_calibrated_by_its_own_up_to_the_weaker_event(calibrations, m_probability):
    probability = finished(PostProcessing(calibrations=calibrations)).probability
    np.testing.assert_array_equal(probability[:, [0, 1, 3]], RAW[:, [0, 1, 3]])
    np.testing.assert_array_equal(probability[:, 2], m_probability)


def test_a_stated_rate_moves_its_event_and_not_the_interval():
    before, after = finished(KNOWN), finished(KNOWN.at_rates({"M1.0": 0.05}))
    np.testing.assert_array_equal(after.probability[:, 2], shift_prior(RAW[:, 2], 0.1, 0.05))
    np.testing.assert_array_equal(after.probability[:, :2], RAW[:, :2])
    np.testing.assert_array_equal([before.lower, before.upper], [after.lower, after.upper])


@settings(max_examples=40)
@given(raw_probabilities, st.floats(0.001, 0.999), st.sampled_from(EVENTS))
def test_at_any_stated_rate_a_stronger_event_is_never_more_likely(raw, rate, event):
    moved = PostProcessing(thresholds=THRESHOLDS, rates=RATES, stated_rates={event: rate})
    probability = finished(moved, raw).probability
    assert (np.diff(probability, axis=1) <= 0).all()


def test_alarms_stay_the_same_where_all_events_become_more_frequent():
    more = {event: 3 * rate / (1 + 2 * rate) for event, rate in RATES.items()}  # odds times 3
    frequent = KNOWN.at_rates(more)
    raw = -np.sort(-np.random.default_rng(0).random((200, 4)), axis=1)
    for column, event in enumerate(EVENTS):
        before, after = (
            finished(postprocessing, raw).probability[:, column] >= postprocessing.thresholds[event]
            for postprocessing in (KNOWN, frequent)
        )
        np.testing.assert_array_equal(before, after)


def test_a_rate_that_is_stated_again_replaces_the_first_and_none_changes_nothing():
    once = KNOWN.at_rates({"M1.0": 0.3})
    twice = KNOWN.at_rates({"M1.0": 0.02}).at_rates({"M1.0": 0.3})
    assert twice.stated_rates == once.stated_rates == {"M1.0": 0.3}
    assert twice.thresholds == pytest.approx(once.thresholds)
    assert KNOWN.at_rates({}) == KNOWN


@pytest.mark.parametrize(
    ("postprocessing", "stated", "message"),
    [
        (KNOWN, {"M5.0": 0.1}, "'M5.0'; choose from B1.0, C1.0"),
        (KNOWN, {"M1.0": 0.0}, "stated rate of M1.0 is 0.0"),
        (KNOWN, {"M1.0": 1.0}, "stated rate of M1.0 is 1.0"),
        (KNOWN, {"M1.0": float("nan")}, "stated rate of M1.0 is nan"),
        (KNOWN, {"C1.0": 0.05}, "M1.0 is at 0.1 and C1.0 at 0.05, but every M1.0 is a C1.0"),
        (KNOWN, {"M1.0": 0.2, "C1.0": 0.1}, "M1.0 is at 0.2 and C1.0 at 0.1"),
        (PostProcessing(), {"M1.0": 0.1}, "does not know at which rate of M1.0"),
        (PostProcessing(rates={"M1.0": 0.0}), {"M1.0": 0.1}, "does not know at which rate of M1.0"),
    ],
)
def test_a_rate_that_cannot_be_moved_to_says_why(postprocessing, stated, message):
    with pytest.raises(ConfigInvalid, match=message):
        postprocessing.at_rates(stated)


@pytest.mark.parametrize(
    "fields",
    [
        {"rates": {"M1.0": 1.1}},
        {"rates": {"M1.0": float("nan")}},
        {"stated_rates": {"M1.0": 0.1}},
        {"rates": {"M1.0": 0.2}, "stated_rates": {"M1.0": 0.0}},
    ],
)
def test_postprocessing_of_impossible_rates_is_refused(fields):
    with pytest.raises(ForecasterInvalid, match="rate"):
        PostProcessing(**fields)


def test_climatology_at_a_stated_rate_forecasts_that_rate():
    climatology = small_climatology()
    moved = climatology.with_postprocessing(climatology.postprocessing.at_rates({"M1.0": 0.15}))
    probability = moved.predict(CUBES[:2], PRESENT[:2]).probability_of("M1.0")
    np.testing.assert_allclose(probability, 0.15)


WEIGHTS = (0.5, 2.0, 0.7, 4.0, 4.0)


def of_events(classes) -> np.ndarray:
    """Return the probabilities of events, (N, 4), from those of classes, (N, 5)."""
    return np.cumsum(np.asarray(classes)[:, ::-1], axis=1)[:, ::-1][:, 1:]


def test_weights_of_1_change_nothing_and_of_one_event_it_is_the_shift_of_the_prior():
    probability = np.array([[0.9, 0.5, 0.1, 0.01], [1, 1, 1, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(natural_probabilities(probability, [1.0] * 5), probability)
    # 6 % of samples are events; drawn half and half they come 0.5 / 0.06 times as often.
    one = np.array([0.001, 0.2, 0.9])
    result = natural_probabilities(one[:, None], (0.5 / 0.94, 0.5 / 0.06))
    np.testing.assert_allclose(result[:, 0], shift_prior(one, 0.5, 0.06))


@pytest.mark.parametrize("weights", [WEIGHTS, (3.0, 0.1, 1.0, 1.0, 9.0)])
def test_what_balanced_classes_make_of_the_truth_is_divided_out(weights):
    truth = np.random.default_rng(0).dirichlet([4, 1.5, 3, 0.5, 0.05], size=200)
    sampled = truth * weights
    sampled /= sampled.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        natural_probabilities(of_events(sampled), weights), of_events(truth), rtol=1e-9, atol=1e-12
    )


@settings(max_examples=40)
@given(raw_probabilities, st.lists(st.floats(0.05, 20), min_size=5, max_size=5))
def test_natural_probabilities_stay_in_order_and_within_0_and_1(probability, weights):
    result = natural_probabilities(probability, weights)
    assert (np.diff(result, axis=1) <= 1e-12).all()
    assert result.min() >= 0
    assert result.max() <= 1 + 1e-12


rates = st.floats(0.01, 0.99)


@settings(max_examples=40)
@given(st.floats(0, 1), rates, rates)
def test_moved_to_another_rate_and_back_a_probability_is_the_same(probability, one, other):
    there = shift_prior(np.array([probability, one, 0, 1]), one, other)
    np.testing.assert_allclose(there[1:], [other, 0, 1])
    assert shift_prior(there, other, one)[0] == pytest.approx(probability, abs=1e-9)


def test_moved_probabilities_are_right_where_events_are_more_frequent():
    # Of samples that look alike, non-events are thinned out until events are as frequent as wanted.
    rng = np.random.default_rng(0)
    probability = 1 / (1 + np.exp(-rng.normal(-2.5, 1.5, 400_000)))
    outcomes = rng.random(400_000) < probability
    rate, wanted = outcomes.mean(), 0.4
    share = rate * (1 - wanted) / (wanted * (1 - rate))
    some = outcomes | (np.random.default_rng(2).random(len(outcomes)) < share)
    moved, outcome = shift_prior(probability[some], rate, wanted), outcomes[some]
    for low in (0.1, 0.3, 0.5, 0.7):
        inside = (moved >= low) & (moved < low + 0.1)
        assert outcome[inside].mean() == pytest.approx(moved[inside].mean(), abs=0.02)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
@pytest.mark.parametrize("name", ["from_rate", "to_rate"])
def test_a_rate_that_is_none_is_named(name, rate):
    given_rates = {"from_rate": 0.1, "to_rate": 0.1} | {name: rate}
    with pytest.raises(ConfigInvalid, match=f"{name} is {rate}"):
        shift_prior(np.array([0.3]), **given_rates)
