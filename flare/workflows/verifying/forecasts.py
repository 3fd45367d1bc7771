"""Forecasts from files as one long table: method, time, region, probabilities, outcomes.

Names of columns: ``time``, ``region``, ``method``, ``p_M1.0`` (probability of a flare of at least
M1.0), ``o_M1.0`` (its outcome, 0 or 1), ``peak_flux``, ``flux_low``, ``flux_high`` and
``observed_flux`` in W m^-2.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.errors import ConfigInvalid, InputInvalid
from flare.goes import flux_of_class
from flare.sample import CHANNELS
from flare.workflows.verifying.recorded import ID, usable_rows
from flare.workflows.verifying.tables import column_of, named, numbers_of, read_table, times_of

#: Names of columns that need no mapping: those of this project, the more exact first.
OWN = {
    "time": ("valid_from", "time", "issue_time"),
    "valid_to": ("valid_to",),
    "region": ("region", "active_region"),
    "method": ("method", "model_name+model_version", "model_name"),
    "peak_flux": ("peak_flux", "peak_flux_w_m2"),
    "flux_low": ("flux_low", "flux_low_w_m2"),
    "flux_high": ("flux_high", "flux_high_w_m2"),
    "observed_flux": ("observed_flux", "observed_peak_flux_w_m2"),
}
_TOLERANCE = 1e-9  # of probabilities, for sums that rounding moved out of 0..1
_EVENT = r"[ABCMX]\d+(?:\.\d+)?"
_PROBABILITY = re.compile(rf"(?:p_|probability_|probabilities\.)({_EVENT})")
_OUTCOME = re.compile(rf"(?:o_|outcome_)({_EVENT})")
_FLUXES = ("peak_flux", "flux_low", "flux_high", "observed_flux")

#: All other columns are methods, each with probabilities of one event.
EVERY_OTHER = "*"

NO_REGION = 0

#: What forecasters write where they have no forecast, as the CCMC scoreboard does.
NO_FORECAST = -1.0


@dataclass(frozen=True)
class ReadOptions:
    """How tables of forecasts are read.

    With ``negative_missing`` every negative number means that there is no forecast, else -1 alone.
    ``hours`` are from the time of a forecast to the end of its window. ``last_counts`` is for
    forecasts of one method for the same time and region: else they are refused.
    """

    columns: Mapping[str, str]
    time_zone: str = ""
    percent: bool = False
    negative_missing: bool = False
    hours: float = 24.0
    last_counts: bool = False


def read_forecasts(
    paths: Sequence[Path], options: ReadOptions, notes: list[str] | None = None
) -> pd.DataFrame:
    """Return forecasts of all files, a row for each method, time and region.

    Columns: ``method``, ``time`` (datetime64[ns], UTC), ``region`` (0 for none), ``p_EVENT`` in
    0..1 or NaN, and what else there is of ``o_EVENT`` and the fluxes. ``synthetic`` says which are
    of synthetic data. Of a history there are the brightness of each channel (``brightness_94``) and
    the number of its missing images (``missing_94``). What is left out is added to ``notes``.

    Raises
    ------
    InputInvalid
        A file cannot be read, or one value of it cannot be right; or a method has two forecasts
        for the same time and region.
    """
    left_out: list[str] = [] if notes is None else notes
    parts = [part for path in paths for part in _read(path, options, left_out)]
    table = pd.concat(parts, ignore_index=True)
    key = ["method", "time", "region"]
    twice = table.duplicated(key)
    if options.last_counts:
        if n := int(twice.sum()):
            left_out.append(f"left out for a later one of the same time: {n} of the forecasts")
        return table[~table.duplicated(key, keep="last")].reset_index(drop=True)
    if twice.any():
        first = table[twice].iloc[0]
        where = f" of region {first.region}" if first.region else ""
        raise InputInvalid(
            f"{int(twice.sum())} duplicated forecasts: {first.method} has two for {first.time}Z"
            f"{where}; leave one of each, or pass -P duplicates=last"
        )
    return table


def _read(path: Path, options: ReadOptions, notes: list[str]) -> list[pd.DataFrame]:
    table = read_table(path)
    if not options.columns and {ID, "valid_from"} <= set(table.columns):
        table, lines = usable_rows(table, path)
        notes += lines
    names = dict(options.columns) or _own_columns(table)
    unknown = [name for name in names if not _known(name)]
    if unknown:
        raise ConfigInvalid(
            f"columns: {unknown[0]} is not one of time, region, method, p_EVENT, o_EVENT, "
            f"{', '.join(_FLUXES)}; write such as p_M1.0"
        )
    probabilities = [name for name in names if name.startswith("p_")]
    if "time" not in names or not probabilities:
        lacking = "time" if "time" not in names else "probability, such as p_M1.0"
        raise InputInvalid(
            f"{path} has no column of the {lacking}; it has {named(list(table.columns))}; name it "
            "with -P columns=time=...,p_M1.0=..."
        )
    wide = [name for name in probabilities if names[name] == EVERY_OTHER]
    if not wide:
        method = column_of(table, names["method"], path) if "method" in names else path.stem
        return [_frame(table, names, method, path, options)]
    used = {part for column in names.values() for part in (column, *column.split("+"))}
    methods = [column for column in table.columns if column not in used]
    if len(probabilities) > 1 or not methods:
        raise ConfigInvalid(f"{path}: columns {wide[0]}=* is for one event, each column a method")
    return [_frame(table, {**names, wide[0]: one}, one, path, options) for one in methods]


def _known(name: str) -> bool:
    kind, _, event = name.partition("_")
    if kind in ("p", "o") and re.fullmatch(_EVENT, event):
        return True
    return name in OWN


def _own_columns(table: pd.DataFrame) -> dict[str, str]:
    """Return the columns that can be recognised by their names."""
    names = {}
    for name, choices in OWN.items():
        there = [one for one in choices if all(part in table for part in one.split("+"))]
        if there:
            names[name] = there[0]
    for column in table.columns:
        for kind, pattern in (("p", _PROBABILITY), ("o", _OUTCOME)):
            if match := pattern.fullmatch(column):
                names[f"{kind}_{match[1]}"] = column
    if "mx_probability" in table:
        names.setdefault("p_M1.0", "mx_probability")
    return names


def _frame(
    table: pd.DataFrame,
    names: Mapping[str, str],
    method: "pd.Series[str] | str",
    path: Path,
    options: ReadOptions,
) -> pd.DataFrame:
    """Return one file's forecasts with checked values."""
    # The project writes UTC, in one kind of table without saying so.
    zone = "UTC" if "mx_probability" in table else options.time_zone
    column = names["time"]
    result = pd.DataFrame(
        {
            "method": method,
            "time": times_of(table, column, path, time_zone=zone),
            "region": _regions(table, names, path),
        }
    )
    if "valid_to" in names:
        _check_windows(result["time"], table, names["valid_to"], path, options, zone)
    for name, column in names.items():
        if name.startswith(("p_", "o_")) or name in _FLUXES:
            values = numbers_of(column_of(table, column, path), path, column)
            if name.startswith("p_"):
                values = _probabilities(values, path, column, options)
            elif name.startswith("o_"):
                _check_outcomes(values, path, column)
            result[name] = values
    if "synthetic" in table:
        result["synthetic"] = table["synthetic"].str.lower() == "true"
    if ID in table:
        result = pd.concat([result, _input_summary(table, path)], axis=1)
    return result


