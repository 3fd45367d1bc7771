import re
import subprocess
import zipfile

import numpy as np
import pytest
import skops.io
from small_forecasters import (
    CUBES,
    ORIGIN,
    PEAK_FLUX,
    PRESENT,
    SPEC,
    N,
    accept,
    assert_same,
    describe,
    small_forest,
)

from flare.errors import DatasetInvalid, ForecasterInvalid
from flare.features.table import FEATURE_NAMES, compute_features
from flare.forecasters.forest import CLASSIFIER, REGRESSOR, fit_forest
from flare.forecasters.storage import load, save
from flare.goes import EVENTS

FEATURES = compute_features(CUBES, PRESENT)


def fitted(peak_flux=PEAK_FLUX, **options):
    options = {"n_trees": 5, "n_jobs": 1} | options
    return fit_forest(FEATURES, peak_flux, spec=SPEC, origin=ORIGIN, **options)


def test_it_learns_what_the_images_show():
    forecast = fitted(n_trees=30).predict(CUBES, PRESENT)
    log10_flux = np.log10(PEAK_FLUX)
    assert np.corrcoef(forecast.log10_flux, log10_flux)[0, 1] > 0.95
    strong = PEAK_FLUX >= 1e-5
    probability = forecast.probability_of("M1.0")
    assert probability[strong].min() > probability[~strong].max()


def test_the_probability_of_an_event_counts_all_stronger_ones_too():
    forecaster = fitted()
    counts = forecaster.classifier.predict_proba(FEATURES)
    classes = forecaster.classifier.classes_
    forecast = forecaster.predict_features(FEATURES)
    for k, event in enumerate(EVENTS, start=1):
        np.testing.assert_allclose(
            forecast.probability_of(event), counts[:, classes >= k].sum(axis=1), atol=1e-15
        )


def test_events_that_never_occurred_have_probability_zero():
    forecast = fitted(np.minimum(PEAK_FLUX, 5e-5)).predict_features(FEATURES)
    assert (forecast.probability_of("X1.0") == 0).all()
    assert (forecast.probability_of("M1.0") > 0).any()
    quiet = fitted(np.full(N, 1e-9)).predict_features(FEATURES)
    assert (quiet.probability == 0).all()
    np.testing.assert_allclose(quiet.log10_flux, -9)


def test_the_same_seed_grows_the_same_forest_on_any_number_of_threads_and_another_another():
    one, two, other = (
        fitted(seed=seed, n_jobs=n_jobs) for seed, n_jobs in ((3, 1), (3, 2), (4, 1))
    )
    assert (two.regressor.n_jobs, two.classifier.n_jobs) == (1, 1)  # it forecasts on one
    assert_same(one.predict_features(FEATURES), two.predict_features(FEATURES))
    flux = [made.predict_features(FEATURES).log10_flux for made in (one, other)]
    assert (flux[0] != flux[1]).any()


def test_importances_are_shares_of_named_features():
    importances = fitted().importances()
    assert tuple(importances) == FEATURE_NAMES
    assert sum(importances.values()) == pytest.approx(1)


def test_without_samples_there_is_nothing_to_fit():
    with pytest.raises(DatasetInvalid, match="no training samples"):
        fit_forest(FEATURES[:0], PEAK_FLUX[:0], spec=SPEC, origin=ORIGIN)


TAMPERED = {
    "a child beyond the tree": ("children_left", 10**6),
    "a child that is its own parent": ("children_left", 0),
    "a left child and no right one": ("children_right", -1),
    "a child before the tree": ("children_right", -2),
    "a child one past the end": ("children_right", None),
    "a feature that is not there": ("feature", len(FEATURE_NAMES)),
    "a feature before the first": ("feature", -1),
}


@pytest.mark.parametrize(
    ("which", "case"),
    [("classifier", "a child beyond the tree"), *(("regressor", k) for k in TAMPERED)],
)
def test_a_forest_with_a_tree_that_was_tampered_with_is_refused(which, case, tmp_path):
    forecaster = small_forest()
    tree = getattr(forecaster, which).estimators_[-1].tree_
    column, value = TAMPERED[case]
    getattr(tree, column)[0] = tree.node_count if value is None else value
    with pytest.raises(ForecasterInvalid, match="a tree of the forest"):
        load(save(forecaster, tmp_path / "forest"))


@pytest.mark.parametrize("claimed", ["0", "-1"])
def test_a_tree_without_nodes_is_refused(claimed, tmp_path):
    forecaster = small_forest()
    count = forecaster.regressor.estimators_[0].tree_.node_count
    folder = save(forecaster, tmp_path / "forest")
    with zipfile.ZipFile(folder / REGRESSOR) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = parts["schema.json"].decode()
    tampered = re.sub(rf'("node_count": {{[^}}]*"content": )"{count}"', rf'\1"{claimed}"', schema)
    assert tampered != schema
    with zipfile.ZipFile(folder / REGRESSOR, "w") as archive:
        for name, data in {**parts, "schema.json": tampered.encode()}.items():
            archive.writestr(name, data)
    accept(folder, REGRESSOR)
    with pytest.raises(ForecasterInvalid, match="has no nodes"):
        load(folder)


@pytest.mark.parametrize("exchanged", ["a classifier", "a function"])
def test_something_else_in_the_place_of_the_regressor_is_refused(exchanged, tmp_path):
    folder = save(small_forest(), tmp_path / "forest")
    if exchanged == "a classifier":
        (folder / REGRESSOR).write_bytes((folder / CLASSIFIER).read_bytes())
    else:
        skops.io.dump(subprocess.check_output, folder / REGRESSOR)
    accept(folder, REGRESSOR)
    with pytest.raises(ForecasterInvalid, match=r"wanted a RandomForestRegressor|subprocess"):
        load(folder)


def test_a_forest_on_other_features_says_how_to_get_a_new_one(tmp_path):
    folder = save(small_forest(), tmp_path / "forest")
    describe(folder, parts={"features": [*FEATURE_NAMES[:-1], "phase_of_the_moon"]})
    with pytest.raises(ForecasterInvalid, match=r"mlflow run \. -e baseline"):
        load(folder)
