"""The text of a table of labels: where its header is, if it has one, and which cells are which.

Copies of SDOBenchmark differ in this: some have no header, some more columns, some went through a
spreadsheet. Whether the cells make sense is for ``sdobenchmark.read_table`` to say.
"""

import re
from pathlib import Path

import pandas as pd

from flare.errors import DatasetInvalid

COLUMNS = ("id", "start", "end", "peak_flux")

#: Region, when the range of samples begins with the sample's number in it, that number alone.
ID_PATTERN = r"(\d{1,9})_(\d{4}(?:_\d\d){5}_(\d{1,9}))"


def read_rows(path: Path) -> pd.DataFrame:
    """Read the four columns as text, whether or not the first line names them."""
    try:
        rows = pd.read_csv(
            path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except pd.errors.EmptyDataError:
        rows = pd.DataFrame()
    except (ValueError, OSError) as error:  # pandas' ParserError and UnicodeDecodeError among them
        reason = str(error).strip().splitlines()[-1]
        raise DatasetInvalid(f"{path} is no table of comma-separated text: {reason}") from error
    rows = rows.fillna("").apply(lambda column: column.str.strip())
    rows = rows[rows.ne("").any(axis="columns")]  # spreadsheets end their tables with lines of ,,,
    if len(rows) and _is_header(rows.iloc[0]):
        rows = rows.iloc[1:].set_axis(rows.iloc[0].to_list(), axis="columns")
    elif len(rows):
        rows = _named_by_place(rows)
    missing = [column for column in COLUMNS if list(rows.columns).count(column) != 1]
    if len(rows.columns) and missing:
        raise DatasetInvalid(
            f"{path} has no single column {', '.join(missing)}; "
            f"its first line must be {','.join(COLUMNS)}, or its rows those four values"
        )
    if rows.empty:
        raise DatasetInvalid(f"{path} has no rows; download the dataset again or synthesize one")
    return pd.DataFrame(rows[list(COLUMNS)]).reset_index(drop=True)


def has_header(path: Path) -> bool:
    """Say whether the first line of a table, of those that `read_table` accepts, names columns."""
    first = pd.read_csv(
        path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig", nrows=1
    )
    return _is_header(first.iloc[0].str.strip())


def _is_header(first: "pd.Series[str]") -> bool:
    return not set(COLUMNS).isdisjoint(first)


def _named_by_place(rows: pd.DataFrame) -> pd.DataFrame:
    """Name the columns of a table without a header: an id and what follows it.

    Where no cell of the first row looks like an id, four columns are taken as they come, so that
    the complaint is about the id.
    """
    width = len(COLUMNS)
    ids = [k for k, cell in enumerate(rows.iloc[0]) if re.fullmatch(ID_PATTERN, cell)]
    first = ids[0] if ids else 0
    if len(rows.columns) - first < width or not (ids or len(rows.columns) == width):
        return rows
    return rows.iloc[:, first : first + width].set_axis(list(COLUMNS), axis="columns")
