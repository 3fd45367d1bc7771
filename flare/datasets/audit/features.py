"""Check features for time, id or label: by the names of the columns, and by their values."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from flare.datasets.audit.checks import AuditFinding, audit_finding, skipped
from flare.datasets.audit.tables import timestamp_columns
from flare.errors import ConfigInvalid

#: Rank correlation above which a column counts as a function of time. Brightness that fades as
#: much as that of 304 Å stays below it by the scatter of the regions; a column of years has 0.99.
RANK_LIMIT = 0.98

#: A good feature correlates strongly with the label, but only a copy of it reaches this.
LABEL_LIMIT = 0.9999

#: With fewer samples an order by chance is too likely.
MIN_SAMPLES = 12
_MIN_REGIONS = 5

_TIME_OR_ID = (
    "id ids uid uuid start begin end stop time times timestamp timestamps date datetime year month "
    "week day doy hour minute minutes second seconds epoch jd mjd noaa region ar arnum harp "
    "harpnum row file filename path folder split fold label labels target"
)
_WORDS = frozenset(_TIME_OR_ID.split())
_PHRASES = ("peak_flux", "t_rec", "window_index")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


def feature_names(names: Sequence[str], *, place: str) -> AuditFinding:
    """Check the names of columns for words of time, id and label.

    Position on the disk is allowed: it is physics, although with the date it identifies a region.
    """
    bad = [name for name in names if named_after_time_or_id(name)]
    return audit_finding("feature_names", place, bad, total=len(names))


def named_after_time_or_id(name: str) -> bool:
    """Return True if a name contains a word for time or an id, as ``hoursSinceStart`` does."""
    parts = [part.lower() for part in _PART.findall(name)]
    return not _WORDS.isdisjoint(parts) or any(
        f"_{phrase}_" in f"_{'_'.join(parts)}_" for phrase in _PHRASES
    )


def feature_values(
    features: NDArray[np.float64], names: Sequence[str], table: pd.DataFrame, *, place: str
) -> AuditFinding:
    """Check for columns in the order of time, region or label, or with one value per region.

    Parameters
    ----------
    features
        (N, F); NaN where a sample has none.
    names
        F names of the columns.
    table
        The samples of the rows, with the columns of `read_table`.
    """
    if len(table) < MIN_SAMPLES:
        return skipped("feature_values", place, f"fewer than {MIN_SAMPLES} samples")
    columns = list(_columns(features, names, table))
    leaking = [one for one in columns if one.leak]
    note, figures = f"in {len(table)} samples", {}
    if clean := [one for one in columns if not one.leak]:
        nearest = max(clean, key=lambda one: abs(one.correlation))
        note += f"; the largest of the others: {nearest.text}"
        figures["largest_clean_correlation"] = abs(nearest.correlation)
    texts = (one.text for one in leaking)
    return audit_finding(
        "feature_values", place, texts, total=len(names), note=note, figures=figures
    )


@dataclass(frozen=True)
class _Column:
    """The largest rank correlation of a column, and what the column reveals, if anything."""

    correlation: float
    text: str
    leak: bool


def _columns(
    features: NDArray[np.float64], names: Sequence[str], table: pd.DataFrame
) -> Iterator[_Column]:
    """Yield the columns that have enough values."""
    keys = _keys(table)
    regions = table["active_region"].to_numpy()
    label = table["peak_flux"].to_numpy(dtype=np.float64)
    for name, column in zip(names, features.T, strict=True):
        known = np.isfinite(column)
        if known.sum() < MIN_SAMPLES:
            continue
        values = column[known]
        ranked = {key: rank_correlation(values, of[known]) for key, of in keys.items()}
        key, largest = max(ranked.items(), key=lambda one: abs(one[1]))
        of_label = rank_correlation(values, label[known])
        text, leak = f"rank correlation {largest:+.3f} with {key}", abs(largest) > RANK_LIMIT
        if abs(of_label) >= LABEL_LIMIT:
            text, leak = f"rank correlation {of_label:+.3f} with the label", True
        elif not leak and _is_code(values, regions[known]):
            text, leak = "one value for each active region, and none twice", True
        yield _Column(largest, f"{name}: {text}", leak)


def _keys(table: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Return what a column may reveal of time and id, by name."""
    stamps = timestamp_columns(table)
    keys = {
        "time": table["start"].astype("int64"),
        "the region's number": table["active_region"],
        "the row's number": pd.Series(np.arange(len(table))),
        "the sample's index": stamps["window_index"],
        "the id's seconds": stamps["id_seconds"],
        "the fraction of start": stamps["fraction"],
    }
    for name, column, period in (("hour", "hour_of_day", 24), ("day of year", "day_of_year", 366)):
        keys |= {
            f"the {name}": stamps[column],
            f"the {name}'s sine": np.sin(2 * np.pi * stamps[column] / period),
            f"the {name}'s cosine": np.cos(2 * np.pi * stamps[column] / period),
        }
    return {name: key.to_numpy(dtype=np.float64) for name, key in keys.items()}


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation, ties by their mean rank; 0 where one is constant."""
    first, second = rankdata(one), rankdata(other)
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / norm if norm else 0.0


def _is_code(column: NDArray[np.float64], regions: NDArray[np.int64]) -> bool:
    """Return True if each region has one value of its own, so that the column is a region id."""
    n_regions = len(np.unique(regions))
    n_pairs = len(np.unique(np.column_stack([column, regions]), axis=0))
    return _MIN_REGIONS <= n_regions < len(column) and (
        len(np.unique(column)) == n_regions == n_pairs
    )


def read_feature_file(
    path: Path, tables: Sequence[pd.DataFrame]
) -> tuple[NDArray[np.float64], list[str], pd.DataFrame]:
    """Read a user's table of features and match its samples.

    Text that is not a number is replaced by its alphabetical order, so that a date as text still
    is a time.

    ``path`` is a CSV with a header, the column ``id`` in it.

    Returns
    -------
    Features (N, F) with NaN where a cell is empty, their F names, and the samples' N rows of the
    tables.

    Raises
    ------
    ConfigInvalid
        There is no such file, it has no ids or nothing else, or a sample is unknown or occurs
        twice.
    """
    rows = _read(path)
    samples = pd.concat(tables, ignore_index=True).drop_duplicates("id").set_index("id", drop=False)
    for bad, why in (
        (~rows["id"].isin(samples.index), "is not a sample of the dataset"),
        (rows["id"].duplicated(), "occurs twice"),
    ):
        if bad.any():
            raise ConfigInvalid(
                f"features_csv={path}: id {rows['id'][bad].iloc[0]!r} {why}; "
                "write one row per sample, with the ids of meta_data.csv"
            )
    names = [str(name) for name in rows.columns if name != "id"]
    features = np.column_stack([_numbers(rows[name]) for name in names])
    return features, names, samples.loc[rows["id"]].reset_index(drop=True)


def _read(path: Path) -> pd.DataFrame:
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' ParserError and UnicodeDecodeError among them
        reason = str(error).strip().splitlines()[-1]
        raise ConfigInvalid(f"features_csv={path} cannot be read as CSV: {reason}") from error
    if "id" not in rows.columns or len(rows.columns) < 2 or rows.empty:
        raise ConfigInvalid(
            f"features_csv={path} has no column id, no other column, or no rows; its first line "
            "names the columns, and id has the ids of meta_data.csv"
        )
    return rows


def _numbers(column: "pd.Series[str]") -> NDArray[np.float64]:
    """Turn text into numbers, or into ranks in alphabetical order if not all of it is numeric."""
    text = column.where(column.str.strip() != "")
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    known = text.notna().to_numpy()
    if np.isnan(numbers[known]).any() and not (text[known].str.lower() == "nan").any():
        codes = pd.Categorical(text).codes.astype(np.float64)
        numbers = np.where(known, codes, np.nan)
    return numbers
