"""A few validation samples with their forecasts, for people to look at: a figure and a table."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.forecast import Forecast
from flare.forecasters.base import Forecaster
from flare.goes import HEADLINE_EVENT
from flare.plots.samples import SampleForecast, sample_predictions
from flare.tracking.runs import Run
from flare.workflows.fitting.scoring import Validated
from flare.workflows.fitting.training_data import TrainingData, marked

FIGURE, TABLE = "figures/sample_predictions.png", "sample_predictions.csv"

_MOST = 6


def log_sample_predictions(
    run: Run, forecaster: Forecaster, validated: Validated, data: TrainingData
) -> None:
    """Log a few validation samples of all strengths with what was forecast of them.

    The choice looks at the labels alone, so that two runs on the same split show the same samples.
    """
    peak_flux = data.peak_flux[data.split.validation]
    chosen = spread(peak_flux, _MOST)
    samples = [_shown(int(place), validated.forecast, data) for place in chosen]
    figure = sample_predictions(samples, level=forecaster.spec.interval_level)
    run.log_figure(marked(figure, data.pack), FIGURE)
    run.log_text(_table(chosen, validated.forecast, data).to_csv(index=False), TABLE)


def spread(peak_flux: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """Return places of the strongest, the weakest and some between, strongest first."""
    order = np.argsort(-peak_flux, kind="stable")
    places = np.linspace(0, len(order) - 1, min(most, len(order)))
    return order[np.round(places).astype(np.intp)]


def _shown(place: int, forecast: Forecast, data: TrainingData) -> SampleForecast:
    row = int(data.split.validation[place])
    label = data.rows.table.iloc[row]
    event = forecast.events.index(HEADLINE_EVENT)
    return SampleForecast(
        title=f"AR {int(label['active_region'])}\n{label['end']:%Y-%m-%d}",
        cube=np.asarray(data.rows.cubes[row]),
        present=np.asarray(data.rows.present[row]),
        log10_flux=float(forecast.log10_flux[place]),
        lower=float(forecast.lower[place]),
        upper=float(forecast.upper[place]),
        probability=float(forecast.probability[place, event]),
        observed=float(np.log10(label["peak_flux"])),
    )


def _table(chosen: NDArray[np.intp], forecast: Forecast, data: TrainingData) -> pd.DataFrame:
    rows = data.split.validation[chosen]
    labels = data.rows.table.iloc[rows][["id", "active_region", "peak_flux"]]
    return labels.reset_index(drop=True).assign(**forecast.take(chosen).columns())
