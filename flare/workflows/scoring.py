"""Forecasters on packed rows: forecast in pieces, tune, and score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.datasets.packed import PackedSplit
from flare.forecasters.base import Forecast, Forecaster
from flare.forecasters.tuning import tune
from flare.goes import HEADLINE_EVENT
from flare.verification.scorecard import (
    Issued,
    Observed,
    Score,
    Scorecard,
    paired_difference,
    score_forecasts,
)
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
class Unseen:
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
        forecaster.tuning.thresholds,
    )


def observed(packed: PackedSplit, rows: NDArray[np.intp] | slice = slice(None)) -> Observed:
    """Take the labels of some rows."""
    return labels_of(packed.table.iloc[rows])


def labels_of(table: pd.DataFrame) -> Observed:
    """Take the labels of a table as ``read_table`` returns it."""
    return Observed(
        table["peak_flux"].to_numpy(dtype=np.float64),
        table["active_region"].to_numpy(dtype=np.int64),
    )


CLIMATOLOGY = "climatology"

#: Whoever knows the true rates of a synthetic dataset.
ORACLE = "oracle"


@dataclass(frozen=True)
class Comparison:
    """Several forecasters on the same samples: scorecards by name, and who beats climatology.

    ``above_climatology`` is the paired difference of the headline's Brier skill score, for all but
    climatology itself: where its interval holds no 0, the two differ.
    """

    scorecards: dict[str, Scorecard]
    above_climatology: dict[str, Score]

    def lines(self) -> list[str]:
        """Say the differences, a line each."""
        said = [
            f"{name}: {score.event} BSS above climatology's by {score.value:+.3f} "
            f"[{score.low:+.3f}, {score.high:+.3f}], paired by active region"
            for name, score in self.above_climatology.items()
        ]
        if ORACLE in self.scorecards:
            said.append(f"{ORACLE}: knows the true flare rates, which no forecaster can")
        return said


def compare(forecasts: Mapping[str, Issued], truth: Observed, *, resamples: int) -> Comparison:
    """Score forecasts of the same samples by name; climatology must be among them."""
    return Comparison(
        {
            name: score_forecasts(one, truth, n_resamples=resamples)
            for name, one in forecasts.items()
        },
        {
            name: paired_difference(
                one,
                forecasts[CLIMATOLOGY],
                truth,
                event=HEADLINE_EVENT,
                score_name="brier_skill_score",
                n_resamples=resamples,
            )
            for name, one in forecasts.items()
            if name != CLIMATOLOGY
        },
    )


def tuned_and_scored(
    forecaster: Tunable, data: TrainingData, unseen: Unseen, *, resamples: int
) -> tuple[Tunable, Scorecard]:
    """Tune a forecaster; return it with its scores on the validation rows.

    These scores choose between models. Tuned out of fold they are honest but for the epoch, which
    a network has chosen on the same rows; tuned on the validation rows they flatter.
    """
    level = forecaster.spec.interval_level
    tuning = tune(unseen.forecast, data.peak_flux[unseen.rows], unseen.folds, level=level)
    ready = forecaster.with_tuning(tuning)
    rows = data.split.validation
    forecast = forecast_rows(ready, data.rows, rows, title="validate")
    truth = observed(data.rows, rows)
    return ready, score_forecasts(issued(ready, forecast), truth, n_resamples=resamples)
