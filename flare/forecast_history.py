"""The history of a server's forecasts: a table in SQLite, and the same as CSV.

In the bottom row because the server writes it and ``verify`` reads it.
"""

import csv
import io
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from flare.forecast_facts import images_text, utc_text
from flare.goes import EVENTS, HEADLINE_EVENT
from flare.sample import CHANNELS

HISTORY_FILE = "history.sqlite"

#: Columns of the first schema, which every history has.
_FIRST = (
    "time", "source", "model_name", "model_version", "peak_flux_w_m2", "flux_low_w_m2",
    "flux_high_w_m2", "goes_class", "mx_probability", "alert", "missing_images", "synthetic",
)  # fmt: skip
#: Columns that were added later, NULL in older rows; those of the second line are JSON.
_PLAIN = (
    "forecast_id", "issue_time", "valid_from", "valid_to", "active_region", "input_digest",
    "status",
)  # fmt: skip
_JSON = ("probabilities", "missing", "reasons", "brightness")
COLUMNS = (*_FIRST, *_PLAIN, *_JSON)

_TABLE = f"""
CREATE TABLE IF NOT EXISTS forecasts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, {", ".join(f"{name} NOT NULL" for name in _FIRST)},
    {", ".join((*_PLAIN, *_JSON))}
)"""
_INSERT = f"INSERT INTO forecasts ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"

#: So that a page of the export does not sort the whole table.
_INDEX = "CREATE INDEX IF NOT EXISTS by_issue_time ON forecasts (coalesce(issue_time, time), id)"

#: Rows of the first schema have an id that is made of their number, and were issued when made.
_MADE_UP = {
    "forecast_id": "coalesce(forecast_id, 'row-' || id)",
    "issue_time": "coalesce(issue_time, time)",
}

CSV_COLUMNS = (
    "forecast_id", "issue_time", "valid_from", "valid_to", "active_region", "model_name",
    "model_version", *(f"probability_{event}" for event in EVENTS), "peak_flux_w_m2",
    "flux_low_w_m2", "flux_high_w_m2", "goes_class", "alert", "status", "reasons",
    "missing_images", "missing", "input_digest", *(f"brightness_{name}" for name in CHANNELS),
    "synthetic", "source", "time",
)  # fmt: skip

Row = dict[str, Any]


def prepare(file: sqlite3.Connection) -> None:
    """Make the table, or add to an older one what it lacks.

    Raises sqlite3.Error: the table is another one, or cannot be written.
    """
    file.execute(_TABLE)
    if _lacking(file):
        with file:
            file.execute("BEGIN IMMEDIATE")  # another process may be adding them
            for name in _lacking(file):
                file.execute(f"ALTER TABLE forecasts ADD COLUMN {name}")
    file.execute(_INDEX)


def _lacking(file: sqlite3.Connection) -> list[str]:
    there = {row[1] for row in file.execute("PRAGMA table_info(forecasts)")}
    if not there >= {"id", *_FIRST}:
        raise sqlite3.DatabaseError("it has no table of forecasts of this project")
    return [name for name in COLUMNS if name not in there]


def insert(file: sqlite3.Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows, each with all ``COLUMNS``."""
    texts = [[_stored(name, row[name]) for name in COLUMNS] for row in rows]
    file.executemany(_INSERT, texts)


def _stored(name: str, value: Any) -> Any:
    return json.dumps(value) if name in _JSON else value


def select(file: sqlite3.Connection, rest: str, values: Iterable[object] = ()) -> list[Row]:
    """Return rows with their ``id`` and all ``COLUMNS``, None where an old row has nothing.

    ``rest`` is what follows ``FROM``: ``issue_time`` and ``id`` in it are those of the rows.
    """
    lacking = _lacking(file)
    stored = [f"NULL AS {name}" if name in lacking else name for name in COLUMNS]
    shown = [f"{_MADE_UP.get(name, name)} AS {name}" for name in COLUMNS]
    inner = f"SELECT id, {', '.join(stored)} FROM forecasts"
    query = f"SELECT * FROM (SELECT id, {', '.join(shown)} FROM ({inner})) {rest}"
    names = ("id", *COLUMNS)
    return [_row(dict(zip(names, one, strict=True))) for one in file.execute(query, tuple(values))]


def _row(row: Row) -> Row:
    return row | {name: None if row[name] is None else json.loads(row[name]) for name in _JSON}


def read_history(path: Path) -> list[Row]:
    """Return all rows of a history as flat rows, by issue time, without changing the file.

    Raises sqlite3.Error: it is not a history, or cannot be read.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
        return [flat(row) for row in select(file, "ORDER BY issue_time, id")]


def flat(row: Mapping[str, Any]) -> Row:
    """Return a row with the ``CSV_COLUMNS``."""
    chances = row["probabilities"] or {HEADLINE_EVENT: row["mx_probability"]}
    brightness = row["brightness"] or {}
    missing = row["missing"] or ()
    return {
        **{name: row[name] for name in CSV_COLUMNS if name in row},
        **{f"probability_{event}": chances.get(event) for event in EVENTS},
        **{f"brightness_{name}": brightness.get(name) for name in CHANNELS},
        **{name: utc_text(datetime.fromisoformat(row[name])) for name in ("issue_time", "time")},
        "alert": bool(row["alert"]),
        "synthetic": bool(row["synthetic"]),
        "reasons": "; ".join(row["reasons"] or ()),
        "missing": images_text(missing),
    }


def csv_lines(rows: Iterable[Mapping[str, Any]], *, header: bool) -> Iterator[str]:
    """Yield the header and the rows as lines of CSV."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    for row in rows:
        writer.writerow(flat(row))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    if buffer.getvalue():
        yield buffer.getvalue()
