"""The scales of images and features that networks are given, measured once on all training rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare.config.network_groups import NetworkOptions
from flare.features.table import FEATURE_NAMES
from flare.models.normalisation import (
    ChannelNormalisation,
    Standardisation,
    fit_standardisation,
    normalisation_from_sums,
)
from flare.training.processes import fabric_for
from flare.workflows.fitting.training_data import TrainingData, features_of


@dataclass(frozen=True)
class NetworkInputs:
    """The scales of images and features, and float32 features (N, D) of all rows.

    They are measured once, on all training rows, and shared by the networks of all folds: they use
    no label, and no validation row. ``standardisation`` and ``features`` are None for networks
    without features.
    """

    normalisation: ChannelNormalisation
    standardisation: Standardisation | None
    features: NDArray[np.float32] | None

    @property
    def n_features(self) -> int:
        """Number of features that a network gets with the images."""
        return 0 if self.features is None else self.features.shape[1]


def prepare_inputs(data: TrainingData, options: NetworkOptions) -> NetworkInputs:
    """Measure the scales and compute the features, in rank zero for all processes."""
    fabric = fabric_for(options)
    inputs: NetworkInputs | None = None
    if fabric.is_global_zero:
        rows = data.split.train
        normalisation = normalisation_from_sums(
            data.plane_sums[rows], data.rows.present[rows], pixels=data.pack.image_size**2
        )
        inputs = NetworkInputs(normalisation, None, None)
        if options.features:
            inputs = NetworkInputs(normalisation, *_standardised_features(data))
    inputs = fabric.broadcast(inputs)
    assert inputs is not None
    return inputs


def _standardised_features(data: TrainingData) -> tuple[Standardisation, NDArray[np.float32]]:
    rows = np.concatenate([data.split.train, data.split.validation])
    table = np.full((len(data.rows), len(FEATURE_NAMES)), np.nan)
    table[rows] = features_of(data.rows, "features", rows)
    standardisation = fit_standardisation(table[data.split.train])
    return standardisation, standardisation(table)
