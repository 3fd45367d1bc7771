"""Time along the x axis: as days since 1970, which matplotlib takes for dates."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from numpy.typing import NDArray

_NANOSECONDS_A_DAY = 86_400e9


def days_of(times: Any) -> NDArray[np.float64]:
    """Turn times, any sequence that pandas can read, into days since 1970."""
    nanoseconds = pd.DatetimeIndex(times).to_numpy().astype("datetime64[ns]").astype(np.int64)
    return np.asarray(nanoseconds / _NANOSECONDS_A_DAY)


def period_days(periods: pd.PeriodIndex) -> NDArray[np.float64]:
    """Return where consecutive periods begin, and where the last one ends, (periods + 1,)."""
    after = (periods[-1] + 1).start_time
    return days_of([*periods.start_time, after])


def date_ticks(axes: Axes, *, most: int, year_below: bool = True) -> None:
    """Give an x axis of days some ticks with dates; what they have in common stands once, below."""
    locator = AutoDateLocator(minticks=2, maxticks=most)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(locator, show_offset=year_below)  # type: ignore[no-untyped-call]
    )
