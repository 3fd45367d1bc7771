"""Saving, loading, and what is refused."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from small_forecasters import CUBES, KINDS, PRESENT, small, small_climatology

from flare.errors import ForecasterInvalid, ModelNotFound
from flare.forecasters.references.climatology import Climatology
from flare.forecasters.storage import DESCRIPTION, digest_of, load, read_description, save

#: The file of weights that the damage is done to.
WEIGHTS = {"forest": "classifier.skops", "neural": "weights.safetensors"}


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> dict[str, Path]:
    """Folders of all kinds; read them, do not write to them."""
    root = tmp_path_factory.mktemp("forecasters")
    return {kind: save(small(kind), root / kind) for kind in KINDS}


@pytest.fixture
def folder(forecaster, tmp_path) -> Path:
    """A folder of one's own, of each kind in turn."""
    return save(forecaster, tmp_path / "forecaster")


@pytest.fixture
def plain(tmp_path) -> Path:
    """A folder of the simplest kind, for damage to the description."""
    return save(small_climatology(), tmp_path / "plain")


def describe(folder: Path, **changes: object) -> None:
    """Change entries of forecaster.json, and make its digest fit them."""
    path = folder / DESCRIPTION
    description = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**description, "digest": digest_of(description)}))


def accept(folder: Path, name: str) -> None:
    """Make the checksum fit a file that was changed on purpose."""
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    describe(folder, sha256={**read_description(folder)["sha256"], name: digest})


def test_a_loaded_forecaster_answers_the_same_to_the_last_bit(forecaster, folder):
    loaded = load(folder)
    before, after = forecaster.predict(CUBES, PRESENT), loaded.predict(CUBES, PRESENT)
    for part in ("log10_flux", "lower", "upper", "probability"):
        np.testing.assert_array_equal(getattr(after, part), getattr(before, part))


def test_a_threshold_that_changed_in_the_description_is_noticed(plain):
    path = plain / DESCRIPTION
    description = json.loads(path.read_text())
    description["tuning"]["thresholds"]["M1.0"] += 0.001
    path.write_text(json.dumps(description))
    with pytest.raises(ForecasterInvalid, match="digest does not fit"):
        load(plain)


def test_a_loaded_forecaster_knows_what_it_is_and_where_it_comes_from(forecaster, folder):
    loaded = load(folder)
    assert type(loaded) is type(forecaster)
    assert (loaded.kind, loaded.spec) == (forecaster.kind, forecaster.spec)
    assert (loaded.postprocessing, loaded.origin) == (forecaster.postprocessing, forecaster.origin)


def test_a_loaded_forecaster_can_be_saved_again(folder, tmp_path):
    again = save(load(folder), tmp_path / "again")
    # The digests of an ensemble's members apart: skops writes other bytes each time.
    before, after = (
        re.sub("[0-9a-f]{64}", "", json.dumps(read_description(place)["parts"]))
        for place in (folder, again)
    )
    assert after == before


def test_the_description_lists_every_other_file_with_its_checksum(folder):
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    files -= {DESCRIPTION}
    assert set(read_description(folder)["sha256"]) == files


def test_others_may_read_the_folder(plain):
    assert plain.stat().st_mode & 0o777 == 0o755


