"""Entry point ``baseline``: a random forest on image statistics and magnetogram proxies."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flare.config import BaselineConfig
from flare.features.table import FEATURE_NAMES
from flare.forecast import Forecast
from flare.forecasters.base import ForecasterSpec
from flare.forecasters.forest import ForestForecaster, fit_forest
from flare.plots.training import feature_importance
from flare.tracking.runs import start
from flare.tracking.tags import ON_VALIDATION, OUT_OF_FOLD
from flare.workflows.fitting.cross_validation import (
    Rows,
    cross_validate,
    log_out_of_fold,
    log_postprocessing,
    training_folds,
    validation_forecasts,
)
from flare.workflows.fitting.environment import log_environment
from flare.workflows.fitting.registration import Trained, log_sample_predictions, register
from flare.workflows.fitting.scoring import OutOfFoldForecasts, postprocess_and_score
from flare.workflows.fitting.training_data import (
    TrainingData,
    features_of,
    mark_if_synthetic,
    training_data,
)


def run(config: BaselineConfig) -> Trained:
    """Fit and cross-validate a forest, fit its postprocessing, score and register it."""
    name = f"forest {config.trees} trees, seed {config.seed}"
    with start("baseline", name=name, watch=True) as tracked:
        log_environment(tracked)
        tracked.log_config(config)
        data = training_data(config, tracked)
        settings = forest_settings(config)
        forest, forecasts = fit_and_forecast(
            data,
            settings,
            seed=config.seed,
            folds=config.folds,
            split_seed=config.split_seed,
        )
        forest, validated = postprocess_and_score(
            forest, data, forecasts, resamples=config.resamples
        )
        log_postprocessing(tracked, forest.postprocessing, forecasts, data)
        if config.folds:
            log_out_of_fold(tracked, forecasts, data)
        log_sample_predictions(tracked, forest, validated, data)
        importances = forest.importances()
        figure = mark_if_synthetic(feature_importance(importances), data.pack)
        tracked.log_figure(figure, "figures/feature_importance.png")
        tracked.log_json(importances, "feature_importance.json")
        return register(
            tracked,
            forest,
            validated,
            data,
            family="forest",
            model_name=config.model_name,
            postprocessing_data=OUT_OF_FOLD if config.folds else ON_VALIDATION,
            settings=settings,
        )


def forest_settings(config: BaselineConfig) -> dict[str, float]:
    """Return the parameters of ``fit_forest``."""
    return {
        "n_trees": config.trees,
        "min_samples_leaf": config.min_samples_leaf,
        "max_features": config.max_features,
    }


def fit_and_forecast(
    data: TrainingData,
    settings: Mapping[str, float],
    *,
    seed: int,
    folds: int,
    split_seed: int,
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
