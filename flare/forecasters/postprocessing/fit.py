"""Fit the postprocessing of a forecaster on out-of-fold forecasts.

These are forecasts of every training sample by a forecaster that was fitted without its region and
neighbours. The validation regions are not used, so their scores can choose between forecasters.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flare.errors import DatasetInvalid
from flare.forecast import Forecast
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.calibration import (
    RATE,
    Calibration,
    choose_calibration,
    choose_rate_calibration,
    cross_calibrated,
    cross_rate_calibrated,
)
from flare.goes import event_outcomes
from flare.verification.contingency import best_threshold
from flare.verification.probabilistic import brier_score


def fit_postprocessing(
    forecast: Forecast,
    peak_flux: NDArray[np.float64],
    folds: NDArray[np.integer],
    *,
    level: float,
    regions: NDArray[np.integer] | None = None,
    distribution: bool = False,
) -> PostProcessing:
    """Choose calibrations, thresholds and residual quantiles.

    Each threshold is the one of the highest true skill statistic of the calibrated probability; an
    event that never or always happens keeps 0.5.

    The interval is conformal, each tail on its own: order statistics of the residuals at
    ``ceil((n + 1) (1 +- level) / 2)``, from the ends of the forecaster's interval where it gives
    one, so that the width stays that of each sample; else from the forecast itself. With
    out-of-fold residuals this is CV+ with the forecaster fitted on all samples in place of the
    folds' own, which were fitted on fewer: the interval is rather too wide. It holds ``level`` on
    average over new cases like these; samples of one region are alike, so for one set of regions it
    may hold more or less. Sources: Romano, Patterson and Candes 2019, arXiv:1905.03222; Barber et
    al. 2021, arXiv:1905.02928.

    Parameters
    ----------
    forecast
        Of N samples, each from a forecaster that was not fitted on it and has no postprocessing.
    peak_flux
        Their labels in W m^-2, shape (N,).
    folds
        Which fold each sample belongs to, (N,): calibrations are chosen from one to the other.
    level
        Share of cases that the interval should hold.
    regions
        The active region of each sample, (N,); None where samples are independent.
    distribution
        Whether the events are those of one distribution, which gets one map as a whole.
    """
    if len(peak_flux) == 0:
        raise DatasetInvalid(
            "no samples to fit the postprocessing on; use a dataset with more regions"
        )
    outcomes = event_outcomes(peak_flux, forecast.events)
    if distribution:
        one = choose_rate_calibration(forecast.probability, outcomes, folds, regions=regions)
        calibrations = dict.fromkeys(forecast.events, one)
    else:
        calibrations = {
            event: choose_calibration(
                forecast.probability[:, k], outcomes[:, k], folds, regions=regions
            )
            for k, event in enumerate(forecast.events)
        }
    calibrated = PostProcessing(
        distribution=distribution,
        calibrations=calibrations,
        rates=dict(zip(forecast.events, outcomes.mean(axis=0).tolist(), strict=True)),
    )
    calibrated_forecast = calibrated.apply(
        forecast.log10_flux, forecast.probability, forecast.events, level=level
    )
    # The interval of a distribution changes with its calibration.
    base = calibrated_forecast if distribution else forecast
    low, high = _residuals(base, np.log10(peak_flux), level)
    if distribution:  # a lower end that is quiet stays so
        low, high = min(low, 0.0), max(high, 0.0)
    return replace(
        calibrated,
        thresholds={
            event: best_threshold(outcomes[:, k], calibrated_forecast.probability[:, k])
            for k, event in enumerate(forecast.events)
        },
        residual_low=low,
        residual_high=high,
        interval_level=level,
    )


@dataclass(frozen=True)
class Gain:
    """Brier score of one event before and after calibration, on ``n_events`` events.

    ``after`` is of forecasts whose calibration was fitted on the other folds.
    """

    before: float
    after: float
    n_events: int


def calibration_gains(
    forecast: Forecast,
    peak_flux: NDArray[np.float64],
    folds: NDArray[np.integer],
    postprocessing: PostProcessing,
) -> dict[str, Gain]:
    """Return the gain of each event's calibration; parameters as in ``fit_postprocessing``."""
    outcomes = event_outcomes(peak_flux, forecast.events)
    gains = {}
    together = cross_rate_calibrated(forecast.probability, outcomes, folds)
    for k, event in enumerate(forecast.events):
        outcome, raw = outcomes[:, k], forecast.probability[:, k]
        method = postprocessing.calibrations[event].method
        after = together[:, k] if method == RATE else cross_calibrated(method, raw, outcome, folds)
        gains[event] = Gain(
            float(brier_score(outcome, raw)),
            float(brier_score(outcome, after)),
            int(np.count_nonzero(outcome)),
        )
    return gains


def calibrate_by_fold(
    forecast: Forecast,
    peak_flux: NDArray[np.float64],
    folds: NDArray[np.integer],
    postprocessing: PostProcessing,
) -> Forecast:
    """Calibrate the forecasts of each fold by what was fitted on all the other folds.

    ``postprocessing.apply`` would use calibrations that were fitted on these very forecasts and
    labels; scores and further calibrations of the result would then be optimistic. The method of
    each event is the one in ``postprocessing``, so that the result is like the forecasts of new
    samples. Other parameters are those of ``fit_postprocessing``; the interval has no width.
    """
    outcomes = event_outcomes(peak_flux, forecast.events)
    methods = [
        postprocessing.calibrations.get(event, Calibration()).method for event in forecast.events
    ]
    if RATE in methods:  # one map for all events
        probability = cross_rate_calibrated(forecast.probability, outcomes, folds)
    else:
        columns = [
            cross_calibrated(method, forecast.probability[:, k], outcomes[:, k], folds)
            for k, method in enumerate(methods)
        ]
        probability = np.column_stack(columns)
    plain = PostProcessing(distribution=postprocessing.distribution)
    return plain.apply(forecast.log10_flux, probability, forecast.events)


def _residuals(
    forecast: Forecast, observed: NDArray[np.float64], level: float
) -> tuple[float, float]:
    """Return the shifts of the lower and the upper end of the forecasts' intervals, in dex."""
    n = len(observed)
    rank = int(np.ceil((n + 1) * (1 + level) / 2))
    low = float(np.sort(observed - forecast.lower)[max(n - rank, 0)])
    high = float(np.sort(observed - forecast.upper)[min(rank, n) - 1])
    if np.array_equal(forecast.lower, forecast.upper):
        return min(low, 0.0), max(high, 0.0)
    return low, high  # ends that are too wide are moved inwards
