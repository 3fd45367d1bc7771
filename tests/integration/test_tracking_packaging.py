import json
import os
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml
from mlflow.exceptions import MlflowException

from flare.forecasters.storage import load
from flare.sample import present_of_cube

from workplace import working_in

KINDS = ["forest", "network"]

LOAD = """
import json, sys
import mlflow, numpy as np
model = mlflow.pyfunc.load_model(sys.argv[1])
frame = model.predict(np.load(sys.argv[2]))
import flare
print(flare.__file__)
print(json.dumps(frame.to_dict(orient="list")))
"""


@pytest.fixture(scope="module")
def packaged(home, models, tmp_path_factory):
    """The folders of both logged models as MLflow downloads them."""
    result = {}
    with working_in(home.folder):
        for name in KINDS:
            folder = tmp_path_factory.mktemp(name)
            uri = getattr(models, name).version.uri
            result[name] = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
    return result


@pytest.fixture(scope="module")
def cubes():
    random_cubes = np.random.default_rng(0).integers(1, 255, (3, 4, 10, 32, 32), dtype=np.uint8)
    random_cubes[1, :, 4] = 0  # a channel that is missing
    return random_cubes


@pytest.fixture(params=KINDS)
def folder(request, packaged) -> Path:
    return packaged[request.param]


def test_a_model_takes_uint8_cubes_of_any_size_and_refuses_floats(folder, cubes, monkeypatch):
    spec = mlflow.models.Model.load(folder).signature.inputs.inputs[0]
    assert (spec.type, spec.shape) == (np.dtype("uint8"), (-1, 4, 10, -1, -1))
    monkeypatch.setattr(sys, "path", [*sys.path])  # MLflow puts the model's code there
    with pytest.raises(MlflowException, match="uint8"):  # instead of rounding them
        mlflow.pyfunc.load_model(str(folder)).predict(cubes.astype(np.float32) / 255)


def test_a_model_holds_an_example_that_it_forecasts_and_no_json_of_it(folder):
    example = np.load(folder / "artifacts" / "example.npy", allow_pickle=False)
    assert (example.shape, example.dtype) == ((4, 10, 32, 32), np.uint8)
    assert example.any()
    model = load(folder / "artifacts" / "forecaster")
    forecast = model.predict(example[None], present_of_cube(example[None]))
    assert np.isfinite(forecast.log10_flux).all()
    assert mlflow.models.Model.load(folder).saved_input_example_info is None
    most = {"forecaster.json": 60_000}  # with the record of the training inputs
    large = [p for p in folder.rglob("*.json") if p.stat().st_size > most.get(p.name, 50_000)]
    assert large == []


def test_requirements_are_pinned_and_name_no_local_version(packaged):
    pin = re.compile(r"[a-z0-9-]+==\d+(\.\d+)*")
    lines = {
        name: (packaged[name] / "requirements.txt").read_text(encoding="utf-8").splitlines()
        for name in KINDS
    }
    assert [line for name in KINDS for line in lines[name] if not pin.fullmatch(line)] == []
    network, forest = ({line.split("==")[0] for line in lines[name]} for name in KINDS[::-1])
    assert {"torch", "safetensors", "onnx", "onnxruntime"} <= network
    assert not {"torch", "onnxruntime"} & forest
    assert load(packaged["network"] / "artifacts" / "forecaster").engine == "onnxruntime"


def test_the_projects_code_goes_with_the_model_and_nothing_in_it_is_a_pickle(packaged):
    for name, kind in (("forest", "forest"), ("network", "neural")):
        files = [path for path in packaged[name].rglob("*") if path.is_file()]
        assert packaged[name] / "code" / "flare" / "forecasters" / "storage.py" in files
        unwanted = {".pkl", ".pickle", ".joblib", ".pt", ".pyc"}
        assert [path for path in files if path.suffix in unwanted] == []
        # Protocol 2 and later begin with 0x80 and the protocol's number.
        assert [p for p in files if re.match(rb"\x80[\x02-\x05]", p.read_bytes()[:2])] == []
        about = yaml.safe_load((packaged[name] / "MLmodel").read_text(encoding="utf-8"))
        assert about["metadata"] == {"kind": kind, "synthetic": True}


@pytest.mark.parametrize("kind", ["network", pytest.param("forest", marks=pytest.mark.slow)])
def test_a_stranger_loads_it_from_its_own_code_and_gets_the_forecasters_numbers(
    packaged, kind, cubes, tmp_path
):
    folder = packaged[kind]
    np.save(tmp_path / "cubes.npy", cubes)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", LOAD, str(folder), "cubes.npy"],
        cwd=tmp_path,
        env=environment | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    imported, printed = done.stdout.splitlines()
    assert Path(imported).is_relative_to(folder / "code")
    forecaster = load(folder / "artifacts" / "forecaster")
    forecast = forecaster.predict(cubes, present_of_cube(cubes))
    answer = json.loads(printed)
    assert answer["log_flux"] == pytest.approx(forecast.log10_flux)
    for event in forecast.events:
        assert answer[f"probability_{event}"] == pytest.approx(forecast.probability_of(event))
