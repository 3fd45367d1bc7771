"""Calibrations in a saved folder, and folders that were saved before there were any."""

from dataclasses import replace

import numpy as np
import pytest
from small_forecasters import (
    CUBES,
    KINDS,
    ORIGIN,
    PEAK_FLUX,
    POSTPROCESSING,
    PRESENT,
    SPEC,
    small,
    small_climatology,
)
from test_forecaster_folder import describe

from flare.errors import ForecasterInvalid
from flare.features.table import compute_features
from flare.forecasters.forest import fit_forest
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.calibration import Calibration
from flare.forecasters.storage import load, read_description, save

CALIBRATED = replace(
    POSTPROCESSING,
    calibrations={
        "C1.0": Calibration("platt", {"slope": (0.8,), "offset": (-0.3,), "floor": (0.01,)}),
        "M1.0": Calibration(
            "isotonic",
            {"issued": (0.1, 0.7), "calibrated": (0.05, 0.4), "floor": (0.01,)},
        ),
    },
    rates={"M1.0": 0.2},
    stated_rates={"M1.0": 0.1},
)


@pytest.mark.parametrize("kind", KINDS)
def test_calibrations_and_rates_travel_in_the_folder(kind, tmp_path):
    forecaster = small(kind).with_postprocessing(CALIBRATED)
    loaded = load(save(forecaster, tmp_path / kind))
    assert loaded.postprocessing == CALIBRATED
    np.testing.assert_array_equal(
        loaded.predict(CUBES, PRESENT).probability, forecaster.predict(CUBES, PRESENT).probability
    )


@pytest.mark.parametrize(
    "damaged",
    [
        {"method": "platt", "parameters": {"slope": [-1], "offset": [0], "floor": [0.01]}},
        {"method": "temperature", "parameters": {"temperature": [0], "floor": [0.01]}},
        {"method": "temperature", "parameters": {"temperature": [float("nan")], "floor": [0.01]}},
        {"method": "temperature", "parameters": {"temperature": ["2"], "floor": [0.01]}},
        {"method": "temperature", "parameters": {"temperature": 2, "floor": [0.01]}},
        {"method": "isotonic", "parameters": {"issued": [1, 0], "calibrated": [0, 1]}},
        {"method": "isotonic"},
        "isotonic",
    ],
)
def test_a_damaged_calibration_is_refused(damaged, tmp_path):
    folder = save(small_climatology(), tmp_path / "folder")
    postprocessing = read_description(folder)["tuning"]
    describe(folder, tuning={**postprocessing, "calibrations": {"M1.0": damaged}})
    with pytest.raises(ForecasterInvalid, match="does not hold a usable forecaster"):
        load(folder)


def test_a_forest_of_before_the_fourth_event_and_calibration_still_forecasts(tmp_path):
    events = ("C1.0", "M1.0", "X1.0")
    spec = replace(SPEC, events=events)
    forest = fit_forest(
        compute_features(CUBES, PRESENT), PEAK_FLUX, spec=spec, origin=ORIGIN, n_trees=5, n_jobs=1
    ).with_postprocessing(PostProcessing(dict.fromkeys(events, 0.2), -0.5, 0.5))
    folder = save(forest, tmp_path / "old")
    old = {"thresholds", "residual_low", "residual_high"}
    postprocessing = {
        key: value for key, value in read_description(folder)["tuning"].items() if key in old
    }
    describe(folder, format=1, tuning=postprocessing)
    loaded = load(folder)
    assert loaded.postprocessing == forest.postprocessing
    assert loaded.predict(CUBES, PRESENT).events == events
    np.testing.assert_array_equal(
        loaded.predict(CUBES, PRESENT).probability, forest.predict(CUBES, PRESENT).probability
    )
