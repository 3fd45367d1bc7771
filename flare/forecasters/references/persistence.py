"""Active-region persistence: a region flares as in its last window that has ended.

It uses labels alone, and only those of windows whose 24 hours have ended at the issue time. For
samples without such a window it forecasts the climatology of such samples in the training split.
"""

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
    label = training["peak_flux"].to_numpy(dtype=np.float64)
    before, earlier = earlier_flux(training), earlier_flux(table)
    if np.isnan(before).all():
        earlier[:] = np.nan
    rates = _rates(before, label, events)  # (E + 2, E)
    tail = (1 - interval_level) / 2
    ends = [tail, 0.5, 1 - tail]
    with_past = np.isfinite(before)
    # A region's first window has no earlier one, so some samples have none.
    low, median, high = np.quantile(np.log10(label[~with_past]), ends)
    change = np.log10(label[with_past]) - np.log10(before[with_past])
    least, _, most = np.quantile(change, ends) if len(change) else (0.0, 0.0, 0.0)
    known = np.isfinite(earlier)
    state = np.where(known, event_outcomes(earlier, events).sum(axis=1), len(events) + 1)
    flux = np.where(known, np.log10(earlier), median)
    return Forecast(
        log10_flux=flux,
        lower=np.where(known, np.clip(flux + min(least, 0.0), *LOG10_FLUX_RANGE), low),
        upper=np.where(known, np.clip(flux + max(most, 0.0), *LOG10_FLUX_RANGE), high),
        probability=rates[state],
        events=events,
        thresholds={event: _threshold(rates[:, k], k) for k, event in enumerate(events)},
    )


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


def _rates(before: _Floats, label: _Floats, events: tuple[str, ...]) -> _Floats:
    """Return the frequency of each event by the number of events of the earlier window.

    Shape (E + 2, E): rows are for 0, 1, ... E events, and the last for no earlier window.
    """
    known = np.isfinite(before)
    outcomes, had = event_outcomes(label, events), event_outcomes(before, events)
    rates = np.empty((len(events) + 2, len(events)))
    for k in range(len(events)):
        rates[: k + 1, k] = _rate(outcomes[known & ~had[:, k], k])
        rates[k + 1 :, k] = _rate(outcomes[known & had[:, k], k])
        rates[-1, k] = _rate(outcomes[~known, k])
    return np.asarray(np.minimum.accumulate(rates, axis=1))


def _threshold(rates: _Floats, k: int) -> float:
    """Return the middle between the rates of event k without and with it before.

    0.5 where the event is not more likely after an event: then no threshold separates them.
    """
    without, having = float(rates[: k + 1].max()), float(rates[k + 1 : -1].min())
    return (without + having) / 2 if having > without else 0.5


def _rate(outcome: NDArray[np.bool_]) -> float:
    return (np.count_nonzero(outcome) + 0.5) / (len(outcome) + 1)
