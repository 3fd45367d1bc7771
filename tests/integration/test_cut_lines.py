"""Files that are only appended to survive a full disk, and a process that is killed on the way."""

import errno
import json
import os

import pytest

from flare.tracking.run_log import RunInfo, RunLog


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
