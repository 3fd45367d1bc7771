"""Fit a forest on packed rows, and forecast out of fold."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flare.config import BaselineConfig
from flare.features.table import FEATURE_NAMES
from flare.forecast import Forecast
from flare.forecasters.base import ForecasterSpec
from flare.forecasters.forest import ForestForecaster, fit_forest
from flare.workflows.fitting.cross_validation import (
    OutOfFoldForecasts,
    Rows,
    cross_validate,
    training_folds,
    validation_forecasts,
)
from flare.workflows.fitting.training_data import TrainingData, features_of


def forest_settings(config: BaselineConfig) -> dict[str, float]:
    """Return the parameters of ``fit_forest``."""
    return {
        "n_trees": config.trees,
        "min_samples_leaf": config.min_samples_leaf,
        "max_features": config.max_features,
    }


def fit_and_forecast(
    data: TrainingData, settings: Mapping[str, float], *, seed: int, folds: int, split_seed: int
) -> tuple[ForestForecaster, OutOfFoldForecasts]:
    """Fit a forest on the training rows; return it with forecasts to fit postprocessing on.

    Those are out of fold, or with 0 ``folds`` of the validation rows. ``split_seed`` chooses the
    folds.
    """
    numbers = training_folds(data, folds, seed=split_seed)
    features = training_features(data)  # once, for the forest and all folds
    forest = fit_rows(features, data, data.split.train, settings, seed=seed)
    if numbers is None:
        return forest, validation_forecasts(forest, data, seed=split_seed)

    def forecast(known: Rows, left_out: Rows) -> Forecast:
        fold = fit_rows(features, data, known, settings, seed=seed)
        return fold.predict_features(features[left_out])

    return forest, cross_validate(data, forecast, numbers)


def training_features(data: TrainingData) -> NDArray[np.float64]:
    """Return features (N, F) of the training rows; those of validation rows are NaN."""
    rows = data.split.train
    features = np.full((len(data.rows), len(FEATURE_NAMES)), np.nan)
    features[rows] = features_of(data.rows, "features", rows)
    return features


def fit_rows(
    features: NDArray[np.float64],
    data: TrainingData,
    rows: Rows,
    settings: Mapping[str, float],
    *,
    seed: int,
) -> ForestForecaster:
    """Fit a forest on some training rows, given features (N, F) of all of them."""
    return fit_forest(
        features[rows],
        data.peak_flux[rows],
        spec=ForecasterSpec(image_size=data.pack.image_size),
        origin=data.origin,
        seed=seed,
        n_trees=int(settings["n_trees"]),
        min_samples_leaf=int(settings["min_samples_leaf"]),
        max_features=float(settings["max_features"]),
    )
