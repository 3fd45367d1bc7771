"""Which parts of a split are scored by themselves.

A score on everything hides where it comes from: SDOBenchmark's samples of index 1 and above often
end inside the flare that they should forecast, some lack images, and each year has another Sun.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.goes import CLASS_LETTERS, LABEL_SCALES, QUIET_FLUX, class_index
from flare.sample import Present

Rows = NDArray[np.bool_]

ALL, FORECAST_CLEAN, COMPLETE = "all", "forecast_clean", "complete"

#: What each subset is, for readers; years and classes explain themselves.
MEANING = {
    ALL: "every sample of the split, whatever images it lacks",
    FORECAST_CLEAN: "without flaring samples of index 1 and above, whose last image may show the "
    "flare itself",
    COMPLETE: "all 40 images present",
}


def subsets_of(table: pd.DataFrame, present: Present, *, scale: str = "raw") -> dict[str, Rows]:
    """Return which of N samples belong to each subset, in the order in which to report them.

    Parameters
    ----------
    table
        Labels as ``read_table`` returns them, N rows.
    present
        bool (N, T, C).
    scale
        Label scale on which the observed classes are meant.

    Returns
    -------
    From the name - ``all``, ``forecast_clean``, ``complete``, ``class_quiet``, ``class_B`` to
    ``class_X``, ``year_2014`` ... - to booleans (N,). Subsets without a sample are left out.
    """
    flux = table["peak_flux"].to_numpy(dtype=np.float64)
    flaring = flux > QUIET_FLUX
    classes = class_index(flux * LABEL_SCALES[scale])
    years = pd.DatetimeIndex(table["end"]).year.to_numpy()
    found = {
        ALL: np.ones(len(table), dtype=np.bool_),
        FORECAST_CLEAN: ~(flaring & (sample_index(table) >= 1)),
        COMPLETE: np.asarray(present.all(axis=(1, 2))),
        "class_quiet": ~flaring,
        **{
            f"class_{letter}": flaring & (classes == index)
            for index, letter in enumerate(CLASS_LETTERS)
        },
        **{f"year_{year}": years == year for year in np.unique(years)},
    }
    return {name: rows for name, rows in found.items() if rows.any()}


def sample_index(table: pd.DataFrame) -> NDArray[np.intp]:
    """Return the number of each sample within its range, the last part of its id."""
    last = table["id"].str.rpartition("_")[2]
    return np.asarray(last.to_numpy(dtype=np.str_), dtype=np.intp)
