import copy
import functools
from dataclasses import replace

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_forecasters import ORIGIN, SPEC, describe, small_logistic

from flare.errors import DatasetInvalid, ForecasterInvalid
from flare.features.table import FEATURE_NAMES
from flare.forecasters.references import logistic
from flare.forecasters.references.logistic import PIL_PROXY, fit_logistic
from flare.forecasters.storage import load, save
from flare.goes import EVENTS, HEADLINE_EVENT, event_outcomes, flux_of_class
from flare.seeding import Stream, integer_seed

N, GROUPS = 300, np.arange(300) // 5
HEADLINE = EVENTS.index(HEADLINE_EVENT)
PIL = FEATURE_NAMES.index(PIL_PROXY)
FEW = (PIL_PROXY, "94_mean_last", "present_share", "171_p95_last")


def planted(seed=0, *, gaps=0.0):
    """Return features of which R tells the flux, and labels of 1e-9..1e-3 W m^-2."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(N, len(FEATURE_NAMES)))
    log10_flux = np.clip(-5.3 + 0.9 * features[:, PIL] + rng.normal(0, 0.4, N), -9, -3)
    features[rng.random(features.shape) < gaps] = np.nan
    return features, 10**log10_flux


def fitted(features, peak_flux, groups=GROUPS, *, spec=SPEC, **options):
    return fit_logistic(features, peak_flux, groups, spec=spec, origin=ORIGIN, **options)


@functools.cache
def of_planted(names=FEW):
    return fitted(*planted(), names=names)


def chances(forecaster, features):
    return forecaster.predict_features(features).probability


def brier(probability, peak_flux):
    outcomes = event_outcomes(peak_flux, [HEADLINE_EVENT])[:, 0]
    return ((probability - outcomes) ** 2).mean()


@pytest.mark.parametrize("names", [FEW, (PIL_PROXY,)])
def test_probabilities_are_those_of_another_solver_on_the_same_numbers(names, monkeypatch):
    monkeypatch.setattr(logistic, "INVERSE_PENALTIES", (0.1,))
    features, peak_flux = planted(gaps=0.1)
    own = fitted(features, peak_flux, names=names).predict_features(features)
    table = features[:, [FEATURE_NAMES.index(name) for name in names]]
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        StandardScaler(),
        LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-8),
    )
    outcomes = event_outcomes(peak_flux, [HEADLINE_EVENT])[:, 0]
    theirs = model.fit(table, outcomes).predict_proba(table)[:, 1]
    np.testing.assert_allclose(own.probability_of(HEADLINE_EVENT), theirs, atol=1e-3)


def test_the_flux_is_the_median_of_what_the_probabilities_describe():
    features, peak_flux = planted()
    forecast = of_planted().predict_features(features)
    for event in EVENTS:
        reaches = forecast.log10_flux >= np.log10(flux_of_class(event))
        np.testing.assert_array_equal(reaches, forecast.probability_of(event) > 0.5)
    assert np.abs(forecast.log10_flux - np.log10(peak_flux)).mean() < 0.6


@pytest.mark.parametrize(("names", "share"), [(FEW, 0.7), ((PIL_PROXY,), 0.5)])
def test_it_learns_a_linear_relation_and_beats_climatology(names, share):
    features, peak_flux = planted(1)
    forecast = of_planted(names).predict_features(features)
    assert np.corrcoef(forecast.log10_flux, np.log10(peak_flux))[0, 1] > 0.8
    rate = event_outcomes(planted(0)[1])[:, HEADLINE].mean()
    probability = forecast.probability_of(HEADLINE_EVENT)
    assert brier(probability, peak_flux) < share * brier(rate, peak_flux)


def test_the_inversion_line_looks_at_nothing_else():
    features, _ = planted()
    others = np.full_like(features, np.nan)
    others[:, PIL] = features[:, PIL]
    line = of_planted((PIL_PROXY,))
    np.testing.assert_array_equal(chances(line, others), chances(line, features))


@pytest.mark.parametrize("likely", [0.2, 0.8])
def test_without_a_magnetogram_the_inversion_line_answers_the_rate_of_such_samples(likely):
    features, peak_flux = planted()
    missing = np.arange(N) % 3 == 0
    features[missing, PIL] = np.nan
    peak_flux[missing] = np.where(np.arange(100) % 10 < 10 * likely, 3e-5, 1e-9)
    forecaster = fitted(features, peak_flux, names=(PIL_PROXY,))
    answer = forecaster.predict_features(np.full((1, len(FEATURE_NAMES)), np.nan))
    assert answer.probability_of(HEADLINE_EVENT)[0] == pytest.approx(likely, abs=0.02)


def test_of_features_that_tell_nothing_the_penalty_makes_the_rate():
    features, peak_flux = planted()
    noise = np.random.default_rng(5).normal(size=features.shape)
    rates = event_outcomes(peak_flux).mean(axis=0)
    assert np.abs(chances(fitted(noise, peak_flux), noise) - rates).max() < 0.1


def test_regions_that_repeat_themselves_are_held_out_whole():
    # Each region has its own fingerprint in the features and its own label: samples of a region
    # that is known give it away, and a penalty chosen by sample would be the weakest.
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, len(FEATURE_NAMES))).repeat(10, axis=0)
    peak_flux = np.where(rng.random(30) < 0.5, 2e-6, 1e-9).repeat(10)
    regions = np.arange(300) // 10
    grouped = fitted(features, peak_flux, regions).models[1].coef_
    by_sample = fitted(features, peak_flux, np.arange(300)).models[1].coef_
    assert np.linalg.norm(grouped) < 0.5 * np.linalg.norm(by_sample)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_an_event_that_few_regions_have_or_lack_is_forecast_with_its_rate(count):
    features, _ = planted()
    peak_flux = np.full(N, 2e-6)
    peak_flux[0] = 1e-9
    peak_flux[5::5][:count] = 3e-5  # a sample in each of as many regions
    probability = fitted(features, peak_flux, names=FEW).predict_features(features).probability
    np.testing.assert_allclose(probability[:, HEADLINE], (count + 0.5) / (N + 1))
    np.testing.assert_allclose(probability[:, EVENTS.index("C1.0")], (N - 0.5) / (N + 1))


def test_a_fold_that_holds_all_regions_of_an_event_is_left_out():
    features, _ = planted()
    folds = GroupKFold(5, shuffle=True, random_state=integer_seed(0, Stream.LINEAR_FOLDS))
    _, held = next(folds.split(features, groups=GROUPS))
    peak_flux = np.full(N, 2e-6)
    peak_flux[held] = 3e-5
    forecast = fitted(features, peak_flux, names=FEW).predict_features(features)
    assert forecast.probability_of(HEADLINE_EVENT).mean() == pytest.approx(0.2, abs=0.01)


def test_a_handful_of_samples_of_one_region_and_labels_that_are_all_quiet_are_enough():
    features, peak_flux = planted()
    few = fitted(features[:2], peak_flux[:2], np.zeros(2, dtype=int))
    assert np.isfinite(chances(few, features)).all()
    quiet = fitted(features, np.full(N, 1e-9), names=FEW)
    np.testing.assert_allclose(quiet.predict_features(features).log10_flux, -9)


def test_a_feature_that_no_sample_has_changes_nothing():
    features, peak_flux = planted()
    features[:, FEATURE_NAMES.index("94_mean_last")] = np.nan
    others = tuple(name for name in FEW if name != "94_mean_last")
    both = (chances(fitted(features, peak_flux, names=one), features) for one in (FEW, others))
    np.testing.assert_allclose(*both, atol=1e-9)


def test_a_gap_that_training_never_had_is_filled_with_the_median():
    features, _ = planted()
    there, gone = features[:1].copy(), features[:1].copy()
    there[0, PIL], gone[0, PIL] = np.median(features[:, PIL]), np.nan
    np.testing.assert_array_equal(chances(of_planted(), gone), chances(of_planted(), there))


def test_features_beyond_five_deviations_count_as_five_and_the_flux_stays_within_range():
    signs = np.sign(planted()[0])
    near, far = (of_planted().predict_features(signs * one) for one in (1e3, 1e6))
    np.testing.assert_allclose(near.probability, far.probability, atol=1e-9)
    assert (far.log10_flux.min(), far.log10_flux.max()) == (-9, -2)


def test_without_samples_there_is_nothing_to_fit():
    features, peak_flux = planted()
    with pytest.raises(DatasetInvalid, match="no training samples"):
        fitted(features[:0], peak_flux[:0], GROUPS[:0])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"features": ["phase_of_the_moon"]}, "other features than this version computes"),
        ({"features": []}, "other features than this version computes"),
        ({}, "other features than this version computes"),
        ({"features": list(FEW)}, "expecting 216 features"),
    ],
)
def test_features_that_this_version_does_not_compute_are_refused(parts, message, tmp_path):
    folder = save(small_logistic(), tmp_path / "logistic")
    describe(folder, parts=parts)
    with pytest.raises(ForecasterInvalid, match=message):
        load(folder)


def with_coefficient(one, value):
    """Return it with other coefficients of its first regression."""
    models = copy.deepcopy(one.models)
    models[0].coef_ = np.full_like(models[0].coef_, value)
    return replace(one, models=models)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda one: replace(one, models=one.models[:-1]), "a model for each of 4 events"),
        (lambda one: replace(one, scaler=one.scaler[:1]), "wanted an imputer and a scaler"),
        (lambda one: replace(one, models=(Ridge(), *one.models[1:])), "a Ridge is not a logistic"),
        (lambda one: with_coefficient(one, np.nan), "not finite"),
        (lambda one: with_coefficient(one, np.inf), "not finite"),
    ],
)
def test_models_that_do_not_belong_together_are_refused(damage, message, tmp_path):
    with pytest.raises(ForecasterInvalid, match=message):
        load(save(damage(small_logistic()), tmp_path / "logistic"))
