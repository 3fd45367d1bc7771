"""Files that are only appended to survive a full disk, and a process that is killed on the way."""

import errno
import json
import os

import optuna
import pytest

from flare.errors import ConfigInvalid
from flare.tracking.run_log import RunInfo, RunLog
from flare.workflows.search import open_study_file

STUDY = {"study_name": "one", "direction": "maximize"}


@pytest.fixture
def study_file(tmp_path):
    """The file of a study with three trials."""
    path = tmp_path / "studies" / "study.journal"
    study = optuna.create_study(storage=open_study_file(path), **STUDY)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    return path


def trials(path) -> int:
    return len(optuna.load_study(study_name="one", storage=open_study_file(path)).trials)


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_study_whose_last_line_was_cut_goes_on(study_file, cut):
    os.truncate(study_file, study_file.stat().st_size - cut)
    study = optuna.load_study(study_name="one", storage=open_study_file(study_file))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert trials(study_file) == 4
    assert [json.loads(line) for line in study_file.read_bytes().splitlines()]


def test_a_study_goes_on_while_another_process_is_killed_in_its_write(study_file):
    study = optuna.load_study(study_name="one", storage=open_study_file(study_file))
    with study_file.open("ab") as other:
        other.write(b'{"op_code":5,"worker')
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert trials(study_file) == 4


def test_a_damaged_line_of_a_study_is_named(study_file):
    lines = study_file.read_bytes().splitlines(keepends=True)
    study_file.write_bytes(b"".join([*lines[:2], lines[2][:9] + lines[3], *lines[4:]]))
    with pytest.raises(ConfigInvalid, match=r"study\.journal: line 3 is damaged") as caught:
        open_study_file(study_file)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("record", [b'{"op_code": 99, "worker_id": "a"}', b'{"op_code": 4}'])
def test_a_record_that_cannot_be_applied_is_one_line_that_names_the_study(study_file, record):
    with study_file.open("ab") as file:
        file.write(record + b"\n")
    with pytest.raises(ConfigInvalid, match=r"study\.journal: Optuna cannot apply") as caught:
        open_study_file(study_file)
    assert len(str(caught.value).splitlines()) == 1


class FullDisk:
    """A file that takes a part of what is written, and then nothing more."""

    def __init__(self, file) -> None:
        self._file, self.room = file, 5

    def write(self, data) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        n_bytes, self.room = self.room, 0
        return self._file.write(bytes(data)[:n_bytes])

    def __getattr__(self, name: str):
        return getattr(self._file, name)


@pytest.fixture
def run_log(tmp_path, monkeypatch):
    """Return a function that opens the log of one run, whose server is away."""
    monkeypatch.setenv("FLARE_RUNS_DIR", str(tmp_path))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return lambda: RunLog(RunInfo("one", "train", "http://127.0.0.1:9"))


def logged(log: RunLog) -> list[dict[str, str]]:
    lines = (log.folder / "log.jsonl").read_bytes().splitlines()
    return [json.loads(line)["params"] for line in lines if line.endswith(b"}")]


def test_a_full_disk_costs_the_log_of_a_run_one_entry_and_no_other(run_log):
    log = run_log()
    log.append({"params": {"a": "1"}})
    file, log._file = log._file, FullDisk(log._file)
    with pytest.raises(OSError, match="No space left"):
        log.append({"params": {"b": "2"}})
    log._file = file
    log.append({"params": {"c": "3"}})
    log.close()
    assert logged(log) == [{"a": "1"}, {"c": "3"}]


def test_entries_after_a_line_that_was_cut_off_are_logged_and_the_cut_is_reported(run_log, caplog):
    log = run_log()
    log.append({"params": {"a": "1"}})
    log.append({"params": {"b": "2"}})
    log.close()
    path = log.folder / "log.jsonl"
    os.truncate(path, path.stat().st_size - 3)
    again = run_log()
    again.append({"params": {"c": "3"}})
    again.close()
    assert logged(again) == [{"a": "1"}, {"c": "3"}]
    assert "cut off" in caplog.text
