"""Forecast packed rows in pieces, fit postprocessing, and score on validation."""

from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from flare.datasets.pack.reader import PackedSplit
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster
from flare.forecasters.postprocessing.fit import fit_postprocessing
from flare.goes import event_outcomes
from flare.progress import bar
from flare.training.batches import in_pieces, read_ahead
from flare.verification.inputs import Observations
from flare.verification.scorecard import Scorecard, score_forecasts, why_not_learned
from flare.workflows.fitting.training_data import TrainingData

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
    forecaster: AnyForecaster,
    data: TrainingData,
    forecasts: OutOfFoldForecasts,
    *,
    resamples: int,
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
