"""Calibrations: what each does, how it is fitted and chosen, what is refused."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.errors import ConfigInvalid, ForecasterInvalid, VerificationInvalid
from flare.forecast import shift_prior
from flare.forecasters.postprocessing.calibration import (
    FEWEST_EVENTS,
    METHODS,
    Calibration,
    choose_calibration,
    cross_calibrated,
    fit_calibration,
    logit,
)
from flare.verification.probabilistic import brier_score

FITTED = METHODS[1:]
FLOOR = {"floor": (1e-6,)}
KNOTS = {"issued": (0.2, 0.6), "calibrated": (0.1, 0.5), **FLOOR}


def of_log_odds(log_odds):
    return 1 / (1 + np.exp(-np.asarray(log_odds, dtype=float)))


def simulated(n, seed=0, rate=-1.0):
    """Return right probabilities of n samples, and what happened."""
    rng = np.random.default_rng(seed)
    probability = of_log_odds(rng.normal(rate, 1.5, n))
    return probability, rng.random(n) < probability


def distorted(probability):
    return of_log_odds(2 * logit(probability) + 1)


def test_no_method_wants_no_other_fold():
    probability, outcomes = simulated(10)
    one_fold = np.zeros(10, dtype=np.intp)
    assert choose_calibration(probability, outcomes, one_fold) == Calibration()
    calibrated = cross_calibrated("none", probability, outcomes, one_fold)
    np.testing.assert_array_equal(calibrated, probability)


def test_none_leaves_every_probability_as_it_is():
    probability = np.array([0.0, 0.3, 1.0])
    np.testing.assert_array_equal(Calibration().apply(probability), probability)


def test_a_temperature_of_2_halves_the_log_odds():
    hot = Calibration("temperature", {"temperature": (2.0,), **FLOOR})
    np.testing.assert_allclose(hot.apply(of_log_odds([-4, 0, 3])), of_log_odds([-2, 0, 1.5]))


def test_platt_draws_a_line_in_log_odds():
    line = Calibration("platt", {"slope": (0.5,), "offset": (-1.0,), **FLOOR})
    np.testing.assert_allclose(line.apply(of_log_odds([-4, 0, 3])), of_log_odds([-3, -1, 0.5]))


def test_isotonic_runs_straight_between_its_knots_and_level_beyond_them():
    steps = Calibration("isotonic", KNOTS)
    np.testing.assert_allclose(
        steps.apply(np.array([0, 0.2, 0.4, 0.6, 1])), [0.1, 0.1, 0.3, 0.5, 0.5]
    )


@functools.cache
def fitted_on_200(method):
    return fit_calibration(method, distorted(simulated(200)[0]), simulated(200)[1])


@pytest.mark.parametrize("method", METHODS)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_a_more_likely_sample_is_never_made_the_less_likely_one(method, probability):
    calibrated = fitted_on_200(method).apply(np.sort(probability))
    assert (np.diff(calibrated) >= -1e-15).all()


@pytest.mark.parametrize("method", FITTED)
def test_nothing_becomes_certain_from_20_samples(method):
    outcomes = np.arange(20) >= 10
    calibration = fit_calibration(method, outcomes.astype(float), outcomes)
    calibrated = calibration.apply(np.array([0.0, 1.0]))
    assert calibrated.min() >= 1 / 22
    assert calibrated.max() <= 21 / 22


def test_a_temperature_that_was_put_in_is_found():
    probability, outcomes = simulated(20_000)
    result = fit_calibration("temperature", of_log_odds(2 * logit(probability)), outcomes)
    assert result.parameters["temperature"][0] == pytest.approx(2, rel=0.05)


def test_a_slope_and_an_offset_that_were_put_in_are_found():
    probability, outcomes = simulated(20_000)
    result = fit_calibration("platt", distorted(probability), outcomes).parameters
    assert result["slope"][0] == pytest.approx(0.5, abs=0.03)
    assert result["offset"][0] == pytest.approx(-0.5, abs=0.06)


@pytest.mark.parametrize("method", FITTED)
def test_each_method_undoes_a_distortion_on_new_samples(method):
    probability, outcomes = simulated(5000)
    calibration = fit_calibration(method, of_log_odds(3 * logit(probability)), outcomes)
    probability, outcomes = simulated(5000, seed=1)
    raw = of_log_odds(3 * logit(probability))
    right, before, after = (
        brier_score(outcomes, one) for one in (probability, raw, calibration.apply(raw))
    )
    assert after - right < 0.15 * (before - right)


@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_forecasts_that_run_the_wrong_way_are_left_as_they_are(method):
    probability, outcomes = simulated(2000, rate=0.0)
    assert fit_calibration(method, 1 - probability, outcomes) == Calibration()


@pytest.mark.parametrize("method", FITTED)
@pytest.mark.parametrize("outcome", [True, False])
def test_outcomes_of_one_kind_calibrate_nothing(method, outcome):
    with pytest.raises(VerificationInvalid, match="events and non-events"):
        fit_calibration(method, np.full(9, 0.4), np.full(9, outcome))


def test_an_unknown_method_is_refused_with_those_there_are():
    with pytest.raises(ConfigInvalid, match="'beta'; choose one of none, temperature"):
        fit_calibration("beta", *simulated(20))


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("beta", {}),
        ("none", FLOOR),
        ("temperature", {"temperature": (2.0,)}),
        ("temperature", {"temperature": (0.0,), **FLOOR}),
        ("temperature", {"temperature": (-1.0,), **FLOOR}),
        ("temperature", {"temperature": (float("nan"),), **FLOOR}),
        ("temperature", {"temperature": (float("inf"),), **FLOOR}),
        ("temperature", {"temperature": (), **FLOOR}),
        ("temperature", {"temperature": (2.0,), "floor": (0.0,)}),
        ("temperature", {"temperature": (2.0,), "floor": (0.5,)}),
        ("platt", {"slope": (0.0,), "offset": (0.0,), **FLOOR}),
        ("platt", {"slope": (1.0,), "offset": (float("nan"),), **FLOOR}),
        ("isotonic", {**KNOTS, "issued": (0.6, 0.2)}),
        ("isotonic", {**KNOTS, "issued": (0.2, 0.2)}),
        ("isotonic", {**KNOTS, "issued": (0.2, 1.2)}),
        ("isotonic", {**KNOTS, "issued": (0.2,)}),
        ("isotonic", {**KNOTS, "issued": (), "calibrated": ()}),
        ("isotonic", {**KNOTS, "calibrated": (0.5, 0.1)}),
        ("isotonic", {**KNOTS, "calibrated": (-0.1, 0.1)}),
    ],
)
def test_values_that_no_fit_can_have_given_are_refused(method, parameters):
    with pytest.raises(ForecasterInvalid, match="calibration"):
        Calibration(method, parameters)


def folds_of(n):
    return np.arange(n) % 3


def test_a_fold_is_calibrated_by_the_others_alone():
    probability, outcomes = simulated(300)
    other = np.where(folds_of(300) == 1, ~outcomes, outcomes)
    before, after = (
        cross_calibrated("platt", probability, some, folds_of(300)) for some in (outcomes, other)
    )
    first = folds_of(300) == 1
    np.testing.assert_array_equal(before[first], after[first])
    assert (before[~first] != after[~first]).any()


def test_of_20_forecasters_that_are_right_at_least_15_are_left_alone():
    chosen = [choose_calibration(*simulated(300, seed), folds_of(300)) for seed in range(20)]
    assert chosen.count(Calibration()) >= 15


@pytest.mark.parametrize(
    ("distort", "method"),
    [
        (lambda p: of_log_odds(2.5 * logit(p)), "temperature"),
        (distorted, "platt"),
        (lambda p: np.where(p < 0.3, 0.3 - p / 10, p), "isotonic"),
    ],
)
def test_the_simplest_method_that_undoes_a_distortion_is_chosen(distort, method):
    probability, outcomes = simulated(6000)
    assert choose_calibration(distort(probability), outcomes, folds_of(6000)).method == method


@pytest.mark.parametrize("flip", [False, True])
def test_with_four_events_or_non_events_nothing_is_calibrated(flip):
    outcomes = (np.arange(300) < 4) ^ flip
    assert choose_calibration(np.full(300, 0.5), outcomes, folds_of(300)) == Calibration()


def test_without_100_events_there_is_no_isotonic_calibration():
    probability, outcomes = simulated(6000)
    few = np.flatnonzero(outcomes)[: FEWEST_EVENTS["isotonic"] - 1]
    rows = np.concatenate([few, np.flatnonzero(~outcomes)])
    raw = np.where(probability < 0.3, 0.3 - probability / 10, probability)[rows]
    assert choose_calibration(raw, outcomes[rows], folds_of(len(rows))).method != "isotonic"


def test_where_one_fold_holds_all_events_nothing_is_calibrated():
    probability, outcomes = simulated(300)
    folds = np.where(outcomes, 0, folds_of(300))
    assert choose_calibration(distorted(probability), outcomes, folds) == Calibration()


rates = st.floats(0.01, 0.99)


@given(st.floats(0, 1), rates, rates)
def test_moved_to_another_rate_and_back_a_probability_is_the_same(probability, one, other):
    there = shift_prior(np.array([probability]), one, other)
    assert shift_prior(there, other, one)[0] == pytest.approx(probability, abs=1e-9)


@given(rates, rates)
def test_a_forecast_of_the_rate_becomes_one_of_the_other_rate(one, other):
    assert shift_prior(np.array([one]), one, other)[0] == pytest.approx(other)


def test_what_is_certain_stays_certain():
    np.testing.assert_array_equal(shift_prior(np.array([0.0, 1.0]), 0.1, 0.4), [0, 1])


def test_moved_probabilities_are_right_where_events_are_more_frequent():
    # Of samples that look alike, non-events are thinned out until events are as frequent as wanted.
    probability, outcomes = simulated(400_000, rate=-2.5)
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


def test_samples_of_one_region_count_as_one_where_a_calibration_is_chosen():
    """A change that eight copies of each sample make look certain is not, over their regions."""
    chosen = {True: 0, False: 0}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        chance = rng.uniform(0.05, 0.6, 60)
        noise = np.repeat(rng.random(60) < chance, 8)
        outcomes, probability = noise, np.repeat(chance, 8) + rng.normal(0, 0.01, 480)
        regions = np.repeat(np.arange(60), 8)
        for known in chosen:
            result = choose_calibration(
                probability.clip(0.01, 0.99),
                outcomes,
                regions % 3,
                regions=regions if known else None,
            )
            chosen[known] += result != Calibration()
    assert chosen[True] <= 3 < chosen[False]
