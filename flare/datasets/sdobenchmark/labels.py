"""Find and read the table of labels of a split of SDOBenchmark.

Layout (i4Ds/SDOBenchmark, STRUCTURE.md): ``{split}/meta_data.csv`` with ``id,start,end,peak_flux``,
and ``{split}/<region>/<rest of the id>/<time>__<channel>.jpg``. The time inside an id is where a
range of samples begins, not the sample: only ``start`` of the table says when a window opens.

Copies differ: some tables have no header, some more columns, some went through a spreadsheet. A
damaged table stops everything, because a label cannot be guessed.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from flare.errors import ConfigInvalid, DatasetInvalid, DatasetNotFound

SPLITS = ("training", "test")

COLUMNS = ("id", "start", "end", "peak_flux")

#: Region, when the range of samples begins with the sample's number in it, that number alone.
ID_PATTERN = r"(\d{1,9})_(\d{4}(?:_\d\d){5}_(\d{1,9}))"

#: Where copies of the dataset keep a split's table, the original place first.
_TABLE_PLACES = {
    "training": ("training/meta_data.csv", "training/train.csv", "training.csv", "train.csv"),
    "test": ("test/meta_data.csv", "test/test.csv", "test.csv"),
}
#: Those of them that lie next to the folders of the splits.
ROOT_TABLES = frozenset(
    place for places in _TABLE_PLACES.values() for place in places if "/" not in place
)
#: Times at which SDO can have observed; a label in another unit is far above any flare.
_SDO_TIMES = (pd.Timestamp("2010-01-01", tz="UTC"), pd.Timestamp("2100-01-01", tz="UTC"))
_LARGEST_FLUX = 0.1


@dataclass(frozen=True)
class DatasetIdentity:
    """Name and origin of a dataset: real or synthetic, and the ``seed`` that made it.

    Sets of the same seed share regions; None where it is unknown.
    """

    name: str
    synthetic: bool
    seed: int | None = None


def dataset_identity(data_dir: Path) -> DatasetIdentity:
    """Read ``dataset.json``; without this file the name is that of the folder."""
    path = data_dir / "dataset.json"
    if not path.is_file():
        return DatasetIdentity(data_dir.resolve().name, synthetic=False)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        synthetic, seed = bool(content["synthetic"]), content.get("seed")
        known = int(seed) if synthetic and seed is not None else None
        return DatasetIdentity(str(content["name"]), synthetic=synthetic, seed=known)
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetInvalid(
            f"{path} is not a JSON object with name and synthetic; make the dataset again "
            "with `mlflow run . -e synthesize`, or delete the file if its images are real"
        ) from error


def identity_above(folder: Path) -> DatasetIdentity | None:
    """Return the identity of the dataset that a folder of one sample or region lies in.

    None if neither it nor the three folders above hold ``dataset.json`` or a split's table: it is
    then unknown whether its images are real.
    """
    for place in (folder, *folder.resolve().parents[:3]):
        has_table = any(tables_on_disk(place, split) for split in SPLITS)
        if has_table or (place / "dataset.json").is_file():
            return dataset_identity(place)
    return None


def find_table(data_dir: Path, split: str) -> Path:
    """Return the path of a split's table.

    Raises DatasetNotFound: there is none in any of the places where copies of the dataset keep it.
    """
    if split not in _TABLE_PLACES:
        raise ConfigInvalid(f"{split!r} is not a split; the splits are {', '.join(SPLITS)}")
    for path in tables_on_disk(data_dir, split):
        return path
    raise DatasetNotFound(
        f"no {_TABLE_PLACES[split][0]} in {data_dir}; "
        f"pass -P data_dir={_dataset_inside(data_dir)} or run `mlflow run . -e synthesize`"
    )


def tables_on_disk(data_dir: Path, split: str) -> list[Path]:
    """Return the existing tables of a split; the first one is read."""
    places = [data_dir / place for place in _TABLE_PLACES[split]]
    return [path for path in places if path.is_file()]


def available_splits(data_dir: Path) -> tuple[str, ...]:
    """Return the splits that have a table, in the order of ``SPLITS``.

    Raises DatasetNotFound: no split has one.
    """
    splits = tuple(split for split in SPLITS if tables_on_disk(data_dir, split))
    if not splits:
        find_table(data_dir, SPLITS[0])  # raises, and says where it looked
    return splits


def _dataset_inside(data_dir: Path) -> str:
    """Return a dataset inside a folder, as unpacked archives have one, or three dots."""
    inside = sorted(data_dir.iterdir()) if data_dir.is_dir() else []
    for folder in inside:
        hidden = folder.name.startswith(".")  # incomplete, or a trash folder
        if not hidden and any(tables_on_disk(folder, split) for split in SPLITS):
            return str(folder)
    return "..."


def read_table(data_dir: Path, split: str) -> pd.DataFrame:
    """Read and check the labels of a split, ``training`` or ``test``.

    Returns
    -------
    One row per sample in the file's order, with the columns ``id``, ``active_region`` (NOAA
    number), ``start`` and ``end`` of the input window (datetime64, UTC without a zone),
    ``peak_flux`` (W m^-2), ``window_index`` (number of the sample within its range: the window of
    those above 0 may include the flare) and ``folder`` (Path of its images, which need
    not exist).

    Raises
    ------
    DatasetNotFound
        The folder or the table is not there.
    DatasetInvalid
        A column is missing, an id occurs twice or has another form, a time or label is unusable.
    """
    path = find_table(data_dir, split)
    rows = _read_rows(path)
    parts = rows["id"].str.extract(rf"^{ID_PATTERN}$")
    _refuse(path, rows, parts[0].isna(), "id", "write <region>_<YYYY_MM_DD_HH_MM_SS>_<number>")
    _refuse(path, rows, rows["id"].duplicated(), "id", "it occurs twice; keep one row")
    table = pd.DataFrame({"id": rows["id"], "active_region": parts[0].astype("int64")})
    for column in ("start", "end"):
        times = pd.to_datetime(rows[column], format="ISO8601", errors="coerce", utc=True)
        times = times.where(times.between(*_SDO_TIMES))
        _refuse(path, rows, times.isna(), column, "write a time as 2012-01-15 12:00:00")
        table[column] = times.dt.tz_localize(None).astype("datetime64[ns]")
    _refuse(path, rows, table["end"] <= table["start"], "end", "it must come after start")
    flux = pd.to_numeric(rows["peak_flux"], errors="coerce").astype("float64")
    unusable = ~(flux.gt(0) & flux.lt(_LARGEST_FLUX))  # NaN compares false
    _refuse(path, rows, unusable, "peak_flux", "write W m^-2, 1e-9 where nothing flared")
    table["peak_flux"] = flux
    table["window_index"] = parts[2].astype("int64")
    folders = [data_dir / split / part[0] / part[1] for part in parts.itertuples(index=False)]
    table["folder"] = pd.Series(folders, dtype="object")
    return table


def region_of_id(sample_id: str) -> int | None:
    """Return the NOAA number at the beginning of a sample's id, or None."""
    match = re.fullmatch(ID_PATTERN, sample_id)
    return int(match[1]) if match else None


