"""Cross-validate, fit postprocessing on the forecasts, and score on validation.

Postprocessing is fitted on out-of-fold forecasts, or, with ``folds=0``, on those of the validation
rows, whose scores are then optimistic.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from io import StringIO
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.datasets.pack.reader import PackedSplit
from flare.datasets.splits import folds_by_region, region_groups
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.fit import calibration_gains, fit_postprocessing
from flare.goes import event_outcomes
from flare.progress import bar
from flare.tracking.registry import run_text
from flare.tracking.run import Run
from flare.tracking.tags import CALIBRATION_TAG
from flare.training.batches import in_pieces, read_ahead
from flare.verification.inputs import Observations
from flare.verification.scorecard import Scorecard, score_forecasts, why_not_learned
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

_PIECE = 32  # samples: 80 MB of images at 256 pixels

AnyForecaster = TypeVar("AnyForecaster", bound=Forecaster)


def forecast_rows(
    forecaster: Forecaster, packed: PackedSplit, rows: NDArray[np.intp], *, title: str
) -> Forecast:
    """Forecast some rows of a split, with bounded memory and a progress bar.

    The next pieces are read while a piece is forecast.
    """
    parts = in_pieces(rows, _PIECE)
    with closing(read_ahead(packed.cubes, parts)) as reading:
        pieces = [
            forecaster.predict(cubes.numpy(), packed.present[part])
            for part, cubes in zip(bar(title, unit="batches")(parts), reading, strict=True)
        ]
    return Forecast.concatenate(pieces)


@dataclass(frozen=True)
class OutOfFoldForecasts:
    """Forecasts that postprocessing is fitted on, by forecasters not fitted on these samples.

    ``rows`` are row numbers of the training split, (n,), ``folds`` the fold of each row's region,
    and ``forecast`` the forecasts of these rows, without postprocessing.
    """

    rows: NDArray[np.intp]
    folds: NDArray[np.intp]
    forecast: Forecast


@dataclass(frozen=True)
class Validated:
    """The forecast of the validation rows, and its scores.

    ``not_learned`` is the reason why it is no better than climatology; None if it is better.
    """

    card: Scorecard
    forecast: Forecast
    not_learned: str | None = None


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

    ``folds`` has the fold of each training row, from 0 up; see ``training_folds``.
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


def with_fitted_postprocessing(
    forecaster: AnyForecaster, data: TrainingData, forecasts: OutOfFoldForecasts
) -> AnyForecaster:
    """Fit postprocessing on forecasts of the training split; return the forecaster with it."""
    postprocessing = fit_postprocessing(
        forecasts.forecast,
        data.peak_flux[forecasts.rows],
        forecasts.folds,
        level=forecaster.spec.interval_level,
        regions=data.active_regions[forecasts.rows],
        distribution=forecaster.postprocessing.distribution,
    )
    return forecaster.with_postprocessing(postprocessing)


def postprocess_and_score(
    forecaster: AnyForecaster, data: TrainingData, forecasts: OutOfFoldForecasts, *, resamples: int
) -> tuple[AnyForecaster, Validated]:
    """Fit a forecaster's postprocessing; return it with its scored validation forecast.

    These scores choose between models. With out-of-fold forecasts only a network's epoch was
    chosen on the same rows; with forecasts of the validation rows the scores are optimistic.
    """
    ready = with_fitted_postprocessing(forecaster, data, forecasts)
    rows = data.split.validation
    forecast = forecast_rows(ready, data.rows, rows, title="validate")
    observations = Observations.from_table(data.rows.table.iloc[rows])
    rates = training_rates(data.peak_flux[data.split.train], forecast.events)
    card = score_forecasts(forecast, observations, n_resamples=resamples, climatology=rates)
    return ready, Validated(card, forecast, why_not_learned(forecast, observations, rates))


def training_rates(
    peak_flux: NDArray[np.float64], events: tuple[str, ...], *, scale: str = "raw"
) -> dict[str, float]:
    """Return the rate of each event among labels in W m^-2, (N,)."""
    rates = event_outcomes(peak_flux, events, scale=scale).mean(axis=0)
    return dict(zip(events, rates.tolist(), strict=True))


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
    run_id: str | None, ids: list[str], events: tuple[str, ...]
) -> tuple[Forecast, NDArray[np.intp]] | None:
    """Return a run's out-of-fold forecasts of some samples, and their folds.

    Both in the order of ``ids``. None if the run has no such forecasts, or not of all samples and
    events.
    """
    text = run_text(run_id, OUT_OF_FOLD_TABLE)
    if text is None:
        return None
    try:
        table = pd.read_csv(StringIO(text), dtype={"id": str}).set_index("id").loc[ids]
        folds = table["fold"].to_numpy(dtype=np.intp)
        forecast = Forecast.from_columns(table)
    except (ValueError, KeyError):
        return None
    numbers = np.column_stack(list(forecast.columns().values()))
    if len(table) != len(ids) or not np.isfinite(numbers).all() or forecast.events != events:
        return None
    return forecast, folds
