"""Active-region persistence: what a region did in the last window that is over, it does again.

It is made from labels alone, and so only where a region had an earlier window whose 24 hours are
over at the time of issue: what flared in a window that is still open nobody knows yet. Elsewhere
the climatology of such samples of the training split stands in.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.errors import DatasetInvalid
from flare.forecast import LOG10_FLUX_RANGE, Forecast
from flare.goes import EVENTS, event_outcomes
from flare.sample import FORECAST_WINDOW_HOURS

#: What the rival is called.
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

    The flux is that of the earlier window, its interval the quantiles of what training added to
    it. The probability of an event is how often it followed in training on a window that had it,
    or had it not, (k + 1/2) / (n + 1). The threshold lies between the two, so that the alarm is
    plain persistence. Where no window is over, flux, interval and rates are those of the training
    samples of which this is true as well; where training has no sample with an earlier window,
    nothing can be learnt and persistence is defined nowhere.

    Parameters
    ----------
    table
        Labels of the samples to forecast, as ``read_table`` returns them. Earlier windows are
        looked for here: give all windows of a region.
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
    learnt = _learn(earlier_flux(training), labels, events, (1 - interval_level) / 2)
    earlier = earlier_flux(table)
    if learnt.never:
        earlier[:] = np.nan
    return learnt.issue(earlier, events)


def earlier_flux(table: pd.DataFrame) -> _Floats:
    """Return the label of each sample's last window that was over when it was issued, (N,).

    That is the latest window of the same active region whose forecast window had ended by the end
    of this sample's input. Samples of one range never count for each other: they share a label,
    whenever they were issued. Of windows that end together the stronger counts; NaN where there
    is none.
    """
    window = np.timedelta64(FORECAST_WINDOW_HOURS, "h")
    issue_time = table["end"].to_numpy()
    label = table["peak_flux"].to_numpy(dtype=np.float64)
    sample_range = table["id"].str.rpartition("_")[0].to_numpy()
    found = np.full(len(table), np.nan)
    region = table["active_region"].to_numpy()
    for number in np.unique(region):
        rows = np.flatnonzero(region == number)
        ordered = rows[np.lexsort((label[rows], issue_time[rows]))]
        for row in rows:
            over = ordered[
                (issue_time[ordered] + window <= issue_time[row])
                & (sample_range[ordered] != sample_range[row])
            ]
            if len(over):
                found[row] = label[over[-1]]
    return found


@dataclass(frozen=True)
class _Learnt:
    """What training says of a sample whose earlier window had 0, 1, ... E events, or is unknown.

    ``probability`` is (E + 2, E), the last row for unknown. ``residuals`` are the ends of the
    interval in dex from the earlier flux, ``climatology`` low, median and high log10 flux of the
    unknown. ``never`` says that training had no earlier window at all.
    """

    probability: _Floats
    residuals: tuple[float, float]
    climatology: tuple[float, float, float]
    never: bool

    def issue(self, earlier: _Floats, events: tuple[str, ...]) -> Forecast:
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

        Where it is not the likelier after it happened, no threshold can say that it did.
        """
        without = float(self.probability[: k + 1, k].max())
        having = float(self.probability[k + 1 : -1, k].min())
        return (without + having) / 2 if having > without else 0.5


def _learn(earlier: _Floats, label: _Floats, events: tuple[str, ...], tail: float) -> _Learnt:
    known = np.isfinite(earlier)
    outcomes = event_outcomes(label, events)
    had = event_outcomes(earlier, events)
    unknown = ~known  # never empty: a region's first window has none before it
    probability = np.empty((len(events) + 2, len(events)))
    for k in range(len(events)):
        probability[: k + 1, k] = _rate(outcomes[known & ~had[:, k], k])
        probability[k + 1 :, k] = _rate(outcomes[known & had[:, k], k])
        probability[-1, k] = _rate(outcomes[unknown, k])
    ends = [tail, 0.5, 1 - tail]
    low, median, high = np.quantile(np.log10(label[unknown]), ends)
    added = np.log10(label[known]) - np.log10(earlier[known])
    least, _, most = np.quantile(added, ends) if known.any() else (0.0, 0.0, 0.0)
    return _Learnt(
        probability=np.minimum.accumulate(probability, axis=1),
        residuals=(min(float(least), 0.0), max(float(most), 0.0)),
        climatology=(float(low), float(median), float(high)),
        never=not known.any(),
    )


def _rate(happened: NDArray[np.bool_]) -> float:
    return (np.count_nonzero(happened) + 0.5) / (len(happened) + 1)
