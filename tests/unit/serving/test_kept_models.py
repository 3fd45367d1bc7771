"""Models on this disk: whole or not there, whoever else fetches the same at the same time."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from serving.models.cache import ABOUT, FORECASTER, KEPT, LAST_GOOD, KeptModels

KEY = "3 mlflow-artifacts:/1/abc"


def fetch(folder: Path) -> Path:
    """Download like MLflow: into a folder of its own name."""
    model = folder / "model"
    model.mkdir()
    (model / "weights").write_text("whole")
    return model


def put(kept: KeptModels, key: str = KEY) -> None:
    kept.put(key, {"name": "solar-flare"}, fetch)


def names(kept: KeptModels) -> list[str]:
    return sorted(path.name for path in kept.place.iterdir())


def test_what_was_put_is_found_by_another_process_at_the_same_address_only(tmp_path):
    put(KeptModels(tmp_path, "here"))
    found = KeptModels(tmp_path, "here").find(KEY)
    assert (found.forecaster / "weights").read_text() == "whole"
    assert found.about == {"name": "solar-flare", "key": KEY}
    assert KeptModels(tmp_path, "elsewhere").find(KEY) is None
    assert KeptModels(tmp_path, "here").find("4") is None


def test_a_fetch_that_fails_leaves_nothing(tmp_path):
    kept = KeptModels(tmp_path, "here")

    def cut_off(folder: Path) -> Path:
        fetch(folder)
        raise OSError("the registry went away")

    with pytest.raises(OSError, match="went away"):
        kept.put(KEY, {}, cut_off)
    assert names(kept) == []
    assert kept.find(KEY) is None


def test_keys_are_never_paths(tmp_path):
    kept = KeptModels(tmp_path, "here")
    for key in ("../../etc", "/root", "a/b", "..", "", "ü" * 300):
        put(kept, key)
        assert kept.find(key).forecaster.parent.parent == kept.place
    assert len(names(kept)) == 6


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
def test_what_is_damaged_is_not_found_and_is_put_anew(tmp_path, damage):
    kept = KeptModels(tmp_path, "here")
    put(kept)
    damage(kept.find(KEY).forecaster.parent)
    assert kept.find(KEY) is None
    put(kept)
    assert (kept.find(KEY).forecaster / "weights").read_text() == "whole"


def test_of_two_processes_that_fetch_the_same_the_second_leaves_the_firsts_alone(tmp_path):
    """The first may be reading it by then."""
    first, second = KeptModels(tmp_path, "here"), KeptModels(tmp_path, "here")

    def slowly(folder: Path) -> Path:
        put(first)  # the other one is quicker
        return fetch(folder)

    second_found = second.put(KEY, {"name": "solar-flare"}, slowly)
    weights = first.find(KEY).forecaster / "weights"
    before = weights.stat().st_ino
    put(second)
    assert weights.stat().st_ino == before
    assert (second_found.forecaster / "weights").read_text() == "whole"
    assert len(names(first)) == 1


def test_of_many_that_put_at_once_each_reads_a_whole_model_at_any_time(tmp_path):
    together, failed = threading.Barrier(8), []

    def race() -> None:
        kept = KeptModels(tmp_path, "here")
        together.wait(60)
        try:
            for _ in range(10):
                found = kept.put(KEY, {}, fetch)
                assert (found.forecaster / "weights").read_text() == "whole"
                assert kept.find(KEY) is not None
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert len(names(KeptModels(tmp_path, "here"))) == 1


def test_the_last_good_one_is_what_was_marked(tmp_path):
    kept = KeptModels(tmp_path, "here")
    assert kept.last_good() is None
    put(kept, "1")
    put(kept, "2")
    kept.mark_good("1")
    assert KeptModels(tmp_path, "here").last_good().key == "1"
    kept.remove("1")
    assert kept.last_good() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"key": 7}'])
def test_a_damaged_mark_is_none(tmp_path, text):
    kept = KeptModels(tmp_path, "here")
    put(kept)
    (kept.place / LAST_GOOD).write_text(text)
    assert kept.last_good() is None


def test_the_oldest_are_removed_but_never_the_one_in_use(tmp_path):
    kept = KeptModels(tmp_path, "here")
    keys = [f"{n}" for n in range(KEPT + 3)]
    for age, key in enumerate(keys):
        put(kept, key)
        os.utime(kept.find(key).forecaster.parent, (1000 + age, 1000 + age))
    kept.mark_good("0")
    assert [key for key in keys if kept.find(key)] == ["0", *keys[-KEPT:]]


def test_another_process_may_remove_the_same_ones(tmp_path, monkeypatch):
    """Marking is after the swap: it may not make a good version look like a failed one."""
    kept = KeptModels(tmp_path, "here")
    put(kept)
    monkeypatch.setattr(KeptModels, "_prune", lambda *_: (kept.place / "gone").stat())
    kept.mark_good(KEY)
    assert kept.last_good().key == KEY


def test_drafts_of_killed_processes_are_removed_once_they_are_old(tmp_path):
    place = KeptModels(tmp_path, "here").place
    for name, age in ((".draft-old", 7200), (".draft-new", 0)):
        (place / name).mkdir()
        os.utime(place / name, (time.time() - age, time.time() - age))
    (place / ".draft-file").write_text(json.dumps({}))
    os.utime(place / ".draft-file", (0, 0))
    assert names(KeptModels(tmp_path, "here")) == [".draft-new"]


def test_where_nothing_can_be_kept_a_temporary_place_serves_this_process(tmp_path, caplog):
    (tmp_path / "state").write_text("a file where a folder should be")
    kept = KeptModels(tmp_path / "state", "here")
    try:
        put(kept)
        kept.mark_good(KEY)
        assert kept.last_good().key == KEY
        assert "FLARE_STATE_DIR" in caplog.text
    finally:
        kept.remove(KEY)
        (kept.place / LAST_GOOD).unlink()
        kept.place.rmdir()


def test_a_folder_that_cannot_be_written_to_is_no_place(tmp_path, monkeypatch, caplog):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")  # as chmod does not to root

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    kept = KeptModels(tmp_path, "here")
    kept.place.rmdir()
    assert not kept.place.is_relative_to(tmp_path)
    assert "Permission denied" in caplog.text
