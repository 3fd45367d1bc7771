import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import flare.tracking
from flare.errors import ForecasterInvalid, ModelNotFound, TrackingUnavailable
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.climatology import Climatology, fit_climatology
from flare.forecasters.folder import save
from serving.settings import Settings
from serving.source import FolderSource, RegistrySource, source_of

ORIGIN = Origin("0", "test", True, (), 3)


def climatology(*peak_flux: float) -> Climatology:
    return fit_climatology(np.array(peak_flux), spec=ForecasterSpec(image_size=256), origin=ORIGIN)


@pytest.fixture
def folder(tmp_path):
    return save(climatology(1e-9, 1e-6, 1e-5), tmp_path / "forecaster")


@dataclass(frozen=True)
class Version:
    name: str = "solar-flare"
    version: int = 3
    run_id: str | None = None
    kind: str | None = None


@dataclass
class FakeRegistry:
    """Stands for flare.tracking.registry, so that no test here needs MLflow."""

    artifact: Path
    current: Version | Exception = field(default_factory=Version)
    connected: list[str | None] = field(default_factory=list)
    downloads: list[Path] = field(default_factory=list)

    def connect(self, tracking_uri):
        self.connected.append(tracking_uri)

    def production_version(self, name, alias):
        assert (name, alias) == ("solar-flare", "Production")
        if isinstance(self.current, Exception):
            raise self.current
        return self.current

    def download_forecaster(self, version, dest):
        assert version == self.current
        self.downloads.append(dest)
        return shutil.copytree(self.artifact, dest / "forecaster")


@pytest.fixture
def registry(folder, monkeypatch):
    fake = FakeRegistry(folder)
    module = ModuleType("flare.tracking.registry")
    for name in ("connect", "production_version", "download_forecaster"):
        setattr(module, name, getattr(fake, name))
    monkeypatch.setitem(sys.modules, "flare.tracking.registry", module)
    monkeypatch.setattr(flare.tracking, "registry", module, raising=False)
    return fake


@pytest.fixture
def source(registry):
    return RegistrySource("solar-flare", "Production", tracking_uri="http://mlflow:5000")


def test_a_folder_is_served_under_its_own_name(folder):
    source = FolderSource(folder)
    loaded = source.load(source.current_version())
    assert (loaded.name, loaded.folder) == ("forecaster", folder)
    assert loaded.forecaster == climatology(1e-9, 1e-6, 1e-5)


def test_a_folder_keeps_its_version_until_another_forecaster_is_saved_in_its_place(folder):
    source = FolderSource(folder)
    first = source.current_version()
    assert source.current_version() == first
    shutil.rmtree(folder)
    save(climatology(1e-7, 1e-6), folder)
    assert source.current_version() != first


def test_a_folder_without_a_forecaster_is_a_model_that_is_not_found(tmp_path):
    with pytest.raises(ModelNotFound, match=str(tmp_path)):
        FolderSource(tmp_path).current_version()


def test_a_folder_is_not_removed_with_its_model(folder):
    source = FolderSource(folder)
    source.discard(source.load(source.current_version()))
    assert (folder / "forecaster.json").is_file()


def test_the_version_that_the_alias_marks_is_downloaded_and_loaded(source):
    loaded = source.load(source.current_version())
    assert (loaded.name, loaded.version) == ("solar-flare", "3")
    assert loaded.forecaster == climatology(1e-9, 1e-6, 1e-5)


def test_the_registry_is_connected_once(source, registry):
    source.current_version()
    source.current_version()
    assert registry.connected == ["http://mlflow:5000"]


@pytest.mark.parametrize("kind", [ModelNotFound, TrackingUnavailable])
def test_the_registrys_own_errors_come_through(source, registry, kind):
    registry.current = kind("the reason")
    with pytest.raises(kind, match="the reason"):
        source.current_version()


def test_only_the_version_that_was_named_last_is_loaded(source):
    source.current_version()
    with pytest.raises(ModelNotFound, match="version 2"):
        source.load("2")


def test_a_discarded_download_is_removed(source, registry):
    loaded = source.load(source.current_version())
    assert registry.downloads[0].is_dir()
    source.discard(loaded)
    assert not registry.downloads[0].exists()


def test_a_damaged_download_is_refused_and_removed(source, registry, folder):
    (folder / "forecaster.json").write_text("{}")
    with pytest.raises(ForecasterInvalid):
        source.load(source.current_version())
    assert not registry.downloads[0].exists()


def test_a_folder_setting_takes_the_place_of_the_registry(folder):
    assert isinstance(source_of(Settings(model_folder=folder)), FolderSource)
    assert isinstance(source_of(Settings()), RegistrySource)
