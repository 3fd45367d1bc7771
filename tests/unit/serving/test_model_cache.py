"""Models on this disk: complete or not there, whatever other processes do at the same time."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from flare.errors import TrackingUnavailable
from serving.models.cache import ABOUT, FORECASTER, LAST_GOOD, OLD_MODELS, ModelCache

KEY = "3 mlflow-artifacts:/1/abc"


def fetch(folder: Path) -> Path:
    """Download like MLflow: into a folder of its own name."""
    model = folder / "model"
    model.mkdir()
    (model / "weights").write_text("whole")
    return model


def put(cache: ModelCache, key: str = KEY) -> None:
    cache.put(key, {"name": "solar-flare"}, fetch)


def names(cache: ModelCache) -> list[str]:
    return sorted(path.name for path in cache.folder.iterdir())


def test_what_was_put_is_found_by_another_process_at_the_same_address_only(tmp_path):
    put(ModelCache(tmp_path, "here"))
    result = ModelCache(tmp_path, "here").find(KEY)
    assert (result.forecaster / "weights").read_text() == "whole"
    assert result.about == {"name": "solar-flare", "key": KEY}
    assert ModelCache(tmp_path, "elsewhere").find(KEY) is None
    assert ModelCache(tmp_path, "here").find("4") is None


def test_a_fetch_that_fails_leaves_nothing(tmp_path):
    cache = ModelCache(tmp_path, "here")

    def cut_off(folder: Path) -> Path:
        fetch(folder)
        raise OSError("the disk is full")

    with pytest.raises(TrackingUnavailable, match=r"the disk is full.*FLARE_STATE_DIR"):
        cache.put(KEY, {}, cut_off)
    assert names(cache) == []
    assert cache.find(KEY) is None


def test_of_two_writers_of_one_key_the_second_leaves_the_model_of_the_first_alone(tmp_path):
    """As on a file system without locks; another process may be reading the first model."""
    first, second = ModelCache(tmp_path, "here"), ModelCache(tmp_path, "here")
    inodes = []

    def fetch_slowly(folder: Path) -> Path:
        put(first)
        inodes.append((first.find(KEY).forecaster / "weights").stat().st_ino)
        return fetch(folder)

    weights = second.put(KEY, {"name": "solar-flare"}, fetch_slowly).forecaster / "weights"
    assert (weights.read_text(), weights.stat().st_ino) == ("whole", inodes[0])
    assert len(names(first)) == 1


@pytest.mark.parametrize("with_lock", [False, True])
def test_many_writers_of_one_key_read_a_complete_model_and_with_a_lock_fetch_it_once(
    tmp_path, with_lock
):
    fetched = []

    def fetch_slowly(folder: Path) -> Path:
        fetched.append(folder)
        time.sleep(0.01)
        return fetch(folder)

    def load(_: int) -> str:
        cache = ModelCache(tmp_path, "here")
        with cache.locked() if with_lock else nullcontext():
            model = (with_lock and cache.find(KEY)) or cache.put(KEY, {}, fetch_slowly)
        assert cache.find(KEY) is not None
        return (model.forecaster / "weights").read_text()

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(load, range(16))) == ["whole"] * 16
    assert len(fetched) == (1 if with_lock else 16)
    assert len(names(ModelCache(tmp_path, "here"))) == 1


def test_keys_are_never_paths(tmp_path):
    cache = ModelCache(tmp_path, "here")
    for key in ("../../etc", "/root", "a/b", "..", "", "ü" * 300):
        put(cache, key)
        assert cache.find(key).forecaster.parent.parent == cache.folder
    assert len(names(cache)) == 6


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / ABOUT).unlink(),
        lambda folder: (folder / ABOUT).write_text("{"),
        lambda folder: (folder / ABOUT).write_text("[1]"),
        lambda folder: (folder / ABOUT).write_text('{"key": "of another"}'),
        lambda folder: (folder / FORECASTER).rename(folder / "away"),
    ],
)
def test_a_damaged_model_is_not_found_and_is_stored_again(tmp_path, damage):
    cache = ModelCache(tmp_path, "here")
    put(cache)
    damage(cache.find(KEY).forecaster.parent)
    assert cache.find(KEY) is None
    put(cache)
    assert (cache.find(KEY).forecaster / "weights").read_text() == "whole"


def test_the_last_good_one_is_the_one_that_was_marked(tmp_path):
    cache = ModelCache(tmp_path, "here")
    assert cache.last_good() is None
    put(cache, "1")
    put(cache, "2")
    cache.mark_good("1")
    assert ModelCache(tmp_path, "here").last_good().key == "1"
    cache.remove("1")
    assert cache.last_good() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"key": 7}'])
def test_a_damaged_note_of_the_last_good_one_is_ignored(tmp_path, text):
    cache = ModelCache(tmp_path, "here")
    put(cache)
    (cache.folder / LAST_GOOD).write_text(text)
    assert cache.last_good() is None


def test_the_oldest_are_removed_but_never_the_one_in_use(tmp_path):
    cache = ModelCache(tmp_path, "here")
    keys = [f"{n}" for n in range(OLD_MODELS + 3)]
    for age, key in enumerate(keys):
        put(cache, key)
        os.utime(cache.find(key).forecaster.parent, (1000 + age, 1000 + age))
    cache.mark_good("0")
    assert [key for key in keys if cache.find(key)] == ["0", *keys[-OLD_MODELS:]]


def test_where_nothing_can_be_stored_a_temporary_folder_serves_this_process(tmp_path, caplog):
    (tmp_path / "state").write_text("a file where a folder should be")
    cache = ModelCache(tmp_path / "state", "here")
    try:
        put(cache)
        cache.mark_good(KEY)
        assert cache.last_good().key == KEY
        assert "FLARE_STATE_DIR" in caplog.text
    finally:
        cache.remove(KEY)
        (cache.folder / LAST_GOOD).unlink()
        cache.folder.rmdir()


def test_a_folder_that_cannot_be_written_to_is_not_used(tmp_path, monkeypatch, caplog):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")  # as chmod does not to root

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    cache = ModelCache(tmp_path, "here")
    cache.folder.rmdir()
    assert not cache.folder.is_relative_to(tmp_path)
    assert "Permission denied" in caplog.text


def test_drafts_of_killed_processes_are_removed_once_they_are_old(tmp_path):
    cache = ModelCache(tmp_path, "here")
    put(cache)
    drafts = {".a.partial": 7200, ".b.old": 7200, ".draft-c": 7200, ".d.partial": 0, ".e.old": 0}
    for name, age in drafts.items():
        (cache.folder / name).mkdir()
        os.utime(cache.folder / name, (time.time() - age, time.time() - age))
    cache.mark_good(KEY)
    assert [name for name in names(cache) if name.startswith(".")] == [".d.partial", ".e.old"]
