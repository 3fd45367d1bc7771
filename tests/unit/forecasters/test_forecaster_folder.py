"""Saving, loading, and what is refused."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

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
    accept,
    assert_same,
    describe,
    small,
    small_climatology,
)

from flare.errors import ForecasterInvalid, ModelNotFound
from flare.features.table import compute_features
from flare.forecasters.forest import fit_forest
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.calibration import Calibration
from flare.forecasters.references.climatology import Climatology
from flare.forecasters.storage import DESCRIPTION, load, read_description, save

#: The file of weights that the damage is done to.
WEIGHTS = {"forest": "classifier.skops", "neural": "weights.safetensors"}


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> dict[str, Path]:
    """Folders of all kinds; read them, do not write to them."""
    root = tmp_path_factory.mktemp("forecasters")
    return {kind: save(small(kind), root / kind) for kind in KINDS}


@pytest.fixture
def copy_of(saved, tmp_path) -> Callable[[str], Path]:
    """Copy the folder of a kind, to change the copy."""
    return lambda kind: Path(shutil.copytree(saved[kind], tmp_path / kind))


@pytest.fixture
def folder(forecaster, copy_of) -> Path:
    """A folder of one's own, of each kind in turn."""
    return copy_of(forecaster.kind)


@pytest.fixture
def plain(copy_of) -> Path:
    """A folder of the simplest kind, for damage to the description."""
    return copy_of("climatology")


def test_a_loaded_forecaster_is_and_answers_the_same_to_the_last_bit(forecaster, folder):
    loaded = load(folder)
    assert type(loaded) is type(forecaster)
    assert (loaded.kind, loaded.spec) == (forecaster.kind, forecaster.spec)
    assert (loaded.postprocessing, loaded.origin) == (forecaster.postprocessing, forecaster.origin)
    assert_same(forecaster.predict(CUBES, PRESENT), loaded.predict(CUBES, PRESENT))


def test_a_threshold_that_changed_in_the_description_is_noticed(plain):
    path = plain / DESCRIPTION
    description = json.loads(path.read_text())
    description["tuning"]["thresholds"]["M1.0"] += 0.001
    path.write_text(json.dumps(description))
    with pytest.raises(ForecasterInvalid, match="digest does not fit"):
        load(plain)


def test_a_loaded_forecaster_can_be_saved_again(folder, tmp_path):
    again = save(load(folder), tmp_path / "again")
    # The digests of an ensemble's members apart: skops writes other bytes each time.
    before, after = (
        re.sub("[0-9a-f]{64}", "", json.dumps(read_description(place)["parts"]))
        for place in (folder, again)
    )
    assert after == before
    assert again.stat().st_mode & 0o777 == 0o755  # others may read it


def test_the_description_lists_every_other_file_with_its_checksum(folder):
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert set(read_description(folder)["sha256"]) == files - {DESCRIPTION}


def members(path: Path) -> list[tuple[str, bytes]]:
    """Return a file, or all files in it if it is an archive."""
    data = path.read_bytes()
    if not zipfile.is_zipfile(path):
        return [(path.name, data)]
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def test_nothing_in_the_folder_is_a_pickle(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    for name, data in [member for path in files for member in members(path)]:
        if name.endswith(".npy"):
            np.load(io.BytesIO(data), allow_pickle=False)
        elif name.endswith(".json"):
            json.loads(data)
        else:
            assert name.endswith(".safetensors"), name
            length = int.from_bytes(data[:8], "little")
            json.loads(data[8 : 8 + length])


def test_a_folder_that_exists_is_never_overwritten(plain):
    before = (plain / DESCRIPTION).read_bytes()
    with pytest.raises(ForecasterInvalid, match="exists; give a new folder"):
        save(small_climatology(), plain)
    assert (plain / DESCRIPTION).read_bytes() == before


@dataclass(frozen=True)
class Interrupted(Climatology):
    """Fails when half of it is written."""

    def save_parts(self, folder: Path) -> dict[str, object]:
        (folder / "half").write_bytes(b"half of the weights")
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (Interrupted(**vars(small_climatology())), KeyboardInterrupt),
        (replace(small_climatology(), rates=(float("nan"), 0.0, 0.0, 0.0)), ValueError),
    ],
)
def test_a_save_that_was_interrupted_or_holds_nan_leaves_nothing(broken, error, tmp_path):
    with pytest.raises(error):
        save(broken, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_holds_no_forecaster(tmp_path):
    with pytest.raises(ModelNotFound, match=f"no {DESCRIPTION} in {tmp_path}"):
        load(tmp_path)


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("place", [0, 0.5, -1, None])
def test_a_byte_that_changed_and_a_file_that_is_missing_are_noticed(kind, place, copy_of):
    folder = copy_of(kind)
    path = folder / WEIGHTS[kind]
    if place is None:
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[int(place * len(data))] ^= 1
        path.write_bytes(data)
    with pytest.raises(ForecasterInvalid, match=f"{path} is missing or not the file"):
        load(folder)


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("garbage", [b"", b"garbage" * 100, b"PK\x05\x06" + bytes(18)])
def test_weights_that_fit_their_checksum_and_no_model_are_refused(kind, garbage, copy_of):
    folder = copy_of(kind)
    (folder / WEIGHTS[kind]).write_bytes(garbage)
    accept(folder, WEIGHTS[kind])
    with pytest.raises(ForecasterInvalid, match="does not hold a usable forecaster"):
        load(folder)


KNOWN_KINDS = f"the kinds {', '.join(KINDS)}"
KNOWN_FORMATS = "this version reads the formats 1 and 2"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": {"../../etc/passwd": "0"}}, "etc/passwd is missing"),  # not followed
        *(({"format": one}, KNOWN_FORMATS) for one in (0, 3, "1", None)),
        *(({"kind": one}, KNOWN_KINDS) for one in ("oracle", "", [], {"a": 1}, None, "os")),
        *(
            ({entry: value}, f"{entry} is not a table")
            for entry in ("sha256", "spec", "tuning", "origin", "parts")
            for value in ([], None)
        ),
        *(
            ({entry: {"from_the_future": 1}}, "from_the_future")
            for entry in ("spec", "tuning", "origin")
        ),
    ],
)
def test_a_description_of_something_else_is_refused(plain, changes, message):
    describe(plain, **changes)
    with pytest.raises(ForecasterInvalid, match=message):
        load(plain)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '{"format": 1}', "\xff"])
