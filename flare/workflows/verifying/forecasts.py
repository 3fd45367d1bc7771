"""Forecasts from files as one long table: method, time, region, probabilities, outcomes.

Names of columns: ``time``, ``region``, ``method``, ``p_M1.0`` (probability of a flare of at least
M1.0), ``o_M1.0`` (its outcome, 0 or 1), ``peak_flux``, ``flux_low``, ``flux_high`` and
``observed_flux`` in W m^-2.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.config.verify import VerifyConfig, column_names, hours
from flare.errors import ConfigInvalid, InputInvalid
from flare.forecasters.training_inputs import ABSTAIN
from flare.goes import flux_of_class
from flare.sample import CHANNELS
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
_FLUXES = ("peak_flux", "flux_low", "flux_high", "observed_flux")
_EVENT = r"[ABCMX]\d+(?:\.\d+)?"
_OF_EVENT = {
    "p": re.compile(rf"(?:p_|probability_|probabilities\.)({_EVENT})"),
    "o": re.compile(rf"(?:o_|outcome_)({_EVENT})"),
}

#: All other columns are methods, each with probabilities of one event.
EVERY_OTHER = "*"

NO_REGION = 0

#: What forecasters write where they have no forecast, as the CCMC scoreboard does.
NO_FORECAST = -1.0
_TOLERANCE = 1e-9  # of probabilities, for sums that rounding moved out of 0..1

#: In a table that this project recorded: the id of a forecast, and the columns of its numbers.
_ID = "forecast_id"
_NUMBERS = ("probability_", "probabilities.", "mx_probability", "peak_flux_w_m2", "flux_")


def read_forecasts(paths: Sequence[Path], config: VerifyConfig) -> tuple[pd.DataFrame, list[str]]:
    """Return the forecasts of all files, and lines that say what was left out.

    There is a row for each method, time and region. Columns are ``method``, ``time``
    (datetime64[ns], UTC), ``region`` (0 for none), ``p_EVENT`` in 0..1 or NaN, and what else there
    is of ``o_EVENT`` and the fluxes. ``synthetic`` says which are of synthetic data. Of a history
    there are the brightness of each channel (``brightness_94``) and the number of its missing
    images (``missing_94``).

    Raises
    ------
    InputInvalid
        A file cannot be read, or one value of it cannot be right; or a method has two forecasts
        for the same time and region.
    """
    notes: list[str] = []
    parts = []
    for path in paths:
        table = read_table(path)
        if not config.columns and {_ID, "valid_from"} <= set(table.columns):
            table, lines = _usable(table, path)
            notes += lines
        parts += _frames(table, path, config)
    table = pd.concat(parts, ignore_index=True)
    key = ["method", "time", "region"]
    twice = table.duplicated(key)
    if config.duplicates == "last":
        if twice.any():
            notes.append(
                f"left out for a later one of the same time: {int(twice.sum())} of the forecasts"
            )
        return table[~table.duplicated(key, keep="last")].reset_index(drop=True), notes
    if twice.any():
        first = table[twice].iloc[0]
        where = f" of region {first.region}" if first.region else ""
        raise InputInvalid(
            f"{int(twice.sum())} duplicated forecasts: {first.method} has two for {first.time}Z"
            f"{where}; leave one of each, or pass -P duplicates=last"
        )
    return table, notes


def _usable(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of ``/history.csv`` that can be verified, and what was left out.

    Left out are forecasts without a window; those without an active region where others have one;
    and of several by one version for one window and region all but the last. The numbers of a
    forecast that abstains are emptied: it counts as missing.
    """
    twice = table[_ID][table[_ID].duplicated()]
    if len(twice):
        raise InputInvalid(
            f"{path}: {len(twice)} duplicate forecast ids, the first is {twice.iloc[0]}; leave one "
            "of each"
        )
    notes = []

    def leave_out(rows: "pd.Series[bool]", why: str) -> None:
        nonlocal table
        if rows.any():
            notes.append(f"{path.name}: {int(rows.sum())} of {len(rows)} forecasts left out: {why}")
            table = table[~rows]

    leave_out(table["valid_from"] == "", "they have no valid_from")
    if table.empty:
        raise InputInvalid(
            f"{path}: no forecast has a valid_from; send images with their names, or state the "
            "issue_time of arrays"
        )
    region = table.get("active_region", pd.Series("", index=table.index))
    if (region != "").any():
        leave_out(region == "", "they have no active region, and others have one")
    key = [*{"model_name", "model_version", "active_region", "valid_from"} & set(table.columns)]
    by = next(name for name in ("time", "issue_time", _ID) if name in table)
    order = table.sort_values(by, kind="stable")
    repeated = order.duplicated(key, keep="last").reindex(table.index)
    leave_out(repeated, "the same version forecast the same window again, and the last one counts")
    abstained = table.get("status", pd.Series("", index=table.index)) == ABSTAIN
    if abstained.any():
        notes.append(f"{path.name}: {int(abstained.sum())} forecasts abstain and count as missing")
        numbers = [name for name in table.columns if name.startswith(_NUMBERS)]
        table = table.copy()
        table.loc[abstained, numbers] = ""
    return table.reset_index(drop=True), notes


