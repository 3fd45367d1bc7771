"""Compute the table of features that forecasters learn from, one row per sample.

Columns are made from pixels and the present mask alone. No id, start or time of day is used:
in this dataset they leak the label.
"""

import numpy as np
from numpy.typing import NDArray

from flare.features.magnetic import PROXY_NAMES, magnetic_proxies, overlap_weights
from flare.features.statistics import (
    INTENSITY_NAMES,
    STATISTIC_NAMES,
    STRUCTURE_NAMES,
    histograms,
    intensities,
    shrunk,
    statistics,
    structure,
)
from flare.sample import CHANNELS, MAGNETOGRAM, N_CHANNELS, N_STEPS, PIXEL_SCALES, Cube, Present

_AIA = [k for k, channel in enumerate(CHANNELS) if PIXEL_SCALES[channel].log10]
_IMAGES = [k for k in range(N_CHANNELS) if k != MAGNETOGRAM]

#: Of one image each. ``line``: mean grey level where the magnetogram's polarities overlap.
_MEASURES: tuple[str, ...] = (
    *(f"{channel}_{name}" for channel in CHANNELS for name in STATISTIC_NAMES),
    *(f"{CHANNELS[k]}_{name}" for k in _AIA for name in INTENSITY_NAMES),
    *(f"{CHANNELS[k]}_{name}" for k in _IMAGES for name in STRUCTURE_NAMES),
    *(f"{CHANNELS[k]}_line" for k in _IMAGES),
    *(f"magnetogram_{name}" for name in PROXY_NAMES),
)
_CHANGING = {"mean", "intensity", "excess", "line", *PROXY_NAMES}
_WITH_CHANGE = [k for k, name in enumerate(_MEASURES) if name.split("_", 1)[1] in _CHANGING]

#: Which channels a measure depends on, (measures, C).
_CHANNELS_OF = np.array(
    [
        [
            channel == name.split("_")[0] or (name.endswith("_line") and channel == "magnetogram")
            for channel in CHANNELS
        ]
        for name in _MEASURES
    ]
)

#: ``last`` is of the last image present, ``change`` its difference from the first one present.
FEATURE_NAMES: tuple[str, ...] = (
    *(f"{name}_last" for name in _MEASURES),
    *(f"{_MEASURES[k]}_change" for k in _WITH_CHANGE),
    "present_share",
)

_CHUNK = 64  # samples whose planes are gathered at once: 42 MB at 256 pixels


def compute_features(cubes: Cube, present: Present) -> NDArray[np.float64]:
    """Compute the features of N samples.

    ``cubes`` are uint8 (N, 4, 10, S, S) and may be mapped from a file; ``present`` is bool (N, 4,
    10), and a plane that is False is ignored.

    Returns float64 (N, F) in the order of ``FEATURE_NAMES``. NaN where no image of the channel is
    present, and in a ``change`` where only one is; a ``line`` needs as many magnetograms. A row
    does not depend on the others.
    """
    features = np.empty((len(cubes), len(FEATURE_NAMES)))
    for first in range(0, len(cubes), _CHUNK):
        part = slice(first, first + _CHUNK)
        features[part] = _features_of_chunk(cubes[part], present[part])
    return features


def _features_of_chunk(cubes: Cube, present: Present) -> NDArray[np.float64]:
    samples, channels = np.arange(len(cubes))[:, None], np.arange(N_CHANNELS)
    first = present.argmax(axis=1)  # (n, C), step of the first image present
    last = N_STEPS - 1 - present[:, ::-1].argmax(axis=1)
    newest = _measures(cubes[samples, last, channels])  # (n, measures)
    change = newest - _measures(cubes[samples, first, channels])
    images = np.broadcast_to(present.sum(axis=1)[:, None], (len(cubes), *_CHANNELS_OF.shape))
    fewest = images.min(axis=2, where=_CHANNELS_OF, initial=N_STEPS)  # (n, measures)
    newest[fewest < 1] = np.nan
    change[fewest < 2] = np.nan
    share = present.mean(axis=(1, 2))
    return np.column_stack([newest, change[:, _WITH_CHANGE], share])


def _measures(planes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the measures of one image a channel, (n, measures) from (n, C, S, S)."""
    n = len(planes)
    counts = histograms(planes.reshape(-1, *planes.shape[2:])).reshape(n, N_CHANNELS, 256)
    small = shrunk(planes[:, _IMAGES])
    weights = overlap_weights(planes[:, MAGNETOGRAM])[:, None]
    return np.concatenate(
        [
            statistics(counts.reshape(-1, 256)).reshape(n, -1),
            *(intensities(counts[:, k], CHANNELS[k]) for k in _AIA),
            structure(small).reshape(n, -1),
            (small * weights).sum(axis=(2, 3)),
            magnetic_proxies(planes[:, MAGNETOGRAM]),
        ],
        axis=1,
    )
