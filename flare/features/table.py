"""The table of features that the forest learns from: one row per sample, the same columns always.

Columns are made from pixels and the present mask alone. No id, start or time of day comes in:
in this dataset they tell the label.
"""

import numpy as np
from numpy.typing import NDArray

from flare.features.magnetic import PROXY_NAMES, magnetic_proxies
from flare.features.statistics import STATISTIC_NAMES, histograms, statistics
from flare.sample import CHANNELS, MAGNETOGRAM, N_CHANNELS, N_STEPS, Cube, Present

#: ``last`` is of the last image present, ``change`` its difference from the first one present.
FEATURE_NAMES: tuple[str, ...] = (
    *(f"{channel}_{name}_last" for channel in CHANNELS for name in STATISTIC_NAMES),
    *(f"{channel}_mean_change" for channel in CHANNELS),
    *(f"magnetogram_{name}_last" for name in PROXY_NAMES),
    *(f"magnetogram_{name}_change" for name in PROXY_NAMES),
    "present_share",
)

_CHUNK = 64  # samples whose planes are gathered at once: 42 MB at 256 pixels


def compute_features(cubes: Cube, present: Present) -> NDArray[np.float64]:
    """Compute the features of N samples.

    Parameters
    ----------
    cubes
        uint8 (N, 4, 10, S, S); may be mapped from a file, a part of it is read at a time.
    present
        bool (N, 4, 10); a plane that is False is not looked at.

    Returns
    -------
    float64 (N, F) in the order of ``FEATURE_NAMES``. NaN where no image of the channel is present,
    and in a ``change`` where only one is. A row does not depend on the others.
    """
    features = np.empty((len(cubes), len(FEATURE_NAMES)))
    for first in range(0, len(cubes), _CHUNK):
        part = slice(first, first + _CHUNK)
        features[part] = _features_of_chunk(cubes[part], present[part])
    return features


def _features_of_chunk(cubes: Cube, present: Present) -> NDArray[np.float64]:
    n = len(cubes)
    samples, channels = np.arange(n)[:, None], np.arange(N_CHANNELS)
    first = present.argmax(axis=1)  # (n, C), step of the first image present
    last = N_STEPS - 1 - present[:, ::-1].argmax(axis=1)
    oldest, newest = cubes[samples, first, channels], cubes[samples, last, channels]
    counted = statistics(histograms(newest.reshape(-1, *newest.shape[2:]))).reshape(
        n, N_CHANNELS, -1
    )
    mean_change = counted[..., 0] - oldest.mean(axis=(2, 3), dtype=np.float64)
    proxies = magnetic_proxies(newest[:, MAGNETOGRAM])
    proxy_change = proxies - magnetic_proxies(oldest[:, MAGNETOGRAM])

    images = present.sum(axis=1)  # (n, C)
    counted[images == 0] = np.nan
    mean_change[images < 2] = np.nan
    proxies[images[:, MAGNETOGRAM] == 0] = np.nan
    proxy_change[images[:, MAGNETOGRAM] < 2] = np.nan
    share = present.mean(axis=(1, 2))
    return np.column_stack([counted.reshape(n, -1), mean_change, proxies, proxy_change, share])
