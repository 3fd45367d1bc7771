"""Recent forecasts in SQLite: without the pixels, a limited number, written after the answer."""

import logging
import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path

from flare.errors import InputInvalid
from flare.forecast_facts import now, sortable
from flare.forecast_history import HISTORY_FILE, Row, csv_lines, insert, prepare, select
from serving.schemas import History as Page
from serving.schemas import PastForecast, Prediction

log = logging.getLogger("flare.serving")

FILE = HISTORY_FILE

_TRIM = "DELETE FROM forecasts WHERE id <= (SELECT max(id) FROM forecasts) - ?"
_KEPT = "id > (SELECT max(id) FROM forecasts) - ?"

#: Forecasts that may wait to be written; more are left out instead of filling the memory.
_MAX_WAITING = 10_000
_BUSY_SECONDS = 10.0

#: SQLite's largest integer: every id is below.
_NEWEST = 2**63 - 1

#: Rows of the export that are read at once.
_AT_ONCE = 500
_CURSOR = re.compile(r"([0-9T:.+Z-]{20,40})_(\d{1,18})", re.ASCII)


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
            except (OSError, sqlite3.Error) as error:
                log.warning("no history in %s (%s); set FLARE_STATE_DIR", self._path, error)
                self.rows = 0

    def add(self, source: str, forecasts: Sequence[Prediction]) -> None:
        """Hand forecasts to the thread that writes."""
        if not self.rows:
            return
        made = {"time": sortable(now()), "source": source}
        new = [
            {**one.model_dump(mode="json"), **made, "issue_time": sortable(one.issue_time)}
            for one in forecasts
        ]
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
        newest = _NEWEST if before is None else min(before, _NEWEST)
        rows = self._read("id < ?", newest, order="id DESC", limit=limit + 1)
        more = rows[limit - 1]["id"] if len(rows) > limit else None
        forecasts = [PastForecast(**row) for row in rows[:limit]]
        return Page(kept=self.rows, forecasts=forecasts, next=more)

    def of_version(self, name: str, version: str, limit: int) -> list[Row]:
        """Return the newest forecasts of one model version."""
        where = "model_name = ? AND model_version = ?"
        return self._read(where, name, version, order="id DESC", limit=limit)

    def export(
        self, *, limit: int = 0, since: datetime | None = None, after: str = ""
    ) -> tuple[Iterator[str], str | None]:
        """Return the lines of a CSV by issue time, and the cursor of the next page, if any.

        ``after`` is the cursor of the page before. Without a ``limit``, 0, all of them are given.

        Raises InputInvalid: the cursor is none.
        """
        place = ("" if since is None else sortable(since), 0)
        if after:
            parts = _CURSOR.fullmatch(after)
            if parts is None:
                raise InputInvalid(
                    f"after={after[:80]!r} is not a cursor; take it from the header Link"
                )
            place = (parts[1], int(parts[2]))
        if not limit:
            return self._all(place), None
        rows = self._from(place, limit + 1)
        more = rows[limit - 1] if len(rows) > limit else None
        cursor = None if more is None else "{issue_time}_{id}".format(**more)
        return csv_lines(rows[:limit], header=True), cursor

    def _all(self, place: tuple[str, int]) -> Iterator[str]:
        yield from csv_lines((), header=True)
        while rows := self._from(place, _AT_ONCE):
            yield from csv_lines(rows, header=False)
            place = (rows[-1]["issue_time"], rows[-1]["id"])

    def _from(self, place: tuple[str, int], limit: int) -> list[Row]:
        where = "issue_time >= ? AND (issue_time, id) > (?, ?)"  # the first part finds its index
        return self._read(where, place[0], *place, order="issue_time, id", limit=limit)

    def close(self) -> None:
        """Write the forecasts that wait."""
        self._writer.shutdown(wait=True)

    def _read(self, where: str, *values: object, order: str, limit: int) -> list[Row]:
        """Return rows; an unreadable file has none, and the log says why."""
        if not self.rows:
            return []
        rest = f"WHERE {where} AND {_KEPT} ORDER BY {order} LIMIT ?"
        try:
            with closing(self._open()) as file:
                return select(file, rest, (*values, self.rows, limit))
        except sqlite3.Error as error:  # the file was removed or damaged meanwhile
            log.warning("the history in %s cannot be read: %s", self._path, error)
            return []

    def _open(self) -> sqlite3.Connection:
        """Connect for one use, so that a file that was removed is made anew."""
        file = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
        file.execute("PRAGMA synchronous = NORMAL")  # as safe in WAL mode, short of a power cut
        prepare(file)
        return file

    def _write(self) -> None:
        with self._lock:
            rows, self._waiting = self._waiting, []
        try:
            with closing(self._open()) as file, file:
                insert(file, rows)
                file.execute(_TRIM, (self.rows,))
        except Exception as error:  # any: nobody reads the result of this thread
            log.warning("%d forecasts are not in the history: %s", len(rows), error)
