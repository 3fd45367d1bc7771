"""Forecasts out of fold, kept with the run that made them: what ensembles are tuned on."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.forecast import Forecast
from flare.tracking.registry import RegisteredVersion, run_file
from flare.tracking.runs import Run, scratch
from flare.workflows.fitting.scoring import OutOfFoldForecasts
from flare.workflows.fitting.training_data import TrainingData

TABLE = "out_of_fold.csv"


def log_out_of_fold(run: Run, unseen: OutOfFoldForecasts, data: TrainingData) -> None:
    """Keep, of every training sample, what was forecast without its fold, before any tuning."""
    rows = data.rows.table.iloc[unseen.rows][["id"]].reset_index(drop=True)
    rows["fold"] = unseen.folds
    rows = rows.assign(**unseen.forecast.columns())
    run.log_text(rows.to_csv(index=False), TABLE)


def read_out_of_fold(
    version: RegisteredVersion, ids: list[str], events: tuple[str, ...]
) -> tuple[Forecast, NDArray[np.intp]] | None:
    """Return what the run of a version forecast out of fold for some samples, and their folds.

    Both in the order of ``ids``. None where nothing is stored, or not of all of them or of all
    events.
    """
    with scratch() as folder:
        found = run_file(version, TABLE, folder)
        if found is None:
            return None
        try:
            table = pd.read_csv(found, dtype={"id": str}).set_index("id").loc[ids]
            folds = table["fold"].to_numpy(dtype=np.intp)
            forecast = Forecast.from_columns(table)
        except (ValueError, KeyError, OSError):
            return None
    numbers = np.column_stack(list(forecast.columns().values()))
    if len(table) != len(ids) or not np.isfinite(numbers).all() or forecast.events != events:
        return None
    return forecast, folds
