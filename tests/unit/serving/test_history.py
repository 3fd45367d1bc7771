"""Recent forecasts: a limited number, across restarts and several processes."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from serving_fakes import CUBE, FakeForecaster, samples_of

from flare.forecast_history import read_history
from serving.history import FILE, History
from serving.models.source import Loaded, Version
from serving.schemas import Prediction
from serving.service import predict


def forecasts(n: int = 1, *, log10_flux: float = -5.24, version: str = "3") -> list[Prediction]:
    live = Loaded(
        FakeForecaster(log10_flux=log10_flux), Version(version, version), "solar-flare", None
    )
    return predict(live, samples_of(CUBE)) * n


@contextmanager
def history_of(folder: Path, *, rows: int = 5):
    history = History(folder, rows=rows)
    try:
        yield history
    finally:
        history.close()


def test_a_forecast_comes_back_without_its_pixels(tmp_path):
    before = datetime.now(UTC)
    with history_of(tmp_path) as history:
        history.add("images", forecasts())
    with history_of(tmp_path) as history:
        (one,) = history.page(10).forecasts
    assert (one.source, one.model_name, one.model_version) == ("images", "solar-flare", "3")
    assert one.peak_flux_w_m2 == forecasts()[0].peak_flux_w_m2
    assert (one.goes_class, one.mx_probability) == ("C5.7", 0.1)
    assert (one.alert, one.synthetic, one.missing_images) == (False, False, 0)
    assert abs((one.time - before).total_seconds()) < 60
    assert one.time.tzinfo is not None


def test_no_more_rows_are_stored_than_the_setting_says(tmp_path):
    with history_of(tmp_path, rows=5) as history:
        for version in "abcdefgh":
            history.add("npy", forecasts(2, version=version))
    with sqlite3.connect(tmp_path / FILE) as file:
        assert file.execute("SELECT count(*) FROM forecasts").fetchone() == (5,)
    file.close()
    with history_of(tmp_path, rows=5) as history:
        assert [one.model_version for one in history.page(100).forecasts] == list("hhggf")


def test_without_rows_nothing_is_stored_and_no_file_is_made(tmp_path):
    with history_of(tmp_path / "state", rows=0) as history:
        history.add("npy", forecasts())
        assert history.page(10).forecasts == []
    assert not (tmp_path / "state").exists()


NO_DATABASE = b"this is not a database" * 99


def make_another_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE forecasts (id INTEGER, other TEXT)")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.parent.rmdir() or path.parent.write_text("a file"),
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(NO_DATABASE),
        make_another_table,
    ],
    ids=["no folder", "no file", "other bytes", "another table"],
)
def test_where_nothing_can_be_stored_the_log_says_so(tmp_path, caplog, spoil):
    folder = tmp_path / "state"
    folder.mkdir()
    spoil(folder / FILE)
    with history_of(folder) as history:
        history.add("npy", forecasts())
        assert (history.rows, history.page(10).forecasts) == (0, [])
    assert "FLARE_STATE_DIR" in caplog.text


def test_a_failing_write_is_a_line_in_the_log_and_the_next_one_is_tried_again(
    tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr("serving.history._BUSY_SECONDS", 0.01)
    with history_of(tmp_path) as history:
        with closing(sqlite3.connect(tmp_path / FILE)) as file, file:
            file.execute("DELETE FROM forecasts")  # locks the file until the block ends
            history.add("npy", forecasts(version="lost"))
            while "not in the history" not in caplog.text:
                time.sleep(0.001)  # until its thread has tried
        history.add("npy", forecasts(version="written"))
    with history_of(tmp_path) as history:
        assert [one.model_version for one in history.page(9).forecasts] == ["written"]


def test_a_file_that_is_damaged_meanwhile_is_an_empty_history_and_a_line_in_the_log(
    tmp_path, caplog
):
    with history_of(tmp_path) as history:
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / FILE).write_bytes(NO_DATABASE)
        assert history.page(10).forecasts == []
    assert "cannot be read" in caplog.text


def test_forecasts_that_come_faster_than_they_are_written_are_left_out(
    tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr("serving.history._MAX_WAITING", 3)
    monkeypatch.setattr(History, "_write", lambda _: None)
    history = History(tmp_path, rows=100)
    history.add("npy", forecasts(10))
    history.add("npy", forecasts(10))
    assert len(history._waiting) == 3
    assert caplog.text.count("faster than the history is written") == 1


def write_some(folder: Path, version: str) -> int:
    with history_of(folder, rows=1000) as history:
        for _ in range(10):
            history.add("npy", forecasts(5, version=version))
        return history.rows


def test_several_writers_share_one_file(tmp_path):
    """A connection each, as of several processes: SQLite locks the file for both alike."""
    with ThreadPoolExecutor(3) as threads:
        rows = list(threads.map(write_some, [tmp_path] * 3, "abc"))
    assert rows == [1000] * 3
    with history_of(tmp_path, rows=1000) as history:
        result = history.page(1000).forecasts
    assert sorted(one.model_version for one in result) == ["a"] * 50 + ["b"] * 50 + ["c"] * 50
    assert len({one.id for one in result}) == 150


def test_a_lower_limit_counts_for_older_rows_too(tmp_path):
    with history_of(tmp_path, rows=100) as history:
        history.add("npy", forecasts(50))
    with history_of(tmp_path, rows=3) as history:
        assert len(history.page(100).forecasts) == 3
        history.add("npy", forecasts(version="new"))
    with history_of(tmp_path, rows=100) as history:
        assert [one.model_version for one in history.page(100).forecasts] == ["new", "3", "3"]


def test_a_file_that_is_removed_meanwhile_is_made_again(tmp_path):
    with history_of(tmp_path) as history:
        (tmp_path / FILE).unlink()
        history.add("npy", forecasts())
    with history_of(tmp_path) as history:
        (one,) = history.page(5).forecasts
        (tmp_path / FILE).unlink()
        assert history.page(5).forecasts == []
    assert one.model_version == "3"


def test_an_unexpected_error_of_the_thread_that_writes_is_logged(tmp_path, caplog, monkeypatch):
    with history_of(tmp_path) as history:
        monkeypatch.setattr(history, "_open", lambda: 1 // 0)
        history.add("npy", forecasts(2))
    assert "2 forecasts are not in the history: integer division" in caplog.text


def old_history(folder: Path) -> None:
    """Write a history of the first schema, with one forecast."""
    names = (
        "time, source, model_name, model_version, peak_flux_w_m2, flux_low_w_m2, flux_high_w_m2, "
        "goes_class, mx_probability, alert, missing_images, synthetic"
    )
    row = (
        "'2026-01-02T03:04:05.678+00:00', 'npy', 'm', '1', 1e-6, 1e-7, 1e-5, 'C1.0', 0.25, 0, 2, 1"
    )
    columns = ", ".join(f"{name} NOT NULL" for name in names.split(", "))
    with sqlite3.connect(folder / FILE) as file:
        file.execute(f"CREATE TABLE forecasts (id INTEGER PRIMARY KEY AUTOINCREMENT, {columns})")
        file.execute(f"INSERT INTO forecasts ({names}) VALUES ({row})")
    file.close()


def test_a_history_of_the_first_schema_is_read_and_continued(tmp_path):
    old_history(tmp_path)
    (alone,) = read_history(tmp_path / FILE)  # as `verify` does, before a server opens it
    assert (alone["probability_M1.0"], alone["valid_from"]) == (0.25, None)
    with history_of(tmp_path) as history:
        history.add("npy", forecasts())
    with history_of(tmp_path) as history:
        new, old = history.page(10).forecasts
        lines = "".join(history.export()[0]).splitlines()
    assert (old.forecast_id, old.issue_time, old.probabilities) == ("row-1", old.time, None)
    assert (new.valid_from, new.status) == (None, "normal")
    assert [line.split(",")[0] for line in lines] == ["forecast_id", "row-1", new.forecast_id]
    assert len(read_history(tmp_path / FILE)) == 2


def test_the_export_is_by_issue_time_in_pages(tmp_path):
    days = [3, 1, 2, 5, 4, 1]
    one = forecasts()[0]
    with history_of(tmp_path, rows=10) as history:
        for number, day in enumerate(days):
            issued = datetime(2026, 1, day, tzinfo=UTC)
            fields = {"issue_time": issued, "forecast_id": str(number), "reasons": ["a, b", "c"]}
            history.add("npy", [one.model_copy(update=fields)])
    with history_of(tmp_path, rows=10) as history:
        whole = pd.read_csv(StringIO("".join(history.export()[0])))
        pages, cursor = [], ""
        while cursor is not None:
            lines, cursor = history.export(limit=4, after=cursor)
            pages.append(pd.read_csv(StringIO("".join(lines))))
        since = datetime(2026, 1, 3, tzinfo=UTC)
        later = pd.read_csv(StringIO("".join(history.export(since=since)[0])))
    assert whole["forecast_id"].tolist() == [1, 5, 2, 0, 4, 3]
    assert [len(page) for page in pages] == [4, 2]
    pd.testing.assert_frame_equal(pd.concat(pages, ignore_index=True), whole)
    assert later["forecast_id"].tolist() == [0, 4, 3]
    assert whole["reasons"][0] == "a, b; c"
    assert whole["issue_time"][0] == "2026-01-01T00:00:00Z"
