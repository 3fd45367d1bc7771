import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import flare.tracking
from flare.errors import ForecasterInvalid, ModelNotFound, TrackingUnavailable
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.references.climatology import Climatology, fit_climatology
from flare.forecasters.storage import save
from serving.models.cache import ModelCache
from serving.models.source import FolderSource, MLflowSource, Version

ORIGIN = Origin("0", "test", True, (), 3)


def climatology(*peak_flux: float) -> Climatology:
    return fit_climatology(np.array(peak_flux), spec=ForecasterSpec(image_size=256), origin=ORIGIN)


@pytest.fixture
def folder(tmp_path):
    return save(climatology(1e-9, 1e-6, 1e-5), tmp_path / "forecaster")


@dataclass(frozen=True)
class Registered:
    name: str = "solar-flare"
    version: int = 3
    run_id: str | None = None
    kind: str | None = None
    source: str | None = "models:/m-1"

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.version}"


@dataclass
class FakeRegistry:
    """Stands for flare.tracking.registry, so that no test here needs MLflow."""

    artifact: Path
    current: Registered | Exception = field(default_factory=Registered)
    connected: list[str | None] = field(default_factory=list)
    downloads: list[Path] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def connect(self, tracking_uri):
        self.connected.append(tracking_uri)

    def production_version(self, name, alias):
        assert (name, alias) == ("solar-flare", "Production")
        if isinstance(self.current, Exception):
            raise self.current
        return self.current

    def check_there(self, name):
        pass

    def get_version(self, name, version):
        return Registered(name, version)

    def version_of_run(self, name, run_id):
        return Registered(name, 7, run_id)

    def download_uri(self, uri, dest):
        self.asked.append(uri)
        self.downloads.append(dest)
        return shutil.copytree(self.artifact, dest / "forecaster")


@dataclass(frozen=True)
class Details:
    run_id: str | None

    def as_dict(self):
        return {"run_id": self.run_id}


@pytest.fixture
def registry(folder, monkeypatch):
    fake = FakeRegistry(folder)
    module = ModuleType("flare.tracking.registry")
    for name in (
        "connect", "check_there", "production_version", "get_version", "version_of_run",
        "download_uri",
    ):  # fmt: skip
        setattr(module, name, getattr(fake, name))
    monkeypatch.setitem(sys.modules, "flare.tracking.registry", module)
    details = ModuleType("flare.tracking.version_details")
    details.details_of = lambda run_id, **_: Details(run_id)
    monkeypatch.setitem(sys.modules, "flare.tracking.version_details", details)
    monkeypatch.setattr(flare.tracking, "registry", module, raising=False)
    return fake


@pytest.fixture
def source(registry, tmp_path):
    return source_at(tmp_path)


def source_at(tmp_path, address="models:/solar-flare@Production"):
    cache = ModelCache(tmp_path / "state", address)
    uri = "http://mlflow:5000"
    return MLflowSource(address, model_name="solar-flare", tracking_uri=uri, cache=cache)


def test_a_folder_is_served_under_its_own_name_and_never_removed(folder):
    source = FolderSource(folder)
    assert source.alias is None
    loaded = source.load(source.current_version())
    assert (loaded.name, loaded.folder) == ("forecaster", folder)
    assert loaded.forecaster == climatology(1e-9, 1e-6, 1e-5)
    source.refuse(loaded)
    assert (folder / "forecaster.json").is_file()


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


@pytest.mark.parametrize("kind", [ModelNotFound, TrackingUnavailable])
def test_the_registrys_own_errors_come_through(source, registry, kind):
    registry.current = kind("the reason")
    with pytest.raises(kind, match="the reason"):
        source.current_version()


def test_only_the_version_that_was_named_last_is_loaded(source):
    source.current_version()
    with pytest.raises(ModelNotFound, match="version 2"):
        source.load(Version("2", "2"))


def test_what_was_fetched_stays_and_is_not_fetched_again(source, registry, tmp_path):
    first = source.load(source.current_version())
    assert first.folder.is_dir()
    assert not registry.downloads[0].exists()  # it was moved whole
    again = source_at(tmp_path)
    assert again.load(again.current_version()).forecaster == first.forecaster
    assert len(registry.asked) == 1


def test_a_version_number_with_other_files_is_another_version(source, registry):
    source.load(source.current_version())
    registry.current = Registered(source="models:/m-2")
    source.load(source.current_version())
    assert len(registry.asked) == 2


