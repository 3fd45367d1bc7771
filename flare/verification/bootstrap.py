"""How sure a score is: the bootstrap over active regions.

Samples of one region share images and labels, so drawing samples would make every interval too
narrow. Two forecasts are compared with the same weights for both: the interval of the difference is
then free of what both have in common, the regions that happened to be drawn.
Block bootstrap: Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 8.
"""

import numpy as np
from numpy.typing import ArrayLike

from flare.errors import VerificationInvalid
from flare.seeding import Stream, stream
from flare.verification.inputs import FloatArray


def region_weights(active_regions: ArrayLike, *, n_resamples: int = 1000, seed: int) -> FloatArray:
    """Draw as many active regions as there are, with replacement, and count their samples.

    Parameters
    ----------
    active_regions
        NOAA number of each sample, (N,).
    n_resamples
        R, at least 1.
    seed
        The same seed and regions give the same weights.

    Returns
    -------
    How often each sample counts in each resample: (R, N), whole numbers as float64, equal for all
    samples of a region.

    Raises
    ------
    VerificationInvalid
        There are no samples or no resamples.
    """
    regions = np.asarray(active_regions)
    if regions.ndim != 1 or regions.size == 0:
        raise VerificationInvalid(f"active regions have shape {regions.shape}; wanted (N,), N >= 1")
    if n_resamples < 1:
        raise VerificationInvalid(f"{n_resamples} resamples give no interval; ask for at least 1")
    names, index = np.unique(regions, return_inverse=True)
    generator = stream(seed, Stream.BOOTSTRAP)
    # Drawing G of G regions with replacement and counting them is one multinomial draw.
    draws = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), n_resamples)
    return draws.astype(np.float64)[:, index]


def interval(values: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of the resampled values (R,).

    Resamples in which the score is undefined (NaN) are left out; where they are more than half,
    both ends are NaN: there were too few events to say.

    Raises
    ------
    VerificationInvalid
        The level is not strictly between 0 and 1, or there are no values.
    """
    if not 0 < level < 1:
        raise VerificationInvalid(f"an interval level of {level} is outside 0..1; use e.g. 0.95")
    if values.size == 0:
        raise VerificationInvalid("no resampled values; ask for at least one resample")
    defined = values[~np.isnan(values)]
    if 2 * defined.size < values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
