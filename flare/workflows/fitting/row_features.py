"""Features of packed rows, piece by piece: images of a whole split at 256 pixels are 24 GB."""

import numpy as np
from numpy.typing import NDArray

from flare.datasets.pack.reader import PackedSplit
from flare.features.table import FEATURE_NAMES, compute_features
from flare.progress import bar

_PIECE = 32  # samples: 84 MB of images at 256 pixels


def features_of(
    packed: PackedSplit, title: str, rows: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Compute the features of some rows of a split, by default all, with a progress bar: (n, F)."""
    chosen = np.arange(len(packed)) if rows is None else rows
    features = np.empty((len(chosen), len(FEATURE_NAMES)))
    for first in bar(title, unit="pieces")(range(0, len(chosen), _PIECE)):
        piece = slice(first, first + _PIECE)
        some = chosen[piece]
        features[piece] = compute_features(packed.cubes[some], packed.present[some])
    return features