def test_the_last_good_version_needs_no_registry_unless_it_was_damaged(source, registry, tmp_path):
    assert source.last_good() is None
    loaded = source.load(source.current_version())
    assert source.last_good() is None  # until it has proved itself
    source.accept(loaded)
    registry.current = TrackingUnavailable("gone")
    good = source_at(tmp_path).last_good()
    assert (good.version, good.forecaster) == (loaded.version, loaded.forecaster)
    (loaded.folder / "forecaster.json").write_text("{}")
    assert source_at(tmp_path).last_good() is None


def test_a_cached_version_that_was_damaged_is_fetched_again(source, registry, tmp_path):
    loaded = source.load(source.current_version())
    (loaded.folder / "forecaster.json").write_text("{}")
    again = source_at(tmp_path)
    assert again.load(again.current_version()).forecaster == loaded.forecaster
    assert len(registry.asked) == 2


@pytest.mark.parametrize(
    ("address", "asked", "number"),
    [
        ("models:/other/4", "models:/other/4", "4"),
        ("a" * 32, "models:/solar-flare/7", "7"),
        (f"runs:/{'a' * 32}/cnn", f"runs:/{'a' * 32}/cnn", "cnn"),
        ("models:/m-1234", "models:/m-1234", "m-1234"),
    ],
)
def test_any_address_or_run_can_be_served(registry, tmp_path, address, asked, number):
    source = source_at(tmp_path, address)
    assert source.alias is None
    loaded = source.load(source.current_version())
    assert (registry.asked, loaded.version.number) == ([asked], number)
    assert source.current_version() == loaded.version


def test_a_damaged_download_is_refused_and_removed(source, folder, tmp_path):
    (folder / "forecaster.json").write_text("{}")
    with pytest.raises(ForecasterInvalid):
        source.load(source.current_version())
    assert not list((tmp_path / "state").rglob("about.json"))


def test_a_folder_that_was_half_copied_is_another_one_once_it_is_whole(folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    other = save(climatology(1e-5, 1e-6), tmp_path / "other")
    shutil.copy(other / "forecaster.json", copy)
    source = FolderSource(copy)
    half = source.current_version()
    for file in other.iterdir():
        shutil.copy(file, copy)
    whole = source.current_version()
    assert whole.number == half.number
    assert source.load(whole).forecaster == climatology(1e-5, 1e-6)


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(folder, monkeypatch):
    source = FolderSource(folder)
    version = source.current_version()
    monkeypatch.setattr(source, "current_version", lambda: Version("other", "other"))
    with pytest.raises(TrackingUnavailable, match="read again"):
        source.load(version)


def test_new_details_are_stored_on_this_disk_too(source, registry, tmp_path, monkeypatch):
    loaded = source.load(source.current_version())
    source.accept(loaded)
    known = {"run_id": None, "parameters": {"epochs": "3"}, "scores_on": "test split"}
    monkeypatch.setattr("serving.models.source._details", lambda _: known)
    assert source.with_new_details(loaded).details == known
    assert source_at(tmp_path).last_good().details == known


def test_a_state_folder_that_was_removed_is_made_again(source, tmp_path):
    shutil.rmtree(tmp_path / "state")
    assert source.load(source.current_version()).folder.is_dir()


def test_a_refused_version_is_removed(source):
    loaded = source.load(source.current_version())
    source.refuse(loaded)
    assert not loaded.folder.parent.exists()


def test_servers_that_share_a_folder_fetch_a_version_once_and_all_get_it(registry, tmp_path):
    sources, rounds = [source_at(tmp_path) for _ in range(4)], 8
    start, loaded = threading.Barrier(len(sources)), []

    def follow(source: MLflowSource) -> None:
        for number in range(1, rounds + 1):
            registry.current = Registered(version=number, source=f"models:/m-{number}")
            start.wait(30)
            result = source.load(source.current_version())
            source.accept(result)
            loaded.append(result.version.number)
            start.wait(30)

    with ThreadPoolExecutor(len(sources)) as threads:
        list(threads.map(follow, sources))
    assert sorted(loaded) == sorted([str(n) for n in range(1, rounds + 1)] * len(sources))
    assert len(registry.asked) == rounds
    assert sources[0].last_good().version.number == str(rounds)
