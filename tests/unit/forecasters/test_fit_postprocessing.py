from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare.errors import DatasetInvalid
from flare.forecast import Forecast
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.fit import (
    calibrate_by_fold,
    calibration_gains,
    fit_postprocessing,
)
from flare.goes import EVENTS, event_outcomes
from flare.verification.probabilistic import brier_score


def forecast_of(log10_flux, probability=None) -> Forecast:
    log10_flux = np.asarray(log10_flux, dtype=np.float64)
    if probability is None:
        probability = np.full((len(log10_flux), len(EVENTS)), 0.1)
    return Forecast(log10_flux, log10_flux, log10_flux, np.asarray(probability), EVENTS)


def interval_of(residuals, level=0.9):
    """Tune on labels that lie the residuals, in dex, above a forecast of 1e-6."""
    residuals = np.asarray(residuals, dtype=np.float64)
    return fit_interval(forecast_of(np.full(len(residuals), -6.0)), 10 ** (residuals - 6), level)


def fit_interval(forecast, flux, level=0.9):
    """Tune with one fold, so that no time is spent on calibrating: the interval is the same."""
    return fit_postprocessing(forecast, flux, np.zeros(len(flux), dtype=int), level=level)


def fit_at_level(forecast, flux, level=0.9):
    """Tune with the samples dealt out into three folds in turn."""
    return fit_postprocessing(forecast, flux, np.arange(len(flux)) % 3, level=level)


def inside(residual: float, postprocessing) -> bool:
    return postprocessing.residual_low - 1e-9 <= residual <= postprocessing.residual_high + 1e-9


@settings(max_examples=15)
@given(
    st.integers(19, 40).flatmap(
        lambda n: st.lists(st.integers(-3000, 3000), min_size=n + 1, max_size=n + 1, unique=True)
    )
)
def test_left_out_one_after_the_other_the_level_or_more_fall_inside(thousandths):
    # What makes split conformal intervals hold: every one is as likely to be the new one.
    residuals = np.array(thousandths) / 1000
    held = [
        inside(residuals[k], interval_of(np.delete(residuals, k))) for k in range(len(residuals))
    ]
    assert sum(held) >= 0.9 * len(residuals)


def test_the_interval_ends_at_order_statistics_of_the_residuals():
    # n = 39 at level 0.9: the second smallest and the second largest.
    postprocessing = interval_of(np.arange(-19, 20) / 10)
    assert (postprocessing.residual_low, postprocessing.residual_high) == pytest.approx((-1.8, 1.8))


@pytest.mark.parametrize(
    "residuals", [[0.01], np.linspace(-1, 1, 18), np.linspace(1, 2, 18), -np.linspace(1, 2, 18)]
)
def test_of_too_few_cases_all_fall_inside_and_the_forecast_too(residuals):
    postprocessing = interval_of(residuals)
    assert all(inside(one, postprocessing) for one in (*residuals, 0))


def test_thresholds_separate_what_can_be_and_rates_are_those_of_the_samples():
    flux = np.array([1e-9, 2e-6, 2e-5, 3e-5, 5e-5])
    m_probability = np.array([0.01, 0.04, 0.08, 0.2, 0.3])
    probability = np.column_stack([np.full((5, 2), 0.5), m_probability, np.zeros(5)])
    fitted = fit_at_level(forecast_of(np.log10(flux), probability), flux)
    assert tuple(fitted.thresholds) == EVENTS
    assert 0.04 < fitted.thresholds["M1.0"] < 0.08
    assert fitted.thresholds["X1.0"] == 0.5  # it never happens
    assert fitted.rates == {"B1.0": 0.8, "C1.0": 0.8, "M1.0": 0.6, "X1.0": 0.0}


def test_without_samples_nothing_is_fitted():
    with pytest.raises(DatasetInvalid, match="no samples to fit the postprocessing on"):
        interval_of([])


