import io
import os
import re
import subprocess
import sys

import httpx
import numpy as np
import pytest
from known_models import NAME, climatology, climatology_of, shelf
from real_server import ROOT, UVICORN

from flare.errors import ModelNotFound
from flare.sample import CUBE_SHAPE
from serving.models.cache import ModelCache
from serving.models.follower import Follower
from serving.models.source import MLflowSource

from workplace import store_uri


def test_a_served_folder_answers_an_upload_with_the_forecasters_own_numbers(climatology_server):
    assert climatology_server.get("/ready").status_code == 200
    health = climatology_server.health()
    assert (health["model_name"], health["checkpoint_path"]) == ("climatology", None)
    planes = np.random.default_rng(0).integers(0, 256, (40, 256, 256), dtype=np.uint8)
    file = io.BytesIO()
    np.save(file, planes)
    address = f"{climatology_server.address}/predict_npy"
    answer = httpx.post(address, files={"file": file.getvalue()}).json()
    forecaster = climatology_of()
    forecast = forecaster.predict(planes.reshape(1, 4, 10, 256, 256), np.ones((1, 4, 10), bool))
    assert answer["log_flux"] == forecast.log10_flux[0]
    assert list(answer["probabilities"].values()) == forecast.probability[0].tolist()
    assert answer["synthetic"] is True


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


def test_the_follower_serves_what_the_registry_promotes(tmp_path):
    uri, address = store_uri(tmp_path), f"models:/{NAME}@Production"
    with shelf(tmp_path, uri, np.ones(CUBE_SHAPE, dtype=np.uint8)) as store:
        for log10_flux in (-7, -5):
            store.register(climatology(log10_flux))
        cache = ModelCache(tmp_path / "state", address)
        source = MLflowSource(address, model_name=NAME, tracking_uri=uri, cache=cache)
        follower = Follower(source, poll_seconds=60)
        follower.poll_once()
        with pytest.raises(ModelNotFound, match="-e promote"):
            follower.snapshot()
        for version, log10_flux in ((1, -7), (2, -5), (1, -7)):
            store.promote(version)
            follower.poll_once()
            live = follower.snapshot()
            assert live.folder.is_dir()
            assert live.version.number == str(version)
            assert live.details["run_id"] == store.runs[version]
            assert live.forecaster.log10_flux_quantiles[1] == pytest.approx(log10_flux)
