"""The forecaster, our server and MLflow's server answer the example with the same numbers."""

import io
import json
import os
import re
import signal
import socket
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

from flare.datasets.sdobenchmark.sample_images import infer_start, read_sample

pytestmark = pytest.mark.slow

#: Which forecast it is: the names of images state a time, and a zip's folder the active region.
IDENTITY = (
    "forecast_id", "input_digest", "issue_time", "valid_from", "valid_to", "active_region",
)  # fmt: skip
NUMBERS = ("log_flux", "peak_flux_w_m2", "mx_probability", "flux_low_w_m2", "flux_high_w_m2")


@pytest.fixture(scope="module")
def sample(place):
    (folder,) = (path for path in (place.project / "data" / "example").iterdir() if path.is_dir())
    return folder


@pytest.fixture(scope="module")
def cube(sample):
    return read_sample(sample, infer_start(sample)).cube  # (4, 10, 256, 256)


@pytest.fixture(scope="module")
def own(place, sample):
    """What the command line says, after training and promoting a network there."""
    small = {"data_dir": place.data, "image_size": 32, "processes": 1, "validation_share": 0.4}
    tiny = {"width": 2, "hidden": 4, "epochs": 2, "batch_size": 4, "learning_rate": 0.001}
    for name, parameters in (
        ("train", small | tiny),
        ("promote", {}),
        ("predict", {"input": sample, "output": "answer.json"}),
    ):
        done = place.run(name, **parameters)
        assert done.returncode == 0, done.stderr
    (row,) = json.loads((place.folder / "answer.json").read_text(encoding="utf-8"))
    return row


@contextmanager
def serving(place, *command: object) -> Iterator[str]:
    """Run a server until the block ends; give its address once it listens."""
    with place.start(*command) as process:
        try:
            seen = []
            for line in process.stderr:
                seen.append(line)
                if result := re.search(r"running on (http://\S+)", line):
                    yield result[1]
                    break
            else:
                pytest.fail("the server did not start:\n" + "".join(seen))
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def ours(place, own):
    """The address of our server."""
    factory = ("uvicorn", "serving.app:create_app", "--factory", "--port", 0)
    with serving(place, "python", "-m", *factory) as address:
        ends = time.monotonic() + 120
        while (ready := httpx.get(f"{address}/ready", timeout=60)).status_code == 503:
            assert time.monotonic() < ends, ready.text
            time.sleep(0.2)
        assert ready.json()["model_version"] == "1"
        yield address


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
    for result in (
        asked(ours, "predict_images", files=loose),
        asked(ours, "predict_images", content=zipped.getvalue()),
    ):
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


def test_mlflows_server_gives_the_forecasters_numbers(place, own, cube):
    uri = ("-m", "models:/solar-flare@Production", "--env-manager", "local")
    with serving(place, "mlflow", "models", "serve", *uri, "--port", free_port()) as address:
        answer = httpx.post(
            f"{address}/invocations", json={"inputs": cube[None].tolist()}, timeout=120
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
