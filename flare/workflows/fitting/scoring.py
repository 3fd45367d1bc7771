"""Forecasters on packed rows: forecast in pieces, tune, and score."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.datasets.pack.reader import PackedSplit
from flare.forecasters.base import Forecast, Forecaster
from flare.forecasters.postprocessing.calibration import shift_prior
from flare.forecasters.postprocessing.fit import tune
from flare.goes import event_outcomes
from flare.progress import bar
from flare.training.reader import in_pieces, read_ahead
from flare.verification.learned import why_not_learned
from flare.verification.scorecard import (
    Issued,
    Observed,
    Scorecard,
    score_forecasts,
)
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


def taken(forecast: Forecast, rows: NDArray[np.intp]) -> Forecast:
    """Take some of the forecasts, in the order of ``rows``."""
    return Forecast(
        forecast.log10_flux[rows],
        forecast.lower[rows],
        forecast.upper[rows],
        forecast.probability[rows],
        forecast.events,
    )


@dataclass(frozen=True)
class OutOfFoldForecasts:
    """Forecasts to tune on, of samples that whoever issued them was not fitted on.

    ``rows`` are row numbers of the training split, (n,); ``folds`` says of each row to which fold
    its region belongs; ``forecast`` is of these rows, from forecasters that are not tuned.
    """

    rows: NDArray[np.intp]
    folds: NDArray[np.intp]
    forecast: Forecast


def issued(forecaster: Forecaster, forecast: Forecast) -> Issued:
    """Put a forecast into the form in which it is verified, with its forecaster's thresholds."""
    return Issued(
        forecast.log10_flux,
        forecast.lower,
        forecast.upper,
        forecast.probability,
        forecast.events,
        forecaster.postprocessing.thresholds,
    )


def at_rates(one: Issued, own: Mapping[str, float], stated: Mapping[str, float]) -> Issued:
    """Move forecasts that hold at the event rates ``own`` to stated ones, as a model's are moved.

    Thresholds move with the probabilities, so the alarms stay; see ``PostProcessing.at_rates``.
    """
    if not stated:
        return one
    moved, thresholds = one.probability.copy(), dict(one.thresholds)
    for event, rate in stated.items():
        k = one.events.index(event)
        moved[:, k] = shift_prior(moved[:, k], own[event], rate)
        threshold = np.array([thresholds[event]])
        thresholds[event] = float(shift_prior(threshold, own[event], rate)[0])
    moved = np.minimum.accumulate(moved, axis=1)
    return replace(one, probability=moved, thresholds=thresholds)


def observed(packed: PackedSplit, rows: NDArray[np.intp] | slice = slice(None)) -> Observed:
    """Take the labels of some rows."""
    return labels_of(packed.table.iloc[rows])


def labels_of(table: pd.DataFrame) -> Observed:
    """Take the labels of a table as ``read_table`` returns it."""
    return Observed(
        table["peak_flux"].to_numpy(dtype=np.float64),
        table["active_region"].to_numpy(dtype=np.int64),
    )


@dataclass(frozen=True)
class Validated:
    """What a forecaster issued for the validation rows, and its scores there.

    ``not_learned`` says why it is worth no more than climatology there; None where it is.
    """

    card: Scorecard
    issued: Issued
    not_learned: str | None = None


def tuned_and_scored(
    forecaster: Tunable, data: TrainingData, unseen: OutOfFoldForecasts, *, resamples: int
) -> tuple[Tunable, Validated]:
    """Tune a forecaster; return it with what it issues for the validation rows.

    These scores choose between models. Tuned out of fold they are honest but for the epoch, which
    a network has chosen on the same rows; tuned on the validation rows they flatter.
    """
    level = forecaster.spec.interval_level
    postprocessing = tune(
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
    told = issued(ready, forecast)
    happened = observed(data.rows, rows)
    rates = training_rates(data.peak_flux[data.split.train], told.events)
    card = score_forecasts(told, happened, n_resamples=resamples, climatology=rates)
    return ready, Validated(card, told, why_not_learned(told, happened, rates))


def training_rates(
    peak_flux: NDArray[np.float64], events: tuple[str, ...], *, scale: str = "raw"
) -> dict[str, float]:
    """Return how often each event happens among labels in W m^-2, (N,)."""
    rates = event_outcomes(peak_flux, events, scale=scale).mean(axis=0)
    return dict(zip(events, rates.tolist(), strict=True))
