"""What networks are given of the packed rows: normalised images and standardised features.

Both scales are measured once, on all training rows, and shared by the networks of all folds: they
look at no label, and validation rows have no part in them.
"""

from dataclasses import dataclass

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray

from flare.features.table import FEATURE_NAMES
from flare.models.normalisation import (
    ChannelNormalisation,
    Standardisation,
    fit_standardisation,
    normalisation_from_sums,
)
from flare.workflows.fitting.row_features import features_of
from flare.workflows.fitting.training_data import TrainingData


@dataclass(frozen=True)
class NetworkInputs:
    """The scales of images and features, and float32 features (N, D) of all rows.

    Both are None for networks that get no features.
    """

    normalisation: ChannelNormalisation
    standardisation: Standardisation | None
    features: NDArray[np.float32] | None

    @property
    def n_features(self) -> int:
        """How many numbers a network gets with the images."""
        return 0 if self.features is None else self.features.shape[1]


def prepare_inputs(data: TrainingData, fabric: Fabric, *, features: bool) -> NetworkInputs:
    """Measure the scales and compute the features, in the first process for all of them."""
    inputs = None
    if fabric.is_global_zero:
        normalisation = _normalisation(data)
        inputs = NetworkInputs(normalisation, *(_features(data) if features else (None, None)))
    shared: NetworkInputs | None = fabric.broadcast(inputs)
    assert shared is not None
    return shared


def _normalisation(data: TrainingData) -> ChannelNormalisation:
    rows, pixels = data.split.train, data.pack.image_size**2
    sums, present = data.plane_sums[rows], data.rows.present[rows]
    return normalisation_from_sums(sums, present, pixels=pixels)


def _features(data: TrainingData) -> tuple[Standardisation, NDArray[np.float32]]:
    rows = np.concatenate([data.split.train, data.split.validation])
    table = np.full((len(data.rows), len(FEATURE_NAMES)), np.nan)
    table[rows] = features_of(data.rows, "features", rows)
    standardisation = fit_standardisation(table[data.split.train])
    return standardisation, standardisation(table)
