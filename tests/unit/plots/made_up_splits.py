"""Splits as a census returns them, made of numbers: no image is read for a figure."""

import numpy as np
import pandas as pd

from flare.datasets.sdobenchmark.census import SplitCensus
from flare.datasets.sdobenchmark.findings import gather
from flare.sample import CHANNELS

FLUXES = (1e-9, 3e-7, 2e-6, 4e-5, 2e-4)


def made_up_split(
    name: str = "test",
    *,
    samples: int = 40,
    days: float = 2500,
    absent: tuple[str, ...] = (),
    fading: float = 1.0,
) -> SplitCensus:
    """Return a split of two samples a region, evenly spread over so many days from 2010-06 on.

    Every tenth image of 94 is missing, and all of the channels in ``absent``. All images are as
    bright as each other at first, and ``fading`` times as many grey levels in the end.
    """
    end = pd.Timestamp("2010-06-01 12:00") + pd.to_timedelta(np.linspace(0, days, samples), "D")
    flux = [FLUXES[k % len(FLUXES)] for k in range(samples)]
    table = pd.DataFrame(
        {
            "id": [f"{11000 + k // 2}_{k}" for k in range(samples)],
            "active_region": 11000 + np.arange(samples) // 2,
            "start": end - pd.Timedelta(hours=12),
            "end": end,
            "peak_flux": flux,
            "window_index": np.arange(samples) % 2,
        }
    )
    present = np.ones((samples, 4, 10), dtype=np.bool_)
    present[::10, :, 0] = False
    for channel in absent:
        present[..., CHANNELS.index(channel)] = False
    levels = 120 * np.linspace(1, fading, samples)[:, None, None]
    grey = np.where(present, levels, np.nan).astype(np.float32)
    return SplitCensus(name, table, present, grey, present.sum(axis=0), 0.0, gather([]))
