"""Features that carry time, id or label: by what they are called, and by what they hold."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from flare.datasets.audit.checks import AuditFinding, Verdict, met, skipped
from flare.datasets.audit.timestamps import timestamp_columns

#: Rank correlation from which a column counts as a function of time. Brightness that fades as much
#: as 304 Å did stays below it by the scatter of the regions, a column of years (0.99) does not.
RANK_LIMIT = 0.98

#: Of the label a good feature may know much; only a copy of it knows everything.
LABEL_LIMIT = 0.9999

#: Below, an order by chance is too likely.
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
    """Screen the names of columns for words of time, id and label.

    Position on the disk is not screened for: it is physics, although with the date it tells which
    region is meant.
    """
    bad = [name for name in names if named_after_time_or_id(name)]
    return met("feature_names", place, Verdict.INVALID, bad, count=len(bad), total=len(names))


def named_after_time_or_id(name: str) -> bool:
    """Say whether a part of a name, such as ``start`` of ``hoursSinceStart``, is such a word."""
    parts = [part.lower() for part in _PART.findall(name)]
    return not _WORDS.isdisjoint(parts) or any(
        f"_{phrase}_" in f"_{'_'.join(parts)}_" for phrase in _PHRASES
    )


def feature_values(
    features: NDArray[np.float64], names: Sequence[str], table: pd.DataFrame, *, place: str
) -> AuditFinding:
    """Look for columns in the order of time, region or label, or with one value per region.

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
    found = [one for one in columns if one.carries]
    clean = max((one for one in columns if not one.carries), key=_strength, default=None)
    nearest = f"; the nearest to it: {clean.told}" if clean is not None else ""
    return met(
        "feature_values",
        place,
        Verdict.INVALID,
        (one.told for one in found),
        count=len(found),
        total=len(names),
        note=f"looked for in {len(table)} samples{nearest}",
        figures={"largest_clean_correlation": _strength(clean)} if clean is not None else None,
    )


@dataclass(frozen=True)
class _Column:
    """``carries`` says what a column gives away, empty where nothing; ``key`` is the nearest."""

    name: str
    key: str
    correlation: float
    carries: str

    @property
    def told(self) -> str:
        return f"{self.name}: {self.carries or _correlated(self.correlation, self.key)}"


def _strength(column: _Column) -> float:
    return abs(column.correlation)


def _correlated(correlation: float, key: str) -> str:
    return f"rank correlation {correlation:+.3f} with {key}"


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
        key = max(ranked, key=lambda one: abs(ranked[one]))
        of_label = rank_correlation(values, label[known])
        carries = ""
        if abs(of_label) >= LABEL_LIMIT:
            carries = _correlated(of_label, "the label")
        elif abs(ranked[key]) > RANK_LIMIT:
            carries = _correlated(ranked[key], key)
        elif _is_code(values, regions[known]):
            carries = "one value for each active region, and none twice"
        yield _Column(name, key, ranked[key], carries)


def _keys(table: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Return what a column may carry of time and id, by name."""
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
    """Say whether each region has one value of its own: a number of the region in any order."""
    n_regions = len(np.unique(regions))
    n_pairs = len(np.unique(np.column_stack([column, regions]), axis=0))
    return _MIN_REGIONS <= n_regions < len(column) and (
        len(np.unique(column)) == n_regions == n_pairs
    )
