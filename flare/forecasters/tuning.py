"""What is fitted after training, on validation regions: alert thresholds and the flux interval."""

import numpy as np
from numpy.typing import NDArray

from flare.errors import DatasetInvalid
from flare.forecasters.base import Forecast, Tuning
from flare.goes import event_outcomes
from flare.verification.thresholds import best_threshold


def tune(forecast: Forecast, peak_flux: NDArray[np.float64], *, level: float) -> Tuning:
    """Choose thresholds and residual quantiles.

    Each threshold is the one of the highest true skill statistic; an event that never or always
    happens on validation keeps 0.5. The interval is split conformal, each tail on its own: the
    residuals' order statistics at ``ceil((n + 1) (1 +- level) / 2)``, so that new regions like the
    validation ones fall inside with at least ``level`` on average. Source: Romano, Patterson and
    Candes 2019, arXiv:1905.03222.

    Parameters
    ----------
    forecast
        Forecasts of the N validation samples, from a forecaster that has not been tuned.
    peak_flux
        Their labels in W m^-2, shape (N,).
    level
        Share of cases that the interval should hold.
    """
    if len(peak_flux) == 0:
        raise DatasetInvalid("no validation samples to tune on; raise validation_share")
    outcomes = event_outcomes(peak_flux, forecast.events)
    residuals = np.sort(np.log10(peak_flux) - forecast.log10_flux)
    n = len(residuals)
    rank = int(np.ceil((n + 1) * (1 + level) / 2))
    high = residuals[min(rank, n) - 1]
    low = residuals[max(n - rank, 0)]
    return Tuning(
        thresholds={
            event: best_threshold(outcomes[:, column], forecast.probability[:, column])
            for column, event in enumerate(forecast.events)
        },
        residual_low=min(float(low), 0.0),
        residual_high=max(float(high), 0.0),
    )