def _check_windows(
    begin: "pd.Series[pd.Timestamp]",
    table: pd.DataFrame,
    column: str,
    path: Path,
    options: ReadOptions,
    zone: str,
) -> None:
    """Raise InputInvalid unless every window ends after its beginning, and they are so long."""
    end = pd.Series(times_of(table, column, path, time_zone=zone))
    hours = (end - begin) / pd.Timedelta(hours=1)
    row = int((hours - options.hours).abs().argmax())
    if (hours <= 0).any():
        row = int((hours <= 0).argmax())
        raise InputInvalid(
            f"{path}, row {row + 1}: {column}, {end[row]}Z, is not after the beginning of the "
            f"window, {begin[row]}Z; correct it"
        )
    if abs(hours[row] - options.hours) > 1e-6:
        raise InputInvalid(
            f"{path}, row {row + 1}: the window ends {hours[row]:g} h after its time, and "
            f"window and latency are {options.hours:g} h; pass -P window={hours[row]:g}h"
        )


def _input_summary(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the brightness by channel, and the number of missing images, where recorded."""
    columns: dict[str, Any] = {}
    for channel in CHANNELS:
        for name in (f"brightness_{channel}", f"brightness.{channel}"):
            if name in table:
                columns[f"brightness_{channel}"] = numbers_of(table[name], path, name)
        if "missing" in table:
            pattern = rf"(?:\d:|'channel': '){channel}\b"
            columns[f"missing_{channel}"] = table["missing"].str.count(pattern)
    return pd.DataFrame(columns, index=table.index)


def _regions(table: pd.DataFrame, names: Mapping[str, str], path: Path) -> NDArray[np.int64]:
    if "region" not in names:
        return np.full(len(table), NO_REGION)
    values = numbers_of(column_of(table, names["region"], path), path, names["region"])
    return np.nan_to_num(values, nan=NO_REGION).astype(np.int64)


def _probabilities(
    values: NDArray[np.float64], path: Path, column: str, options: ReadOptions
) -> NDArray[np.float64]:
    none = values < -_TOLERANCE if options.negative_missing else values == NO_FORECAST
    values = np.where(none, np.nan, values)
    if options.percent:
        values = values / 100
    bad = (values < -_TOLERANCE) | (values > 1 + _TOLERANCE)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        value = values[row] * (100 if options.percent else 1)
        hint = "pass -P units=percent if they are percent" if value > 1 else (
            "pass -P negative=missing if negative numbers mean that there is no forecast"
        )  # fmt: skip
        raise InputInvalid(
            f"{path}, column {column}, row {row + 1}: a probability of {value:g}; {hint}"
        )
    return np.clip(values, 0, 1)


def _check_outcomes(values: NDArray[np.float64], path: Path, column: str) -> None:
    bad = ~np.isin(values, (0, 1))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputInvalid(
            f"{path}, column {column}, row {row + 1}: an outcome is 0 or 1, not {values[row]:g}"
        )


def events_of(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the events with forecasts, from the weakest to the strongest."""
    events = [name.removeprefix("p_") for name in table.columns if name.startswith("p_")]
    return tuple(sorted(events, key=flux_of_class))
