import io
import os
import re
import subprocess
import sys

import httpx
import numpy as np
import pytest
from known_models import climatology_of
from real_server import ROOT, UVICORN, serving

from flare.forecasters.storage import save


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(climatology_of(), tmp_path_factory.mktemp("model") / "climatology")


@pytest.fixture(scope="module")
def address(folder):
    with serving(folder.with_name("state"), model=folder) as server:
        yield server.address


def test_a_served_folder_is_ready_as_soon_as_the_server_listens(address, folder):
    assert httpx.get(f"{address}/ready").status_code == 200
    health = httpx.get(f"{address}/health")
    assert health.json()["model_name"] == "climatology"
    assert str(folder) not in health.text


def test_an_upload_over_http_gets_the_forecasters_own_numbers(address):
    planes = np.random.default_rng(0).integers(0, 256, (40, 256, 256), dtype=np.uint8)
    file = io.BytesIO()
    np.save(file, planes)
    answer = httpx.post(f"{address}/predict_npy", files={"file": file.getvalue()}).json()
    forecaster = climatology_of()
    forecast = forecaster.predict(planes.reshape(1, 4, 10, 256, 256), np.ones((1, 4, 10), bool))
    assert answer["log_flux"] == forecast.log10_flux[0]
    assert list(answer["probabilities"].values()) == forecast.probability[0].tolist()
    assert answer["synthetic"] is True


def test_a_bad_upload_over_http_is_a_problem_and_the_server_lives_on(address):
    response = httpx.post(f"{address}/predict_npy", files={"file": b"not an array"})
    assert (response.status_code, response.json()["error"]) == (415, "not_npy")
    assert httpx.get(f"{address}/health").json()["status"] == "ok"


def test_a_wrong_setting_ends_the_start_with_one_line_and_code_2():
    done = subprocess.run(
        [sys.executable, "-m", *UVICORN],
        cwd=ROOT,
        env=os.environ | {"FLARE_POLL_SECONDS": "soon"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(r"error: FLARE_POLL_SECONDS='soon': .*\n", done.stderr)
