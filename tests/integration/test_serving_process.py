import io
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.climatology import fit_climatology
from flare.forecasters.folder import save

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "uvicorn", "serving.app:create_app", "--factory"]
COMMAND += ["--host", "127.0.0.1", "--port", "0"]
LABELS = np.array([1e-9, 1e-9, 3e-7, 2e-6, 4e-6, 3e-5])


def climatology():
    origin = Origin("0", "test", True, (), len(LABELS))
    return fit_climatology(LABELS, spec=ForecasterSpec(image_size=256), origin=origin)


def start(**environment: str) -> subprocess.Popen[str]:
    state = {"FLARE_STATE_DIR": tempfile.mkdtemp(prefix="flare-test-")}
    return subprocess.Popen(
        COMMAND, cwd=ROOT, env=os.environ | state | environment, stderr=subprocess.PIPE, text=True
    )


@contextmanager
def running(**environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start a server on a port that the system picks; give its address once it listens."""
    with start(**environment) as process:
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if found := re.search(r"running on (http://\S+)", line):
                    yield found[1], process
                    break
            else:
                pytest.fail("the server did not start:\n" + "".join(lines))
        finally:
            process.kill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(climatology(), tmp_path_factory.mktemp("model") / "climatology")


@pytest.fixture(scope="module")
def address(folder):
    with running(FLARE_MODEL=str(folder)) as (address, _):
        yield address


def test_a_served_folder_is_ready_as_soon_as_the_server_listens(address, folder):
    assert httpx.get(f"{address}/ready").status_code == 200
    health = httpx.get(f"{address}/health").json()
    assert (health["model_name"], health["checkpoint_path"]) == ("climatology", str(folder))


def test_an_upload_over_http_gets_the_forecasters_own_numbers(address):
    planes = np.full((40, 256, 256), 9, dtype=np.uint8)
    file = io.BytesIO()
    np.save(file, planes)
    answer = httpx.post(f"{address}/predict_npy", files={"file": file.getvalue()}).json()
    forecaster = climatology()
    forecast = forecaster.predict(planes.reshape(1, 4, 10, 256, 256), np.ones((1, 4, 10), bool))
    assert answer["log_flux"] == forecast.log10_flux[0]
    assert list(answer["probabilities"].values()) == forecast.probability[0].tolist()
    assert answer["synthetic"] is True


def test_a_bad_upload_over_http_is_a_problem_and_the_server_lives_on(address):
    response = httpx.post(f"{address}/predict_npy", files={"file": b"not an array"})
    assert (response.status_code, response.json()["error"]) == (415, "not_npy")
    assert httpx.get(f"{address}/health").json()["status"] == "ok"


def test_a_terminated_server_shuts_down_in_order(folder):
    with running(FLARE_MODEL=str(folder)) as (_, process):
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert "Application shutdown complete" in log
    assert "Traceback" not in log


def test_a_wrong_setting_ends_the_start_with_one_line_and_code_2():
    with start(FLARE_POLL_SECONDS="soon") as process:
        _, log = process.communicate(timeout=60)
    assert process.returncode == 2
    assert re.fullmatch(r"error: FLARE_POLL_SECONDS='soon': .*\n", log)
