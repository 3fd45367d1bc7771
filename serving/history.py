"""Recent forecasts in SQLite: without the pixels, a limited number, written after the answer."""

import logging
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from serving.schemas import History as Page
from serving.schemas import PastForecast, Prediction

log = logging.getLogger("flare.serving")

FILE = "history.sqlite"

_COLUMNS = (
    "time", "source", "model_name", "model_version", "peak_flux_w_m2", "flux_low_w_m2",
    "flux_high_w_m2", "goes_class", "mx_probability", "alert", "missing_images", "synthetic",
)  # fmt: skip
_TABLE = f"""
CREATE TABLE IF NOT EXISTS forecasts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, {", ".join(f"{name} NOT NULL" for name in _COLUMNS)}
)"""
_INSERT = f"INSERT INTO forecasts ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_TRIM = "DELETE FROM forecasts WHERE id <= (SELECT max(id) FROM forecasts) - ?"
_SELECT = (
    f"SELECT id, {', '.join(_COLUMNS)} FROM forecasts "
    "WHERE id < ? AND id > (SELECT max(id) FROM forecasts) - ? ORDER BY id DESC LIMIT ?"
)

#: Forecasts that may wait to be written; more are left out instead of filling the memory.
_MAX_WAITING = 10_000
_BUSY_SECONDS = 10.0

#: SQLite's largest integer: every id is below.
_NEWEST = 2**63 - 1

Row = tuple[object, ...]


class History:
    """The forecasts of all server processes that share a folder; one thread of each writes."""

    def __init__(self, state_dir: Path, *, rows: int) -> None:
        """Open or make the file; where that is impossible, log it and store nothing."""
        self.rows = rows
        self._path = state_dir.absolute() / FILE
        self._waiting: list[Row] = []
        self._lock, self._overrun = threading.Lock(), False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="history")
        if rows:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with closing(self._open()) as file:
                    file.execute("PRAGMA journal_mode = WAL")
                    file.execute(_SELECT, (_NEWEST, rows, 1))  # it has these columns
            except (OSError, sqlite3.Error) as error:
                log.warning("no history in %s (%s); set FLARE_STATE_DIR", self._path, error)
                self.rows = 0

    def add(self, source: str, forecasts: Sequence[Prediction]) -> None:
        """Hand forecasts to the thread that writes."""
        if not self.rows:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        new = [(now, source, *(getattr(one, name) for name in _COLUMNS[2:])) for one in forecasts]
        with self._lock:
            idle = not self._waiting
            self._waiting += new[: _MAX_WAITING - len(self._waiting)]
            if len(self._waiting) == _MAX_WAITING and not self._overrun:
                self._overrun = True
                log.warning("forecasts come faster than the history is written: some are left out")
        if idle:
            self._writer.submit(self._write)

    def page(self, limit: int, *, before: int | None = None) -> Page:
        """Return the newest forecasts, or those before an id; blocks a thread for SQLite."""
        forecasts: list[PastForecast] = []
        if self.rows:
            newest = _NEWEST if before is None else min(before, _NEWEST)
            try:
                with closing(self._open()) as file:
                    rows = file.execute(_SELECT, (newest, self.rows, limit + 1)).fetchall()
                names = ("id", *_COLUMNS)
                forecasts = [PastForecast(**dict(zip(names, row, strict=True))) for row in rows]
            except sqlite3.Error as error:  # the file was removed or damaged meanwhile
                log.warning("the history in %s cannot be read: %s", self._path, error)
        more = forecasts[limit - 1].id if len(forecasts) > limit else None
        return Page(kept=self.rows, forecasts=forecasts[:limit], next=more)

    def close(self) -> None:
        """Write the forecasts that wait."""
        self._writer.shutdown(wait=True)

    def _open(self) -> sqlite3.Connection:
        """Connect for one use, so that a file that was removed is made anew."""
        file = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
        file.execute("PRAGMA synchronous = NORMAL")  # as safe in WAL mode, short of a power cut
        file.execute(_TABLE)
        return file

    def _write(self) -> None:
        with self._lock:
            rows, self._waiting = self._waiting, []
        try:
            with closing(self._open()) as file, file:
                file.executemany(_INSERT, rows)
                file.execute(_TRIM, (self.rows,))
        except Exception as error:  # any: nobody reads the result of this thread
            log.warning("%d forecasts are not in the history: %s", len(rows), error)
