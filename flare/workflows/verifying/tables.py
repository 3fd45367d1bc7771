"""Tables from files, as texts, and the times and numbers in them."""

import json
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.errors import InputInvalid
from flare.forecast_history import CSV_COLUMNS, read_history

Times = NDArray[np.datetime64]

#: Formats of times besides ISO 8601, in the order in which they are tried.
_FORMATS = (
    "ISO8601", "%Y.%m.%d", "%Y %m %d %H %M", "%Y %m %d %H%M", "%Y%m%d %H%M", "%Y%m%d%H%M",
    "%Y-%m-%d %H%M",
)  # fmt: skip
_ZONE = re.compile(r"(Z|UTC|\d\d:\d\d\S*[+-]\d\d(:?\d\d)?)$")
_READABLE = (".csv", ".parquet", ".json", ".jsonl", ".txt", ".sqlite")

#: Texts of an empty cell.
_EMPTY = ("", "NA", "NaN", "nan", "null", "None")


def read_table(path: Path) -> pd.DataFrame:
    """Read a table as texts, an empty cell as an empty text.

    A ``.txt`` has columns separated by spaces and no header: they are named 1, 2, 3 and so on.

    Raises InputInvalid: there is no such file, it is not a table of a known kind, or has no rows.
    """
    if path.suffix not in _READABLE:
        raise InputInvalid(f"{path} is not a table that can be read: {', '.join(_READABLE)}")
    if not path.is_file():
        raise InputInvalid(f"no file {path}")
    try:
        table = _parsed(path)
    except (ValueError, KeyError, TypeError, AttributeError, sqlite3.Error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputInvalid(f"{path} cannot be read as {path.suffix}: {reason}") from error
    if table.empty:
        raise InputInvalid(f"{path} has no rows")
    table.columns = [str(name).strip() for name in table.columns]
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise InputInvalid(f"{path} has two columns {twice[0]}")
    return pd.DataFrame({name: _texts(table[name]) for name in table.columns})


def _parsed(path: Path) -> pd.DataFrame:
    if path.suffix == ".sqlite":
        return pd.DataFrame(read_history(path), columns=list(CSV_COLUMNS), dtype=object)
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    if path.suffix == ".txt":
        table = pd.read_csv(path, dtype=str, keep_default_na=False, sep=r"\s+", header=None)
        return table.rename(columns=lambda place: str(place + 1))
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return pd.json_normalize([json.loads(line) for line in text.splitlines() if line.strip()])
    rows = json.loads(text)
    # `GET /history` answers with an object that holds the rows.
    return pd.json_normalize(rows["forecasts"] if isinstance(rows, dict) else rows)


def _texts(column: Any) -> "pd.Series[str]":
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC")
    texts = column.astype(object).map(lambda v: "" if pd.isna(v) else str(v).strip())
    result: pd.Series[str] = texts.mask(texts.isin(_EMPTY), "")
    return result


def column_of(table: pd.DataFrame, column: str, path: Path) -> "pd.Series[str]":
    """Return a column; several joined by ``+`` are joined by spaces.

    Raises InputInvalid: there is no such column.
    """
    return _joined(_columns_of(table, column, path))


def _columns_of(table: pd.DataFrame, column: str, path: Path) -> pd.DataFrame:
    if column in table:
        return table[[column]]
    parts = [part.strip() for part in column.split("+")]
    if any(part not in table for part in parts):
        shown = ", ".join(list(table.columns)[:12])
        raise InputInvalid(f"{path} has no column {column!r}; it has {shown}")
    return table[parts]


def _joined(parts: pd.DataFrame) -> "pd.Series[str]":
    first = parts.iloc[:, 0]
    return first.str.cat(parts.iloc[:, 1:], sep=" ") if parts.shape[1] > 1 else first


def times_of(table: pd.DataFrame, column: str, path: Path, *, time_zone: str) -> Times:
    """Return the times of a column in UTC as datetime64[ns], (N,).

    Raises InputInvalid: a time cannot be read, or has no zone where ``time_zone`` is empty.
    """
    parts = _columns_of(table, column, path)
    if parts.shape[1] in (2, 4):  # a date, then hours and minutes in one column: 3 is 0003
        last = parts.iloc[:, -1]
        parts = parts.assign(**{str(last.name): last.where(last == "", last.str.zfill(4))})
    texts = _joined(parts)
    without = [text for text in texts if not _ZONE.search(text)]
    if without and not time_zone:
        raise InputInvalid(
            f"{path}, column {column}: the time {without[0]!r} has no zone; write such as "
            "2016-01-01T00:00Z, or pass -P time_zone=UTC if they are UTC"
        )
    cleaned = texts.str.replace(r"\s*UTC$", "Z", regex=True)
    best = pd.Series(pd.NaT, index=texts.index)
    for form in _FORMATS:
        read = pd.to_datetime(cleaned, format=form, errors="coerce", utc=True)
        if read.notna().sum() > best.notna().sum():
            best = read
        if best.notna().all():
            return np.asarray(best.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]"))
    row = int(np.flatnonzero(best.isna())[0])
    raise InputInvalid(
        f"{path}, column {column}, row {row + 1}: {texts.iloc[row]!r} is not a time; write such as "
        "2016-01-01T00:00Z"
    )


def numbers_of(texts: "pd.Series[str]", path: Path, column: str) -> NDArray[np.float64]:
    """Return numbers, (N,), NaN in empty cells.

    Raises InputInvalid: a cell is not a number.
    """
    values = pd.to_numeric(texts.where(texts != "", None), errors="coerce")
    bad = np.flatnonzero(values.isna() & (texts != ""))
    if len(bad):
        raise InputInvalid(
            f"{path}, column {column}, row {bad[0] + 1}: {texts.iloc[bad[0]]!r} is not a number"
        )
    return np.asarray(values, dtype=np.float64)


def named(names: Sequence[str]) -> str:
    """Return up to five names as text."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
