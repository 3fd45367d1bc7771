"""Forecasts that this project recorded: the rows of ``/history.csv`` that can be verified."""

from pathlib import Path

import pandas as pd

from flare.errors import InputInvalid
from flare.forecasters.training_inputs import ABSTAIN
from flare.workflows.verifying.tables import named

ID = "forecast_id"
_NUMBERS = ("probability_", "probabilities.", "mx_probability", "peak_flux_w_m2", "flux_")


def usable_rows(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the forecasts that can be verified, and lines that say which were left out.

    Left out are forecasts without a window; those without an active region where others have one;
    and of several by one version for one window and region all but the last. The numbers of a
    forecast that abstains are emptied: it counts as missing.

    Raises InputInvalid: two forecasts have one id, or none can be verified.
    """
    twice = table[ID][table[ID].duplicated()]
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
    key = [
        name
        for name in ("model_name", "model_version", "active_region", "valid_from")
        if name in table
    ]
    by = next(name for name in ("time", "issue_time", ID) if name in table)
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


def of_version(table: pd.DataFrame, method: str, path: Path) -> pd.DataFrame:
    """Return the rows of one method; raise InputInvalid where there is none."""
    rows = table[table["method"] == method]
    if rows.empty:
        there = named(list(dict.fromkeys(table["method"])))
        raise InputInvalid(f"{path} has no forecasts of {method}; it has {there}")
    return rows
