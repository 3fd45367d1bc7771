"""Forecasts that a forecaster is tuned on: out of fold, or of the validation rows instead."""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flare.datasets.splits import folds_by_region, region_groups
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.fit import calibration_gains
from flare.tracking.runs import Run
from flare.tracking.tags import CALIBRATION_TAG
from flare.workflows.fitting.scoring import OutOfFoldForecasts, forecast_rows
from flare.workflows.fitting.training_data import TrainingData

log = logging.getLogger("flare")

Rows = NDArray[np.intp]

#: Fits a forecaster on some rows, and returns what forecasts others by it.
Fit = Callable[[Rows], Callable[[Rows], Forecast]]

#: What calibration each event got and what it gains, among a run's artifacts.
CALIBRATIONS = "calibration.json"

#: Into how many folds the validation regions are parted for the choice of a calibration.
_VALIDATION_FOLDS = 3


def training_folds(data: TrainingData, n_folds: int, *, seed: int) -> NDArray[np.intp] | None:
    """Return the fold of each training row; None for 0 folds. See ``folds_by_region``."""
    if n_folds == 0:
        return None
    return folds_by_region(data.rows.table.iloc[data.split.train], n_folds, seed=seed)


def out_of_fold(data: TrainingData, fit: Fit, folds: NDArray[np.intp]) -> OutOfFoldForecasts:
    """Forecast every training row by a forecaster that was fitted without its fold.

    The validation rows are not looked at.

    Parameters
    ----------
    fit
        Is given the training rows of all folds but one; what it returns is given those left out.
    folds
        Which fold each training row belongs to, from 0 up; see ``training_folds``.
    """
    rows = data.split.train
    n_folds = int(folds.max()) + 1
    pieces, order = [], []
    for fold in range(n_folds):
        left = np.flatnonzero(folds == fold)
        log.info(
            "fold %d of %d: fitting on %d samples, forecasting the %d left out",
            fold + 1,
            n_folds,
            len(rows) - len(left),
            len(left),
        )
        pieces.append(fit(rows[folds != fold])(rows[left]))
        order.append(left)
    back = np.argsort(np.concatenate(order))
    return OutOfFoldForecasts(rows, folds, Forecast.concatenate(pieces).take(back))


def on_validation(forecaster: Forecaster, data: TrainingData, *, seed: int) -> OutOfFoldForecasts:
    """Forecast the validation rows: cheaper, but their scores flatter after tuning on them."""
    rows = data.split.validation
    table = data.rows.table.iloc[rows]
    n_folds = min(_VALIDATION_FOLDS, len(region_groups(table)))
    folds = folds_by_region(table, n_folds, seed=seed)
    return OutOfFoldForecasts(
        rows, folds, forecast_rows(forecaster, data.rows, rows, title="validate")
    )


def log_tuning(
    run: Run, postprocessing: PostProcessing, unseen: OutOfFoldForecasts, data: TrainingData
) -> None:
    """Log which calibration each event got, and what it gains on folds it was not fitted on."""
    peak_flux = data.peak_flux[unseen.rows]
    gains = calibration_gains(unseen.forecast, peak_flux, unseen.folds, postprocessing)
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
            "%s: calibration %s, Brier score out of fold %.4f before and %.4f after, %d events",
            event,
            method,
            gain.before,
            gain.after,
            gain.n_events,
        )
    run.log_json(about, CALIBRATIONS)
