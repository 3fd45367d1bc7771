"""Recent forecasts in SQLite: without the pixels, bounded, and never in a request's way."""

import logging
import queue
import sqlite3
import threading
from collections.abc import Sequence
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

#: Forecasts that may wait to be written; more are forgotten instead of filling the memory.
_WAITING = 10_000
_BUSY_SECONDS = 10.0

#: SQLite's largest integer: every id is below.
_NEWEST = 2**63 - 1

Row = tuple[object, ...]


class History:
    """The forecasts of all server processes that share a folder. Written by one thread of each."""

    def __init__(self, state_dir: Path, *, rows: int) -> None:
        """Open or make the file; where that cannot be done, say so and keep nothing."""
        self.rows = rows
        self._path = state_dir.absolute() / FILE
        self._waiting: queue.Queue[Row | None] = queue.Queue(_WAITING)
        self._lost = False
        if rows:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with closing(self._open()) as file:
                    file.execute("PRAGMA journal_mode = WAL")
                    file.execute(_TABLE)
                    file.execute("SELECT id, " + ", ".join(_COLUMNS) + " FROM forecasts LIMIT 1")
            except (OSError, sqlite3.Error) as error:
                log.warning("no history is kept in %s (%s); FLARE_STATE_DIR", self._path, error)
                self.rows = 0
        self._thread = threading.Thread(target=self._write, name="history", daemon=True)
        self._thread.start()

    def add(self, source: str, forecasts: Sequence[Prediction]) -> None:
        """Remember forecasts, soon."""
        if not self.rows:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            for one in forecasts:
                values = [getattr(one, name) for name in _COLUMNS[2:]]
                self._waiting.put_nowait((now, source, *values))
        except queue.Full:
            if not self._lost:
                log.warning("forecasts come faster than the history is written: some are left out")
            self._lost = True

    def page(self, limit: int, *, before: int | None = None) -> Page:
        """Return the newest forecasts, or those before an id; blocks a thread for SQLite."""
        forecasts: list[PastForecast] = []
        if self.rows:
            query = f"SELECT id, {', '.join(_COLUMNS)} FROM forecasts"
            query += " WHERE id < ? AND id > (SELECT max(id) FROM forecasts) - ?"
            query += " ORDER BY id DESC LIMIT ?"
            newest = _NEWEST if before is None else min(before, _NEWEST)
            try:
                with closing(self._open()) as file:
                    rows = file.execute(query, (newest, self.rows, limit + 1)).fetchall()
                names = ("id", *_COLUMNS)
                forecasts = [PastForecast(**dict(zip(names, row, strict=True))) for row in rows]
            except sqlite3.Error as error:  # somebody removed or damaged the file meanwhile
                log.warning("the history in %s cannot be read: %s", self._path, error)
        more = forecasts[limit - 1].id if len(forecasts) > limit else None
        return Page(kept=self.rows, forecasts=forecasts[:limit], next=more)

    def close(self) -> None:
        """Write what waits."""
        self._waiting.put(None)
        self._thread.join(_BUSY_SECONDS)

    def _open(self) -> sqlite3.Connection:
        removed = not self._path.exists()
        file = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
        if removed:
            file.execute(_TABLE)
        return file

    def _write(self) -> None:
        file: sqlite3.Connection | None = None
        ended = False
        while not ended:
            rows = [self._waiting.get()]
            while len(rows) < _WAITING and not self._waiting.empty():
                rows.append(self._waiting.get())
            ended = rows[-1] is None or None in rows
            wanted = [row for row in rows if row is not None]
            if wanted:
                try:
                    if file is not None and not self._path.exists():  # somebody removed it
                        file.close()
                        file = None
                    file = file or self._open()
                    self._put(file, wanted)
                except sqlite3.Error as error:
                    log.warning("%d forecasts are not in the history: %s", len(wanted), error)
                    if file is not None:
                        file.close()
                    file = None
        if file is not None:
            file.close()

    def _put(self, file: sqlite3.Connection, rows: list[Row]) -> None:
        with file:
            file.executemany(_INSERT, rows)
            file.execute(
                "DELETE FROM forecasts WHERE id <= (SELECT max(id) FROM forecasts) - ?",
                (self.rows,),
            )