def members(path: Path) -> list[tuple[str, bytes]]:
    """Return a file, or all files in it if it is an archive."""
    data = path.read_bytes()
    if not zipfile.is_zipfile(path):
        return [(path.name, data)]
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def test_nothing_in_the_folder_is_a_pickle(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    result = [member for path in files for member in members(path)]
    assert result
    for name, data in result:
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


def test_a_save_that_was_interrupted_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        save(Interrupted(**vars(small_climatology())), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_forecaster_of_nan_is_not_saved_at_all(tmp_path):
    broken = Climatology(**{**vars(small_climatology()), "rates": (float("nan"), 0.0, 0.0, 0.0)})
    with pytest.raises(ValueError, match="JSON"):
        save(broken, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_holds_no_forecaster(tmp_path):
    with pytest.raises(ModelNotFound, match=f"no {DESCRIPTION} in {tmp_path}"):
        load(tmp_path)


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_a_byte_that_changed_is_noticed(kind, place, tmp_path):
    folder = save(small(kind), tmp_path / kind)
    path = folder / WEIGHTS[kind]
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)
    with pytest.raises(ForecasterInvalid, match=f"{path} is missing or not the file"):
        load(folder)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_a_file_that_is_missing_is_named(kind, tmp_path):
    folder = save(small(kind), tmp_path / kind)
    (folder / WEIGHTS[kind]).unlink()
    with pytest.raises(ForecasterInvalid, match=f"{WEIGHTS[kind]} is missing"):
        load(folder)


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("garbage", [b"", b"garbage" * 100, b"PK\x05\x06" + bytes(18)])
def test_weights_that_fit_their_checksum_and_no_model_are_refused(kind, garbage, tmp_path):
    folder = save(small(kind), tmp_path / kind)
    (folder / WEIGHTS[kind]).write_bytes(garbage)
    accept(folder, WEIGHTS[kind])
    with pytest.raises(ForecasterInvalid, match="does not hold a usable forecaster"):
        load(folder)


def test_a_checksum_that_leads_out_of_the_folder_is_not_followed(plain):
    describe(plain, sha256={"../../etc/passwd": "0"})
    with pytest.raises(ForecasterInvalid, match=f"{plain / 'passwd'} is missing"):
        load(plain)


@pytest.mark.parametrize("number", [0, 3, "1", None])
def test_another_format_is_refused_with_the_one_that_is_read(plain, number):
    describe(plain, format=number)
    with pytest.raises(ForecasterInvalid, match="this version reads the formats 1 and 2"):
        load(plain)


@pytest.mark.parametrize("kind", ["oracle", "", [], {"a": 1}, None, "os"])
def test_an_unknown_kind_is_refused_with_those_that_are_known(plain, kind):
    describe(plain, kind=kind)
    with pytest.raises(ForecasterInvalid, match=f"the kinds {', '.join(KINDS)}"):
        load(plain)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '{"format": 1}', "\xff"])
def test_a_description_that_cannot_be_read_is_called_damaged(plain, text):
    (plain / DESCRIPTION).write_bytes(text.encode("latin-1"))
    with pytest.raises(ForecasterInvalid, match="is damaged"):
        load(plain)


@pytest.mark.parametrize("entry", ["sha256", "spec", "tuning", "origin", "parts"])
@pytest.mark.parametrize("value", [[], None])
def test_an_entry_of_another_type_is_called_damaged(plain, entry, value):
    describe(plain, **{entry: value})
    with pytest.raises(ForecasterInvalid, match=f"{entry} is not a table"):
        load(plain)


@pytest.mark.parametrize("entry", ["spec", "tuning", "origin"])
def test_an_entry_with_a_field_of_another_version_is_refused(plain, entry):
    describe(plain, **{entry: {"from_the_future": 1}})
    with pytest.raises(ForecasterInvalid, match="from_the_future"):
        load(plain)


def test_parts_that_are_missing_are_refused(folder):
    describe(folder, parts={})
    with pytest.raises(ForecasterInvalid, match="does not hold a usable forecaster"):
        load(folder)


def answers_without(folders: list[Path], tmp_path: Path, *blocked: str) -> list[list[float]]:
    """Load folders in a process that cannot import some packages; return their fluxes."""
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
fluxes = []
for folder in {[str(folder) for folder in folders]!r}:
    forecaster = load(pathlib.Path(folder))
    fluxes.append(forecaster.predict(samples["cubes"], samples["present"]).log10_flux.tolist())
print(json.dumps(fluxes))
"""
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fluxes_here(folders: list[Path]) -> list[list[float]]:
    return [load(folder).predict(CUBES[:3], PRESENT[:3]).log10_flux.tolist() for folder in folders]


def test_every_kind_loads_and_answers_where_there_is_no_mlflow(saved, tmp_path):
    folders = list(saved.values())
    there = answers_without(folders, tmp_path, "mlflow", "fastapi", "optuna", "lightning_fabric")
    for flux, expected in zip(there, fluxes_here(folders), strict=True):
        np.testing.assert_allclose(flux, expected, rtol=0, atol=1e-6)


def test_every_kind_but_networks_loads_and_answers_where_there_is_no_torch(saved, tmp_path):
    folders = [saved[kind] for kind in KINDS if kind != "neural"]
    assert answers_without(folders, tmp_path, "torch", "mlflow") == fluxes_here(folders)
