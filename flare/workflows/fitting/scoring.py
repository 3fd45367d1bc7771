"""Forecasters on packed rows: forecast in pieces, tune, and score."""

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
from flare.training.reader import in_pieces, read_ahead
from flare.verification.inputs import Observations
from flare.verification.scorecard import Scorecard, score_forecasts, why_not_learned
from flare.workflows.fitting.training_data import TrainingData

_PIECE = 32  # samples: 80 MB of images at 256 pixels

Tunable = TypeVar("Tunable", bound=Forecaster)


def forecast_rows(
    forecaster: Forecaster, packed: PackedSplit, rows: NDArray[np.intp], *, title: str
) -> Forecast:
    """Forecast some rows of a split, with bounded memory and a progress bar.

    The next pieces are read while one is forecast.
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
    """Forecasts to tune on, of samples that whoever issued them was not fitted on.

    ``rows`` are row numbers of the training split, (n,); ``folds`` says of each row to which fold
    its region belongs; ``forecast`` is of these rows, from forecasters that are not tuned.
    """

    rows: NDArray[np.intp]
    folds: NDArray[np.intp]
    forecast: Forecast


@dataclass(frozen=True)
class Validated:
    """The forecast of the validation rows, and its scores there.

    ``not_learned`` says why it is worth no more than climatology there; None where it is.
    """

    card: Scorecard
    forecast: Forecast
    not_learned: str | None = None


def tuned_and_scored(
    forecaster: Tunable, data: TrainingData, unseen: OutOfFoldForecasts, *, resamples: int
) -> tuple[Tunable, Validated]:
    """Tune a forecaster; return it with its forecast of the validation rows.

    These scores choose between models. Tuned out of fold they are honest but for the epoch, which
    a network has chosen on the same rows; tuned on the validation rows they flatter.
    """
    level = forecaster.spec.interval_level
    postprocessing = fit_postprocessing(
        unseen.forecast,
        data.peak_flux[unseen.rows],
        unseen.folds,
        level=level,
        regions=data.active_regions[unseen.rows],
        distribution=forecaster.postprocessing.distribution,
    )
    ready = forecaster.with_postprocessing(postprocessing)
    rows = data.split.validation
    forecast = forecast_rows(ready, data.rows, rows, title="validate")
    observations = Observations.from_table(data.rows.table.iloc[rows])
    rates = training_rates(data.peak_flux[data.split.train], forecast.events)
    card = score_forecasts(forecast, observations, n_resamples=resamples, climatology=rates)
    return ready, Validated(card, forecast, why_not_learned(forecast, observations, rates))


def training_rates(
    peak_flux: NDArray[np.float64], events: tuple[str, ...], *, scale: str = "raw"
) -> dict[str, float]:
    """Return how often each event happens among labels in W m^-2, (N,)."""
    rates = event_outcomes(peak_flux, events, scale=scale).mean(axis=0)
    return dict(zip(events, rates.tolist(), strict=True))
