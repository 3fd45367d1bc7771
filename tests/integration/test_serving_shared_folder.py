"""Several server processes load one version into one folder, and none hurts another."""

import shutil
import threading
from dataclasses import dataclass

import numpy as np
import pytest

from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.references.climatology import fit_climatology
from flare.forecasters.storage import save
from flare.tracking import registry, version_details
from flare.tracking.registry import RegisteredVersion
from serving.models.cache import ModelCache
from serving.models.source import MLflowSource

ADDRESS, NAME = "models:/solar-flare@Production", "solar-flare"
ROUNDS, PROCESSES = 30, 4


@dataclass
class Details:
    def as_dict(self):
        return {}


@pytest.fixture
def fetched(tmp_path, monkeypatch) -> list[str]:
    """Let every number be a version of one forecaster; give what was fetched."""
    origin = Origin("0", "test", True, (), 2)
    labels = np.array([1e-9, 1e-5])
    model = fit_climatology(labels, spec=ForecasterSpec(image_size=256), origin=origin)
    folder, calls = save(model, tmp_path / "model"), []

    def download(uri, dest):
        calls.append(uri)
        return shutil.copytree(folder, dest / "forecaster")

    monkeypatch.setattr(registry, "connect", lambda _: None)
    monkeypatch.setattr(registry, "check_there", lambda _: None)
    monkeypatch.setattr(registry, "download_uri", download)
    monkeypatch.setattr(version_details, "details_of", lambda *_, **__: Details())
    return calls


def test_processes_that_load_a_version_at_once_fetch_it_once_and_all_get_it(
    fetched, tmp_path, monkeypatch
):
    now = [0]
    monkeypatch.setattr(
        registry,
        "production_version",
        lambda name, _: RegisteredVersion(name, now[0], None, None, f"m-{now[0]}"),
    )
    sources = [
        MLflowSource(
            ADDRESS, model_name=NAME, tracking_uri=None, cache=ModelCache(tmp_path, ADDRESS)
        )
        for _ in range(PROCESSES)
    ]
    start, failures, loaded = threading.Barrier(PROCESSES), [], []

    def follow(source: MLflowSource) -> None:
        for number in range(1, ROUNDS + 1):
            now[0] = number
            start.wait(30)
            try:
                result = source.load(source.current_version())
                source.accept(result)
                loaded.append(result.version.number)
            except Exception as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=follow, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(loaded) == PROCESSES * ROUNDS
    assert len(fetched) == ROUNDS
    last = sources[0].last_good()
    assert last is not None
    assert last.version.number == str(ROUNDS)
