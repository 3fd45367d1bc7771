"""Somebody's own table of features, as CSV: a column ``id``, and columns of anything."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.errors import ConfigInvalid


def read_feature_file(
    path: Path, tables: Sequence[pd.DataFrame]
) -> tuple[NDArray[np.float64], list[str], pd.DataFrame]:
    """Read a table of features and find its samples.

    Text that is no number is taken by its order, so that a date as text is a time all the same.

    Parameters
    ----------
    path
        CSV with a header, the column ``id`` in it.
    tables
        Those of the dataset's splits.

    Returns
    -------
    Features (N, F) with NaN where a cell is empty, their F names, and the samples' N rows of the
    tables.

    Raises
    ------
    ConfigInvalid
        There is no such file, it has no ids or nothing else, or a sample is unknown or there twice.
    """
    rows = _read(path)
    samples = pd.concat(tables, ignore_index=True).drop_duplicates("id").set_index("id", drop=False)
    for bad, why in (
        (~rows["id"].isin(samples.index), "is no sample of the dataset"),
        (rows["id"].duplicated(), "is there twice"),
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
    """Turn text into numbers, or into places in its alphabetical order if not all of it can."""
    text = column.where(column.str.strip() != "")
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    known = text.notna().to_numpy()
    if np.isnan(numbers[known]).any() and not (text[known].str.lower() == "nan").any():
        codes = pd.Categorical(text).codes.astype(np.float64)
        numbers = np.where(known, codes, np.nan)
    return numbers
