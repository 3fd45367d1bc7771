"""What docs/ gives to copy: the Python client, and the commands of docs/operations.md."""

import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import httpx
import numpy as np
import pytest
from known_models import climatology, shelf
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from flare.tracking import registry

from workplace import store_uri, working_in

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def client():
    spec = spec_from_file_location("client", ROOT / "docs" / "client.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_client_gets_a_forecast(client, climatology_server):
    sample = climatology_server.get("/sample.npy").content
    result = client.forecast(climatology_server.address, sample)
    assert 0 <= result["mx_probability"] <= 1


def test_the_client_waits_as_long_as_the_server_says(client, monkeypatch):
    request = httpx.Request("POST", "http://server/predict_npy")
    busy = httpx.Response(503, headers={"Retry-After": "7"}, request=request)
    done = httpx.Response(200, json={"goes_class": "C1.0"}, request=request)
    answers, waited = iter([busy, busy, done]), []
    monkeypatch.setattr(client.httpx, "post", lambda *_, **__: next(answers))
    monkeypatch.setattr(client.time, "sleep", waited.append)
    assert client.forecast("http://server", b"") == {"goes_class": "C1.0"}
    assert waited == [7, 7]


def test_the_client_gives_up_and_says_why(client, climatology_server):
    with pytest.raises(httpx.HTTPStatusError, match="415"):
        client.forecast(climatology_server.address, b"no array")


def shell(section: str, place: int, folder: Path) -> None:
    """Run one of the blocks of a section of docs/operations.md."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = text.split(f"## {section}\n")[1].split("\n## ")[0]
    script = re.findall(r"^```bash\n(.*?)^```$", rows, re.MULTILINE | re.DOTALL)[place]
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": tools, "PYTHONPATH": str(ROOT)}
    environment["MLFLOW_TRACKING_URI"] = store_uri(folder)
    done = subprocess.run(
        ["bash", "-e"], input=script, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_restored_backup_has_its_models_in_another_folder(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    with shelf(old, store_uri(old), np.zeros((4, 10, 256, 256), dtype=np.uint8)) as store:
        store.register(climatology(-5))
        shell("Backup and restore", 0, old)
    new.mkdir()
    (old / "backup").rename(new / "backup")
    old.rename(tmp_path / "gone")
    shell("Backup and restore", 1, new)
    with working_in(new):
        version = registry.get_version("solar-flare", 1)
        assert registry.download_uri(version.uri, tmp_path / "model").is_dir()


@pytest.mark.slow
def test_gc_purges_a_deleted_run_and_leaves_the_others(tmp_path):
    with working_in(tmp_path):
        client = MlflowClient(store_uri(tmp_path))
        active, deleted = (client.create_run("0").info.run_id for _ in range(2))
        client.delete_run(deleted)
        shell("`mlflow gc`", 0, tmp_path)
        assert client.get_run(active).info.lifecycle_stage == "active"
        with pytest.raises(MlflowException, match="not found"):
            client.get_run(deleted)