def simulated(n, seed):
    """Return right forecasts of n samples in 3 folds, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    log10_flux = rng.normal(-6, 0.7, n)
    peak_flux = 10 ** (log10_flux + rng.logistic(0, 0.25, n))
    edges = np.array([-7, -6, -5, -4])
    probability = 1 / (1 + np.exp((edges - log10_flux[:, None]) / 0.25))
    return forecast_of(log10_flux, probability), peak_flux


def distorted(forecast, power):
    return replace(forecast, probability=forecast.probability**power)


@pytest.mark.parametrize("power", [0.3, 1, 4.0])
def test_calibration_undoes_most_of_a_power_on_new_samples_and_costs_a_right_forecast_little(power):
    forecast, peak_flux = simulated(1500, seed=0)
    postprocessing = fit_at_level(distorted(forecast, power), peak_flux)
    new, new_flux = simulated(3000, seed=1)
    spoilt = distorted(new, power)
    done = finished(postprocessing, spoilt)
    outcomes = event_outcomes(new_flux)
    for k in (1, 2):
        right, before, after = (
            brier_score(outcomes[:, k], one.probability[:, k]) for one in (new, spoilt, done)
        )
        assert after - right < 0.35 * (before - right) + 0.002 * (power == 1)


def test_a_gain_is_measured_on_folds_that_the_calibration_was_not_fitted_on():
    forecast, peak_flux = simulated(600, seed=0)
    forecast = distorted(forecast, 3)
    folds = np.arange(600) % 3
    postprocessing = fit_postprocessing(forecast, peak_flux, folds, level=0.9)
    gain = calibration_gains(forecast, peak_flux, folds, postprocessing)["C1.0"]
    outcomes = event_outcomes(peak_flux, ("C1.0",))[:, 0]
    raw = forecast.probability_of("C1.0")
    itself = brier_score(outcomes, postprocessing.calibrations["C1.0"].apply(raw))
    assert gain.n_events == outcomes.sum()
    assert gain.before == pytest.approx(brier_score(outcomes, raw))
    assert itself < gain.after < gain.before


def finished(postprocessing, forecast):
    return postprocessing.apply(forecast.log10_flux, forecast.probability, EVENTS)


def with_ends(n: int, seed: int = 0) -> tuple[Forecast, np.ndarray]:
    """Return forecasts whose ends are three times too near where labels scatter more, and labels.

    Labels are normal about the forecast with a deviation of 0.1 to 1 dex, which the ends tell.
    """
    rng = np.random.default_rng(seed)
    middle, deviation = rng.uniform(-7, -5, n), rng.uniform(0.1, 1, n)
    forecast = forecast_of(middle)
    reach = 1.645 * deviation / 3
    labels = 10 ** (middle + rng.normal(0, deviation))
    return replace(forecast, lower=middle - reach, upper=middle + reach), labels


def finished_with_ends(postprocessing, forecast: Forecast) -> Forecast:
    """Return the interval as it was fitted: the probabilities here have nothing to do with it."""
    ends = forecast.lower, forecast.upper
    return replace(postprocessing, interval_level=None).apply(
        forecast.log10_flux, forecast.probability, EVENTS, ends=ends
    )


def share_inside(done, labels):
    return np.mean((done.lower <= np.log10(labels)) & (np.log10(labels) <= done.upper))


@pytest.mark.parametrize(
    ("samples", "finish"), [(simulated, finished), (with_ends, finished_with_ends)]
)
def test_the_interval_holds_nine_tenths_of_new_samples_with_and_without_own_ends(samples, finish):
    shares = []
    for seed in range(20):
        postprocessing = fit_interval(*samples(300, seed))
        new, labels = samples(1000, 100 + seed)
        shares.append(share_inside(finish(postprocessing, new), labels))
    assert 0.89 < np.mean(shares) < 0.92
    assert min(shares) > 0.85
    assert max(shares) < 0.95


def test_ends_that_a_model_forecast_keep_their_differences_and_are_narrowed_if_too_far():
    forecast, labels = with_ends(999)
    done = finished_with_ends(fit_at_level(forecast, labels), forecast)
    widened = (done.upper - done.lower) - (forecast.upper - forecast.lower)
    np.testing.assert_allclose(widened, widened[0])
    assert np.ptp(done.upper - done.lower) > 0.5
    far = replace(forecast, lower=forecast.log10_flux - 5, upper=forecast.log10_flux + 5)
    fitted = fit_at_level(far, labels)
    assert fitted.residual_low > 0 > fitted.residual_high
    assert share_inside(finished_with_ends(fitted, far), labels) == pytest.approx(0.9, abs=0.01)


def test_the_interval_holds_its_forecast_even_where_the_ends_are_moved_beyond_it():
    done = finished_with_ends(PostProcessing(residual_low=2, residual_high=-2), with_ends(50)[0])
    np.testing.assert_array_equal(done.lower, done.log10_flux)
    np.testing.assert_array_equal(done.upper, done.log10_flux)


def test_calibrated_fold_by_fold_the_forecasts_of_a_fold_do_not_depend_on_its_own_labels():
    forecast, flux, folds = *simulated(600, seed=1), np.arange(600) % 3
    forecast = distorted(forecast, 3)
    postprocessing = fit_at_level(forecast, flux)
    other = np.where(folds == 0, np.roll(flux, 30), flux)  # the same labels for the other folds
    one, changed = (
        calibrate_by_fold(forecast, labels, folds, postprocessing).probability
        for labels in (flux, other)
    )
    np.testing.assert_array_equal(one[folds == 0], changed[folds == 0])
    assert not np.array_equal(one[folds != 0], changed[folds != 0])
    assert not np.array_equal(one, forecast.probability)


def test_a_distribution_is_calibrated_as_a_whole_by_the_other_folds():
    rng, factors = np.random.default_rng(0), 3.0 ** -np.arange(4)
    rates = np.exp(rng.normal(-1, 1, 300))[:, None] * factors
    classes = (rng.exponential(size=(300, 1)) < rates).sum(axis=1)
    flux, folds = 10.0 ** (classes - 8) * 2, np.arange(300) % 3
    forecast = forecast_of(np.full(300, -6.0), 1 - np.exp(-0.3 * rates))  # too low
    options = {"level": 0.9, "distribution": True}
    fitted = fit_postprocessing(forecast, flux, folds, **options)
    assert {one.method for one in fitted.calibrations.values()} == {"rate"}
    result = calibrate_by_fold(forecast, flux, folds, fitted).take(folds == 0)
    others, own = forecast.take(folds != 0), forecast.take(folds == 0)
    alone = fit_postprocessing(others, flux[folds != 0], np.arange(200) % 2, **options)
    expected = finished(alone, own)
    np.testing.assert_allclose(result.probability, expected.probability, atol=1e-3)
    np.testing.assert_allclose(result.log10_flux, expected.log10_flux, atol=0.02)
