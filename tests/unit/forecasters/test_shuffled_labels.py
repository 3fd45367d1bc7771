"""Labels that were dealt out to other regions cannot be forecast: neither reference finds skill.

Everything is as in an evaluation - fitted on features, postprocessed out of fold, scored on
held-out regions - so a leak anywhere between fitting, postprocessing and scoring would show as
skill.
"""

from dataclasses import replace

import numpy as np
import pytest
from small_forecasters import ORIGIN
from small_forecasters import SPEC as WHOLE_SPEC

from flare.features.table import FEATURE_NAMES
from flare.forecast import Forecast
from flare.forecasters.forest import fit_forest
from flare.forecasters.postprocessing.fit import fit_postprocessing
from flare.forecasters.references import logistic
from flare.forecasters.references.logistic import fit_logistic
from flare.goes import HEADLINE_EVENT
from flare.verification.inputs import Observations
from flare.verification.scorecard import score_forecasts
from flare.verification.scores import Score

SPEC = replace(WHOLE_SPEC, events=("C1.0", HEADLINE_EVENT))
REGIONS, PER_REGION, FOLDS = 160, 3, 4
REGION = np.arange(REGIONS).repeat(PER_REGION)
TRAIN = REGION < 80
INFORMATIVE = 5  # features that tell the flux; the others are noise
SEEDS = range(4)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Fit the logistic regression with a weak penalty, so that it takes up noise."""
    monkeypatch.setattr(logistic, "INVERSE_PENALTIES", (1.0,))


def made_up(seed: int, *, shuffled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, F), alike within a region, and labels; 3 in 10 regions have M flares."""
    rng = np.random.default_rng(seed)
    activity = rng.normal(size=REGIONS)
    features = rng.normal(size=(REGIONS, len(FEATURE_NAMES)))
    features[:, :INFORMATIVE] = activity[:, None] + rng.normal(0, 0.3, (REGIONS, INFORMATIVE))
    log10_flux = np.clip(-5.5 + activity, -9, -3)
    if shuffled:
        log10_flux = rng.permutation(log10_flux)
    noise = rng.normal(0, 0.1, (len(REGION), len(FEATURE_NAMES)))
    return features[REGION] + noise, 10 ** log10_flux[REGION]


def fit(kind: str, features: np.ndarray, peak_flux: np.ndarray, regions: np.ndarray):
    given = {"spec": SPEC, "origin": ORIGIN}
    if kind == "forest":
        return fit_forest(features, peak_flux, n_trees=10, n_jobs=1, **given)
    return fit_logistic(features, peak_flux, regions, names=FEATURE_NAMES[:10], **given)


def skill(kind: str, seed: int, *, shuffled: bool, held_out: bool = True) -> Score:
    """Fit and tune on half of the regions, and return the TSS on the other half, or on the same."""
    features, peak_flux = made_up(seed, shuffled=shuffled)
    known, flux, regions = features[TRAIN], peak_flux[TRAIN], REGION[TRAIN]
    folds = regions % FOLDS
    pieces = np.empty((len(known), len(SPEC.events)))
    log10_flux = np.empty(len(known))
    for fold in range(FOLDS):
        left = folds == fold
        part = fit(kind, known[~left], flux[~left], regions[~left]).predict_features(known[left])
        pieces[left], log10_flux[left] = part.probability, part.log10_flux
    out_of_fold = Forecast(log10_flux, log10_flux, log10_flux, pieces, SPEC.events)
    postprocessing = fit_postprocessing(out_of_fold, flux, folds, level=SPEC.interval_level)
    forecaster = fit(kind, known, flux, regions).with_postprocessing(postprocessing)
    scored = ~TRAIN if held_out else TRAIN
    forecast = forecaster.predict_features(features[scored])
    truth = Observations(peak_flux[scored], REGION[scored])
    return score_forecasts(forecast, truth, n_resamples=100).get(
        HEADLINE_EVENT, "true_skill_statistic"
    )


@pytest.mark.parametrize("kind", ["forest", "logistic"])
def test_of_shuffled_labels_the_interval_of_the_tss_holds_0(kind):
    scores = [skill(kind, seed, shuffled=True) for seed in SEEDS]
    # Of four 95 % intervals one may miss by chance; that two do has a probability of 1.4 %.
    assert sum(score.low <= 0 <= score.high for score in scores) >= len(SEEDS) - 1
    assert abs(np.mean([score.value for score in scores])) < 0.1


@pytest.mark.parametrize("kind", ["forest", "logistic"])
def test_of_the_same_labels_unshuffled_the_skill_is_found(kind):
    assert skill(kind, 0, shuffled=False).low > 0.5


@pytest.mark.parametrize("kind", ["forest", "logistic"])
def test_on_the_regions_that_it_was_fitted_on_shuffled_labels_seem_to_be_skill(kind):
    # So the test above would see it if regions were not held out.
    assert skill(kind, 0, shuffled=True, held_out=False).low > 0
