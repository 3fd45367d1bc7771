"""Forecasts that postprocessing is fitted on: out of fold, or of the validation rows instead."""

import logging
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.datasets.splits import folds_by_region, region_groups
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.fit import calibration_gains
from flare.tracking.registry import RegisteredVersion, run_file
from flare.tracking.runs import Run, scratch
from flare.tracking.tags import CALIBRATION_TAG
from flare.workflows.fitting.scoring import OutOfFoldForecasts, forecast_rows
from flare.workflows.fitting.training_data import TrainingData

log = logging.getLogger("flare")

Rows = NDArray[np.intp]

#: Fits a forecaster on the first rows, and returns its forecasts of the second ones.
FitAndForecast = Callable[[Rows, Rows], Forecast]

#: Artifact: the calibration of each event, and what it gains.
CALIBRATIONS = "calibration.json"

#: Artifact: the out-of-fold forecasts, which ensembles are postprocessed on.
OUT_OF_FOLD_TABLE = "out_of_fold.csv"

#: Folds of the validation regions for the choice of a calibration.
_VALIDATION_FOLDS = 3


def training_folds(data: TrainingData, n_folds: int, *, seed: int) -> NDArray[np.intp] | None:
    """Return the fold of each training row; None for 0 folds. See ``folds_by_region``."""
    if n_folds == 0:
        return None
    return folds_by_region(data.rows.table.iloc[data.split.train], n_folds, seed=seed)


def cross_validate(
    data: TrainingData, fit_and_forecast: FitAndForecast, folds: NDArray[np.intp]
) -> OutOfFoldForecasts:
    """Forecast every training row by a forecaster that was fitted without its fold.

    The validation rows are not used.

    Parameters
    ----------
    fit_and_forecast
        Called once per fold with the training rows of the other folds and those of the fold.
    folds
        The fold of each training row, from 0 up; see ``training_folds``.
    """
    rows = data.split.train
    n_folds = int(folds.max()) + 1
    pieces, order = [], []
    for fold in range(n_folds):
        left_out = np.flatnonzero(folds == fold)
        log.info(
            "fold %d of %d: fitting on %d samples, forecasting the other %d",
            fold + 1,
            n_folds,
            len(rows) - len(left_out),
            len(left_out),
        )
        pieces.append(fit_and_forecast(rows[folds != fold], rows[left_out]))
        order.append(left_out)
    back = np.argsort(np.concatenate(order))
    return OutOfFoldForecasts(rows, folds, Forecast.concatenate(pieces).take(back))


def validation_forecasts(
    forecaster: Forecaster, data: TrainingData, *, seed: int
) -> OutOfFoldForecasts:
    """Forecast the validation rows, divided into folds.

    Cheaper than cross-validation, but the validation scores are optimistic afterwards.
    """
    rows = data.split.validation
    table = data.rows.table.iloc[rows]
    n_folds = min(_VALIDATION_FOLDS, len(region_groups(table)))
    folds = folds_by_region(table, n_folds, seed=seed)
    return OutOfFoldForecasts(
        rows, folds, forecast_rows(forecaster, data.rows, rows, title="validate")
    )


def log_postprocessing(
    run: Run, postprocessing: PostProcessing, forecasts: OutOfFoldForecasts, data: TrainingData
) -> None:
    """Log the calibration of each event, and what it gains on folds it was not fitted on."""
    peak_flux = data.peak_flux[forecasts.rows]
    gains = calibration_gains(forecasts.forecast, peak_flux, forecasts.folds, postprocessing)
    about: dict[str, dict[str, object]] = {}
    for event, gain in gains.items():
        method = postprocessing.calibrations[event].method
        run.set_tags({f"{CALIBRATION_TAG}/{event}": method})
        about[event] = {
            "method": method,
            "brier_score_raw": gain.before,
            "brier_score": gain.after,
            "n_events": gain.n_events,
        }
        log.info(
            "%s: calibration %s, out-of-fold Brier score %.4f before and %.4f after, %d events",
            event,
            method,
            gain.before,
            gain.after,
            gain.n_events,
        )
    run.log_json(about, CALIBRATIONS)


def log_out_of_fold(run: Run, forecasts: OutOfFoldForecasts, data: TrainingData) -> None:
    """Log the out-of-fold forecast of every training sample, before postprocessing."""
    rows = data.rows.table.iloc[forecasts.rows][["id"]].reset_index(drop=True)
    rows["fold"] = forecasts.folds
    rows = rows.assign(**forecasts.forecast.columns())
    run.log_text(rows.to_csv(index=False), OUT_OF_FOLD_TABLE)


def read_out_of_fold(
    version: RegisteredVersion, ids: list[str], events: tuple[str, ...]
) -> tuple[Forecast, NDArray[np.intp]] | None:
    """Return a version's out-of-fold forecasts of some samples, and their folds.

    Both in the order of ``ids``. None if the run has no such forecasts, or not of all samples and
    events.
    """
    with scratch() as folder:
        path = run_file(version, OUT_OF_FOLD_TABLE, folder)
        if path is None:
            return None
        try:
            table = pd.read_csv(path, dtype={"id": str}).set_index("id").loc[ids]
            folds = table["fold"].to_numpy(dtype=np.intp)
            forecast = Forecast.from_columns(table)
        except (ValueError, KeyError, OSError):
            return None
    numbers = np.column_stack(list(forecast.columns().values()))
    if len(table) != len(ids) or not np.isfinite(numbers).all() or forecast.events != events:
        return None
    return forecast, folds