def _frames(table: pd.DataFrame, path: Path, config: VerifyConfig) -> list[pd.DataFrame]:
    """Return the forecasts of one file: one table, or one for each method with its own column."""
    names = column_names(config.columns) or _own_columns(table)
    for name in names:
        if name not in OWN and not re.fullmatch(rf"[po]_{_EVENT}", name):
            raise ConfigInvalid(
                f"columns: {name} is not one of time, region, method, p_EVENT, o_EVENT, "
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
        return [_frame(table, names, method, path, config)]
    used = {part for column in names.values() for part in (column, *column.split("+"))}
    methods = [column for column in table.columns if column not in used]
    if len(probabilities) > 1 or not methods:
        raise ConfigInvalid(f"{path}: columns {wide[0]}=* is for one event, each column a method")
    return [_frame(table, {**names, wide[0]: one}, one, path, config) for one in methods]


def _own_columns(table: pd.DataFrame) -> dict[str, str]:
    """Return the columns that can be recognised by their names."""
    names = {}
    for name, choices in OWN.items():
        there = [one for one in choices if all(part in table for part in one.split("+"))]
        if there:
            names[name] = there[0]
    for column in table.columns:
        for kind, pattern in _OF_EVENT.items():
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
    config: VerifyConfig,
) -> pd.DataFrame:
    """Return one file's forecasts with checked values."""
    # The project writes UTC, in one kind of table without saying so.
    zone = "UTC" if "mx_probability" in table else config.time_zone
    numbers = {
        name: numbers_of(column_of(table, column, path), path, column)
        for name, column in names.items()
        if name.startswith(("p_", "o_")) or name in ("region", *_FLUXES)
    }
    region = np.nan_to_num(numbers.pop("region", np.zeros(len(table))), nan=NO_REGION)
    times = times_of(table, names["time"], path, time_zone=zone)
    result = pd.DataFrame({"method": method, "time": times, "region": region.astype(np.int64)})
    if "valid_to" in names:
        ends = times_of(table, names["valid_to"], path, time_zone=zone)
        _check_windows(result["time"], pd.Series(ends), f"{path}, row", names["valid_to"], config)
    for name, values in numbers.items():
        where = f"{path}, column {names[name]}, row"
        if name.startswith("p_"):
            values = _probabilities(values, where, config)
        elif name.startswith("o_") and (bad := ~np.isin(values, (0, 1))).any():
            row = int(bad.argmax())
            raise InputInvalid(f"{where} {row + 1}: an outcome is 0 or 1, not {values[row]:g}")
        result[name] = values
    if "synthetic" in table:
        result["synthetic"] = table["synthetic"].str.lower() == "true"
    if _ID in table:
        result = pd.concat([result, _input_summary(table, path)], axis=1)
    return result


def _check_windows(
    begin: "pd.Series[pd.Timestamp]",
    end: "pd.Series[pd.Timestamp]",
    where: str,
    column: str,
    config: VerifyConfig,
) -> None:
    """Raise InputInvalid unless every window ends after its beginning, and they are so long."""
    expected = hours(config.window) + hours(config.latency)
    length = (end - begin) / pd.Timedelta(hours=1)
    if (length <= 0).any():
        row = int((length <= 0).argmax())
        raise InputInvalid(
            f"{where} {row + 1}: {column}, {end[row]}Z, is not after the beginning of the "
            f"window, {begin[row]}Z; correct it"
        )
    row = int((length - expected).abs().argmax())
    if abs(length[row] - expected) > 1e-6:
        raise InputInvalid(
            f"{where} {row + 1}: the window ends {length[row]:g} h after its time, and "
            f"window and latency are {expected:g} h; pass -P window={length[row]:g}h"
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


def _probabilities(
    values: NDArray[np.float64], where: str, config: VerifyConfig
) -> NDArray[np.float64]:
    negative = config.negative == "missing"
    values = np.where(values < -_TOLERANCE if negative else values == NO_FORECAST, np.nan, values)
    unit = 100 if config.units == "percent" else 1
    values = values / unit
    bad = (values < -_TOLERANCE) | (values > 1 + _TOLERANCE)
    if bad.any():
        row = int(bad.argmax())
        hint = (
            "pass -P units=percent if they are percent"
            if values[row] > 0
            else "pass -P negative=missing if negative numbers mean that there is no forecast"
        )
        raise InputInvalid(f"{where} {row + 1}: a probability of {values[row] * unit:g}; {hint}")
    return np.clip(values, 0, 1)


def events_of(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the events with forecasts, from the weakest to the strongest."""
    events = [name.removeprefix("p_") for name in table.columns if name.startswith("p_")]
    return tuple(sorted(events, key=flux_of_class))
