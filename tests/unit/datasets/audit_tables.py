"""Small tables of samples with the columns of `read_table`, for the audit's tests."""

from collections.abc import Sequence

import pandas as pd

QUIET, C, M = 1e-9, 4e-6, 3e-5

BEGIN = pd.Timestamp("2014-01-01")


def sample(
    region: int,
    day: float,
    *,
    index: int = 0,
    range_day: float | None = None,
    flux: float = QUIET,
) -> dict[str, object]:
    """Return a sample whose window of 12 h begins so many days after 2014 does."""
    start = BEGIN + pd.Timedelta(days=day)
    of_range = BEGIN + pd.Timedelta(days=day if range_day is None else range_day)
    return {
        "id": f"{region}_{of_range:%Y_%m_%d_%H_%M_%S}_{index}",
        "active_region": region,
        "start": start,
        "end": start + pd.Timedelta(hours=12),
        "peak_flux": flux,
        "window_index": index,
    }


def table_of(samples: Sequence[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(samples)


def regions(first: int, count: int, *, samples: int = 3, flux: float = C) -> pd.DataFrame:
    """Return regions far from each other in number and time, their samples a day apart."""
    return table_of(
        [
            sample(first + 10 * k, 20 * k + day, index=day, flux=flux)
            for k in range(count)
            for day in range(samples)
        ]
    )
