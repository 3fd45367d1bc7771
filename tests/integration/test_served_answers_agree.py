"""The forecaster, our server and MLflow's server answer the example with the same numbers."""

import io
import json
import os
import sys
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from real_server import ROOT, serving, started
from tracking_server import free_port

from flare.datasets.sdobenchmark.sample_images import infer_start, read_sample

from workplace import store_uri

#: Which forecast it is: the names of images state a time, and a zip's folder the active region.
IDENTITY = (
    "forecast_id", "input_digest", "issue_time", "valid_from", "valid_to", "active_region",
)  # fmt: skip
NUMBERS = ("log_flux", "peak_flux_w_m2", "mx_probability", "flux_low_w_m2", "flux_high_w_m2")
NETWORK = "models:/solar-flare/2"


@pytest.fixture(scope="module")
def sample():
    (folder,) = (path for path in (ROOT / "data" / "example").iterdir() if path.is_dir())
    return folder


@pytest.fixture(scope="module")
def cube(sample):
    return read_sample(sample, infer_start(sample)).cube  # (4, 10, 256, 256)


@pytest.fixture
def own(models, at_home, command_line, sample, tmp_path):
    """What the command line says."""
    path = tmp_path / "answer.json"
    code, _, err = command_line("predict", model="2", input=sample, output=path)
    assert code == 0, err
    (row,) = json.loads(path.read_text(encoding="utf-8"))
    return row


@pytest.fixture(scope="module")
def ours(models, home, tmp_path_factory):
    """The address of our server."""
    given = {"model": NETWORK, "tracking_uri": store_uri(home.folder), "threads": 1}
    with serving(tmp_path_factory.mktemp("state"), **given) as server:
        server.until(lambda: server.get("/ready").status_code == 200, seconds=120)
        yield server.address


@pytest.fixture(scope="module")
def answered(ours, cube):
    """What POST /predict_npy answers."""
    return asked(ours, "predict_npy", files={"file": npy(cube.reshape(40, 256, 256))})


def test_our_server_gives_the_forecasters_numbers(own, answered):
    assert {name: answered[name] for name in NUMBERS} == {name: own[name] for name in NUMBERS}
    assert answered["probabilities"] == own["probabilities"]
    assert (answered["goes_class"], answered["alert"]) == (own["goes_class"], own["alert"])


def test_images_and_a_zip_of_them_get_the_numbers_of_the_array(ours, sample, answered):
    images = {path.name: path.read_bytes() for path in sorted(sample.glob("*.jpg"))}
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for name, data in images.items():
            archive.writestr(f"{sample.name}/{name}", data)
    loose = [("files", (name, data)) for name, data in images.items()]
    for body in ({"files": loose}, {"content": zipped.getvalue()}):
        result = asked(ours, "predict_images", **body)
        assert result.pop("left_out") == []
        assert result["issue_time"] == result["valid_from"]  # of the images' names
        assert result | dict.fromkeys(IDENTITY) == answered | dict.fromkeys(IDENTITY)


def test_each_of_a_batch_gets_the_numbers_of_one_alone(ours, cube, answered):
    other = np.ascontiguousarray(255 - cube)
    alone = asked(ours, "predict_npy", content=npy(other))
    assert alone["log_flux"] != answered["log_flux"]
    together, named = io.BytesIO(), {"given": cube, "turned": other}
    np.savez(together, **named)
    for body, ids in ((npy(np.stack([cube, other])), ["0", "1"]), (together.getvalue(), [*named])):
        batch = asked(ours, "predict_batch", content=body)
        assert [one.pop("id") for one in batch["forecasts"]] == ids
        for result, wanted in zip(batch["forecasts"], (answered, alone), strict=True):
            assert numbers(result) == pytest.approx(numbers(wanted), rel=1e-6)
            assert result.keys() == wanted.keys()
            assert batch["model_version"] == result["model_version"] == wanted["model_version"]


@pytest.mark.slow
def test_mlflows_server_gives_the_forecasters_numbers(home, own, cube):
    folder = Path(sys.executable).parent
    command = [folder / "mlflow", "models", "serve", "-m", NETWORK]
    command += ["--env-manager", "local", "--port", free_port()]
    environment = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    with started(*map(str, command), cwd=home.folder, env=environment) as server:
        answer = httpx.post(
            f"{server.address}/invocations", json={"inputs": cube[None].tolist()}, timeout=120
        )
    assert answer.status_code == 200, answer.text
    (row,) = answer.json()["predictions"]
    assert {name: row[name] for name in NUMBERS} == pytest.approx(
        {name: own[name] for name in NUMBERS}, rel=1e-9
    )
    for event, probability in own["probabilities"].items():
        assert row[f"probability_{event}"] == pytest.approx(probability, rel=1e-9)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def asked(address: str, endpoint: str, **body) -> dict:
    answer = httpx.post(f"{address}/{endpoint}", timeout=60, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(answer: dict) -> dict[str, float]:
    return {name: answer[name] for name in NUMBERS} | answer["probabilities"]