def test_a_description_that_cannot_be_read_is_called_damaged(plain, text):
    (plain / DESCRIPTION).write_bytes(text.encode("latin-1"))
    with pytest.raises(ForecasterInvalid, match="is damaged"):
        load(plain)


def test_parts_that_are_missing_are_refused(folder):
    describe(folder, parts={})
    with pytest.raises(ForecasterInvalid, match="does not hold a usable forecaster"):
        load(folder)


CALIBRATED = replace(
    POSTPROCESSING,
    calibrations={
        "C1.0": Calibration("platt", {"slope": (0.8,), "offset": (-0.3,), "floor": (0.01,)}),
        "M1.0": Calibration(
            "isotonic", {"issued": (0.1, 0.7), "calibrated": (0.05, 0.4), "floor": (0.01,)}
        ),
    },
    rates={"M1.0": 0.2},
    stated_rates={"M1.0": 0.1},
)


def test_calibrations_and_rates_travel_in_the_folder(tmp_path):
    forecaster = small("forest").with_postprocessing(CALIBRATED)
    loaded = load(save(forecaster, tmp_path / "forest"))
    assert loaded.postprocessing == CALIBRATED
    assert_same(loaded.predict(CUBES, PRESENT), forecaster.predict(CUBES, PRESENT))


@pytest.mark.parametrize(
    "damaged",
    [
        {"method": "platt", "parameters": {"slope": [-1], "offset": [0], "floor": [0.01]}},
        {"method": "temperature", "parameters": {"temperature": ["2"], "floor": [0.01]}},
        {"method": "temperature", "parameters": {"temperature": 2, "floor": [0.01]}},
        {"method": "isotonic", "parameters": {"issued": [1, 0], "calibrated": [0, 1]}},
        {"method": "isotonic"},
        "isotonic",
    ],
)
def test_a_damaged_calibration_is_refused(damaged, plain):
    postprocessing = read_description(plain)["tuning"]
    describe(plain, tuning={**postprocessing, "calibrations": {"M1.0": damaged}})
    with pytest.raises(ForecasterInvalid, match="does not hold a usable forecaster"):
        load(plain)


def test_a_forest_of_before_the_fourth_event_and_calibration_still_forecasts(tmp_path):
    events = ("C1.0", "M1.0", "X1.0")
    spec = replace(SPEC, events=events)
    features = compute_features(CUBES, PRESENT)
    fitted = fit_forest(features, PEAK_FLUX, spec=spec, origin=ORIGIN, n_trees=5, n_jobs=1)
    forest = fitted.with_postprocessing(PostProcessing(dict.fromkeys(events, 0.2), -0.5, 0.5))
    folder = save(forest, tmp_path / "old")
    tuning = read_description(folder)["tuning"]
    postprocessing = {k: tuning[k] for k in ("thresholds", "residual_low", "residual_high")}
    describe(folder, format=1, tuning=postprocessing)
    loaded = load(folder)
    assert loaded.postprocessing == forest.postprocessing
    assert loaded.predict(CUBES, PRESENT).events == events
    assert_same(loaded.predict(CUBES, PRESENT), forest.predict(CUBES, PRESENT))


#: What is not installed where a forecaster only forecasts; torch too, but for networks.
TRAINING_ONLY = ("mlflow", "fastapi", "optuna", "lightning_fabric")


@pytest.mark.parametrize("with_torch", [True, False])
def test_every_kind_loads_and_answers_without_mlflow_and_but_for_networks_without_torch(
    saved, tmp_path, with_torch
):
    folders = [str(saved[kind]) for kind in KINDS if (kind == "neural") == with_torch]
    blocked = TRAINING_ONLY if with_torch else (*TRAINING_ONLY, "torch")
    np.savez(tmp_path / "samples.npz", cubes=CUBES[:3], present=PRESENT[:3])
    code = f"""
import sys
class Blocked:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked)
import json, pathlib, numpy as np
from flare.forecasters.storage import load
samples = np.load({str(tmp_path / "samples.npz")!r})
forecasters = [load(pathlib.Path(folder)) for folder in {folders!r}]
forecasts = [one.predict(samples["cubes"], samples["present"]) for one in forecasters]
print(json.dumps([one.log10_flux.tolist() for one in forecasts]))
"""
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    here = [load(Path(one)).predict(CUBES[:3], PRESENT[:3]).log10_flux for one in folders]
    np.testing.assert_allclose(json.loads(done.stdout), here, rtol=0, atol=1e-6)
