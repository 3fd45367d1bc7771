"""Forecasters on packed rows: forecast in pieces, tune, and score."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from flare.datasets.packed import PackedSplit
from flare.forecasters.base import Forecast, Forecaster
from flare.forecasters.tuning import tune
from flare.verification.scorecard import Issued, Observed, Scorecard, score_forecasts
from flare.workflows.data import TrainingData
from flare.workflows.progress import bar

_PIECE = 32  # samples: 80 MB of images at 256 pixels

Tunable = TypeVar("Tunable", bound=Forecaster)


def forecast_rows(
    forecaster: Forecaster, packed: PackedSplit, rows: NDArray[np.intp], *, title: str
) -> Forecast:
    """Forecast some rows of a split, with bounded memory and a progress bar."""
    starts = range(0, len(rows), _PIECE)
    pieces = [
        forecaster.predict(packed.cubes[some], packed.present[some])
        for start in bar(title, unit="batches")(starts)
        for some in [rows[start : start + _PIECE]]
    ]
    return concatenate(pieces)


def concatenate(pieces: list[Forecast]) -> Forecast:
    """Put forecasts of the same events behind one another."""
    return Forecast(
        np.concatenate([piece.log10_flux for piece in pieces]),
        np.concatenate([piece.lower for piece in pieces]),
        np.concatenate([piece.upper for piece in pieces]),
        np.concatenate([piece.probability for piece in pieces]),
        pieces[0].events,
    )


def issued(forecaster: Forecaster, forecast: Forecast) -> Issued:
    """Put a forecast into the form in which it is verified, with its forecaster's thresholds."""
    return Issued(
        forecast.log10_flux,
        forecast.lower,
        forecast.upper,
        forecast.probability,
        forecast.events,
        forecaster.tuning.thresholds,
    )


def observed(packed: PackedSplit, rows: NDArray[np.intp] | slice = slice(None)) -> Observed:
    """Take the labels of some rows."""
    return Observed(
        packed.table["peak_flux"].to_numpy(dtype=np.float64)[rows],
        packed.table["active_region"].to_numpy(dtype=np.int64)[rows],
    )


def tuned_and_scored(
    forecaster: Tunable, data: TrainingData, *, resamples: int
) -> tuple[Tunable, Scorecard]:
    """Tune a forecaster on the validation rows; return it with its scores there.

    These scores choose between models. They flatter: thresholds, interval and, for a network, the
    epoch were chosen on the same rows.
    """
    rows = data.split.validation
    raw = forecast_rows(forecaster, data.rows, rows, title="validate")
    level = forecaster.spec.interval_level
    tuning = tune(raw, data.peak_flux[rows], level=level)
    ready = forecaster.with_tuning(tuning)
    final = replace(
        raw,
        lower=raw.log10_flux + tuning.residual_low,
        upper=raw.log10_flux + tuning.residual_high,
    )
    card = score_forecasts(issued(ready, final), observed(data.rows, rows), n_resamples=resamples)
    return ready, card
