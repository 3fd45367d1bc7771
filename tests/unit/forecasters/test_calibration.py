"""Calibrations of one event and of a whole distribution: effect, fit, choice, what is refused."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare.errors import ConfigInvalid, ForecasterInvalid, VerificationInvalid
from flare.flux_curve import log_rates, probabilities
from flare.forecast import Forecast
from flare.forecasters.postprocessing.calibration import (
    FEWEST_EVENTS,
    METHODS,
    RATE,
    Calibration,
    choose_calibration,
    choose_rate_calibration,
    cross_calibrated,
    fit_calibration,
    logit,
)
from flare.forecasters.postprocessing.fit import calibration_gains, fit_postprocessing
from flare.goes import EVENTS
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


@pytest.mark.parametrize(
    ("calibration", "before", "after"),
    [
        (Calibration(), [0.0, 0.3, 1.0], [0.0, 0.3, 1.0]),
        (
            Calibration("temperature", {"temperature": (2.0,), **FLOOR}),
            of_log_odds([-4, 0, 3]),
            of_log_odds([-2, 0, 1.5]),
        ),
        (
            Calibration("platt", {"slope": (0.5,), "offset": (-1.0,), **FLOOR}),
            of_log_odds([-4, 0, 3]),
            of_log_odds([-3, -1, 0.5]),
        ),
        (Calibration("isotonic", KNOTS), [0, 0.2, 0.4, 0.6, 1], [0.1, 0.1, 0.3, 0.5, 0.5]),
    ],
)
def test_each_method_moves_probabilities_as_its_parameters_say(calibration, before, after):
    np.testing.assert_allclose(calibration.apply(np.array(before)), after)


@functools.cache
def fitted_on_200(method):
    return fit_calibration(method, distorted(simulated(200)[0]), simulated(200)[1])


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=30)
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


@pytest.mark.parametrize("outcome", [True, False])
def test_what_cannot_be_fitted_is_refused(outcome):
    for method in FITTED:
        with pytest.raises(VerificationInvalid, match="events and non-events"):
            fit_calibration(method, np.full(9, 0.4), np.full(9, outcome))
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


def test_where_events_or_folds_are_too_few_nothing_is_calibrated():
    constant, four = np.full(300, 0.5), np.arange(300) < 4
    for outcomes in (four, ~four):
        assert choose_calibration(constant, outcomes, folds_of(300)) == Calibration()
    probability, outcomes = simulated(300)
    for folds in (np.zeros(300, dtype=int), np.where(outcomes, 0, folds_of(300))):
        assert choose_calibration(distorted(probability), outcomes, folds) == Calibration()


def test_without_100_events_there_is_no_isotonic_calibration():
    probability, outcomes = simulated(6000)
    few = np.flatnonzero(outcomes)[: FEWEST_EVENTS["isotonic"] - 1]
    rows = np.concatenate([few, np.flatnonzero(~outcomes)])
    raw = np.where(probability < 0.3, 0.3 - probability / 10, probability)[rows]
    assert choose_calibration(raw, outcomes[rows], folds_of(len(rows))).method != "isotonic"


def test_samples_of_one_region_count_as_one_where_a_calibration_is_chosen():
    """A change that eight copies of each sample make look certain is not, over their regions."""
    chosen = {True: 0, False: 0}
    regions = np.arange(60).repeat(8)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        chance = rng.uniform(0.05, 0.6, 60)
        outcomes = (rng.random(60) < chance).repeat(8)
        probability = (chance.repeat(8) + rng.normal(0, 0.01, 480)).clip(0.01, 0.99)
        for known in chosen:
            own = {"regions": regions if known else None}
            result = choose_calibration(probability, outcomes, regions % 3, **own)
            chosen[known] += result != Calibration()
    assert chosen[True] <= 3 < chosen[False]


N = 3000


def sun(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return true probabilities (N, 4) of a distribution and labels drawn from it."""
    rng = np.random.default_rng(seed)
    rates = rng.normal(-0.5, 1.0, N)[:, None] - 1.5 * np.arange(4)
    p = probabilities(rates)
    reached = (rng.random(N)[:, None] < p).sum(axis=1)
    return p, np.array([1e-9, 3e-7, 3e-6, 3e-5, 3e-4])[reached]


P, LABELS = sun()
OUTCOMES = LABELS[:, None] >= np.array([1e-7, 1e-6, 1e-5, 1e-4])
FOLDS = np.arange(N) % 3


def distorted_rates(slope: float, offset: float) -> np.ndarray:
    return probabilities((log_rates(P) - offset) / slope)


def forecast(probability: np.ndarray) -> Forecast:
    flux = np.full(N, -7.0)
    return Forecast(flux, flux, flux, probability, EVENTS)


def test_a_distortion_of_the_log_rates_is_found_again():
    chosen = choose_rate_calibration(distorted_rates(0.5, 0.8), OUTCOMES, FOLDS)
    assert chosen.method == RATE
    assert chosen.parameters["slope"][0] == pytest.approx(0.5, abs=0.05)
    assert chosen.parameters["offset"][0] == pytest.approx(0.8, abs=0.15)


def test_right_probabilities_and_those_of_few_events_are_left_as_they_are():
    assert choose_rate_calibration(P, OUTCOMES, FOLDS).method == "none"
    rare = OUTCOMES & (np.arange(N) < 5)[:, None]
    assert choose_rate_calibration(distorted_rates(0.5, 0.8), rare, FOLDS).method == "none"


def test_all_events_flux_and_interval_come_from_one_curve():
    raw = distorted_rates(2.0, -0.5)
    postprocessing = fit_postprocessing(forecast(raw), LABELS, FOLDS, level=0.9, distribution=True)
    assert len({str(one) for one in postprocessing.calibrations.values()}) == 1
    made = postprocessing.apply(np.empty(N), raw, EVENTS)
    assert (np.diff(made.probability, axis=1) <= 0).all()
    for k, flux in enumerate((-7.0, -6.0, -5.0, -4.0)):
        likely = made.probability[:, k] > 0.5 + 1e-9
        assert (made.log10_flux[likely] >= flux - 1e-9).all()
        assert (made.log10_flux[~likely] <= flux + 1e-6).all()
    assert (made.lower <= made.log10_flux).all()
    assert (made.log10_flux <= made.upper).all()


def test_what_it_gains_is_reported_of_each_event():
    raw = forecast(distorted_rates(0.5, 0.8))
    fitted = fit_postprocessing(raw, LABELS, FOLDS, level=0.9, distribution=True)
    gains = calibration_gains(raw, LABELS, FOLDS, fitted)
    assert all(gains[event].after < gains[event].before for event in ("B1.0", "C1.0"))