def _refuse(path: Path, rows: pd.DataFrame, bad: "pd.Series[bool]", column: str, hint: str) -> None:
    """Raise DatasetInvalid for the first bad row, named by its id."""
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DatasetInvalid(
            f"{path}, sample {rows['id'][row] or f'in row {row + 1}'}: "
            f"{column} is {rows[column][row]!r}; {hint}"
        )


def _read_rows(path: Path) -> pd.DataFrame:
    """Read the four columns as text; a header line is optional."""
    try:
        rows = pd.read_csv(
            path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except pd.errors.EmptyDataError:
        rows = pd.DataFrame()
    except (ValueError, OSError) as error:  # pandas' ParserError and UnicodeDecodeError among them
        reason = str(error).strip().splitlines()[-1]
        raise DatasetInvalid(f"{path} is not a table of comma-separated text: {reason}") from error
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
    """Return True if a table that `read_table` accepts has a header line."""
    first = pd.read_csv(
        path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig", nrows=1
    )
    return _is_header(first.iloc[0].str.strip())


def _is_header(first: "pd.Series[str]") -> bool:
    return not set(COLUMNS).isdisjoint(first)


def _named_by_place(rows: pd.DataFrame) -> pd.DataFrame:
    """Name the columns of a table without a header: an id and what follows it.

    If no cell of the first row is an id, four columns are used in their order, so that the error
    is about the id.
    """
    width = len(COLUMNS)
    ids = [k for k, cell in enumerate(rows.iloc[0]) if re.fullmatch(ID_PATTERN, cell)]
    first = ids[0] if ids else 0
    if len(rows.columns) - first < width or not (ids or len(rows.columns) == width):
        return rows
    return rows.iloc[:, first : first + width].set_axis(list(COLUMNS), axis="columns")
