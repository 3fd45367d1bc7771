"""Active-region persistence: a region flares as in its last window that has ended.

It uses labels alone, and only those of windows whose 24 hours have ended at the issue time. For
samples without such a window it forecasts the climatology of such samples in the training split.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.errors import DatasetInvalid
from flare.forecast import LOG10_FLUX_RANGE, Forecast
from flare.goes import EVENTS, event_outcomes
from flare.sample import FORECAST_WINDOW_HOURS

PERSISTENCE = "persistence"

_Floats = NDArray[np.float64]


def persistence(
    table: pd.DataFrame,
    training: pd.DataFrame,
    *,
    events: tuple[str, ...] = EVENTS,
    interval_level: float = 0.9,
) -> Forecast:
    """Forecast each sample from what its region did before.

    The flux is that of the earlier window, its interval the quantiles of the change in training.
    The probability of an event is its frequency in training after a window with the event, or
    after one without it, (k + 1/2) / (n + 1). The threshold lies between the two, so that the
    alarm is plain persistence. Without an earlier window flux, interval and rates are those of the
    training samples without one; where training has no sample with an earlier window, that is the
    forecast for all.

    Parameters
    ----------
    table
        Labels of the samples to forecast, as ``read_table`` returns them, with all windows of each
        region: earlier windows are searched here.
    training
        Labels of the training split.
    events
        From the weakest to the strongest.
    interval_level
        Share of cases that the interval is meant to hold.
    """
    if len(training) == 0:
        raise DatasetInvalid("no training labels to learn persistence from; check the split")
    labels = training["peak_flux"].to_numpy(dtype=np.float64)
    fitted = _fit(earlier_flux(training), labels, events, (1 - interval_level) / 2)
    earlier = earlier_flux(table)
    if fitted.never:
        earlier[:] = np.nan
    return fitted.forecast(earlier, events)


def earlier_flux(table: pd.DataFrame) -> _Floats:
    """Return the label of the last window that had ended at each sample's issue time, (N,).

    That is the latest window of the same active region whose forecast window had ended by the end
    of this sample's input. Samples of one range share a label and never count for each other. Of
    windows that end together the stronger counts; NaN without any.
    """
    window = np.timedelta64(FORECAST_WINDOW_HOURS, "h")
    issue_time = table["end"].to_numpy()
    label = table["peak_flux"].to_numpy(dtype=np.float64)
    sample_range = table["id"].str.rpartition("_")[0].to_numpy()
    earlier = np.full(len(table), np.nan)
    region = table["active_region"].to_numpy()
    for number in np.unique(region):
        rows = np.flatnonzero(region == number)
        ordered = rows[np.lexsort((label[rows], issue_time[rows]))]
        for row in rows:
            ended = ordered[
                (issue_time[ordered] + window <= issue_time[row])
                & (sample_range[ordered] != sample_range[row])
            ]
            if len(ended):
                earlier[row] = label[ended[-1]]
    return earlier


@dataclass(frozen=True)
class _Fitted:
    """Frequencies in training, by the number of events of the earlier window: 0, 1, ... E, unknown.

    ``probability`` is (E + 2, E), the last row for unknown. ``residuals`` are the ends of the
    interval in dex from the earlier flux, ``climatology`` low, median and high log10 flux of
    samples without an earlier window. ``never`` says that training had no earlier window at all.
    """

    probability: _Floats
    residuals: tuple[float, float]
    climatology: tuple[float, float, float]
    never: bool

    def forecast(self, earlier: _Floats, events: tuple[str, ...]) -> Forecast:
        """Forecast from the earlier fluxes in W m^-2, (N,), NaN where there is none."""
        known = np.isfinite(earlier)
        state = np.where(known, event_outcomes(earlier, events).sum(axis=1), len(events) + 1)
        low, median, high = self.climatology
        flux = np.where(known, np.log10(earlier), median)
        return Forecast(
            log10_flux=flux,
            lower=np.where(known, np.clip(flux + self.residuals[0], *LOG10_FLUX_RANGE), low),
            upper=np.where(known, np.clip(flux + self.residuals[1], *LOG10_FLUX_RANGE), high),
            probability=self.probability[state],
            events=events,
            thresholds={event: self._threshold(k) for k, event in enumerate(events)},
        )

    def _threshold(self, k: int) -> float:
        """Return the middle between the probabilities without and with the event before.

        0.5 where the event is not more likely after an event: then no threshold separates them.
        """
        without = float(self.probability[: k + 1, k].max())
        having = float(self.probability[k + 1 : -1, k].min())
        return (without + having) / 2 if having > without else 0.5


def _fit(earlier: _Floats, label: _Floats, events: tuple[str, ...], tail: float) -> _Fitted:
    known = np.isfinite(earlier)
    outcomes = event_outcomes(label, events)
    had = event_outcomes(earlier, events)
    unknown = ~known  # never empty: a region's first window has no earlier one
    probability = np.empty((len(events) + 2, len(events)))
    for k in range(len(events)):
        probability[: k + 1, k] = _rate(outcomes[known & ~had[:, k], k])
        probability[k + 1 :, k] = _rate(outcomes[known & had[:, k], k])
        probability[-1, k] = _rate(outcomes[unknown, k])
    ends = [tail, 0.5, 1 - tail]
    low, median, high = np.quantile(np.log10(label[unknown]), ends)
    added = np.log10(label[known]) - np.log10(earlier[known])
    least, _, most = np.quantile(added, ends) if known.any() else (0.0, 0.0, 0.0)
    return _Fitted(
        probability=np.minimum.accumulate(probability, axis=1),
        residuals=(min(float(least), 0.0), max(float(most), 0.0)),
        climatology=(float(low), float(median), float(high)),
        never=not known.any(),
    )


def _rate(outcome: NDArray[np.bool_]) -> float:
    return (np.count_nonzero(outcome) + 0.5) / (len(outcome) + 1)
