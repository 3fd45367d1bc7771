"""Entry point ``baseline``: the random forest on image statistics and magnetogram proxies."""

from collections.abc import Callable, Mapping

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
    log_tuning,
    on_validation,
    out_of_fold,
    training_folds,
)
from flare.workflows.fitting.environment import log_environment
from flare.workflows.fitting.out_of_fold import log_out_of_fold
from flare.workflows.fitting.registration import Trained, register
from flare.workflows.fitting.row_features import features_of
from flare.workflows.fitting.sample_predictions import log_sample_predictions
from flare.workflows.fitting.scoring import OutOfFoldForecasts, tuned_and_scored
from flare.workflows.fitting.training_data import TrainingData, marked, training_data


def run(config: BaselineConfig) -> Trained:
    """Fit, tune, score on validation, register."""
    name = f"forest {config.trees} trees, seed {config.seed}"
    with start("baseline", name=name, watch=True) as tracked:
        log_environment(tracked)
        tracked.log_config(config)
        data = training_data(config, tracked)
        settings = forest_settings(config)
        fitted, unseen = fit_and_forecast(
            data,
            settings,
            seed=config.seed,
            folds=config.folds,
            split_seed=config.split_seed,
        )
        ready, validated = tuned_and_scored(fitted, data, unseen, resamples=config.resamples)
        log_tuning(tracked, ready.postprocessing, unseen, data)
        if config.folds:
            log_out_of_fold(tracked, unseen, data)
        log_sample_predictions(tracked, ready, validated, data)
        importances = ready.importances()
        figure = marked(feature_importance(importances), data.pack)
        tracked.log_figure(figure, "figures/feature_importance.png")
        tracked.log_json(importances, "feature_importance.json")
        return register(
            tracked,
            ready,
            validated,
            data,
            family="forest",
            model_name=config.model_name,
            tuned_on=OUT_OF_FOLD if config.folds else ON_VALIDATION,
            settings=settings,
        )


def forest_settings(config: BaselineConfig) -> dict[str, float]:
    """Return the settings of the forest in the words of ``fit_forest``."""
    return {
        "n_trees": config.trees,
        "min_samples_leaf": config.min_samples_leaf,
        "max_features": config.max_features,
    }


def fit_on(data: TrainingData, settings: Mapping[str, float], *, seed: int) -> ForestForecaster:
    """Fit a forest on the training rows."""
    return fit_rows(training_features(data), data, data.split.train, settings, seed=seed)


def fit_and_forecast(
    data: TrainingData,
    settings: Mapping[str, float],
    *,
    seed: int,
    folds: int,
    split_seed: int,
) -> tuple[ForestForecaster, OutOfFoldForecasts]:
    """Fit a forest on the training rows; return it with forecasts to tune it on.

    ``folds`` 0 is without cross-validation, on the validation rows; ``split_seed`` deals them out.
    """
    numbers = training_folds(data, folds, seed=split_seed)
    features = training_features(data)  # once, for the forest and all folds
    forest = fit_rows(features, data, data.split.train, settings, seed=seed)
    if numbers is None:
        return forest, on_validation(forest, data, seed=split_seed)

    def without(known: Rows) -> Callable[[Rows], Forecast]:
        fold = fit_rows(features, data, known, settings, seed=seed)
        return lambda left: fold.predict_features(features[left])

    return forest, out_of_fold(data, without, numbers)


def training_features(data: TrainingData) -> NDArray[np.float64]:
    """Return features of all rows of the training split, NaN where they are not to be known."""
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
    """Fit a forest on some rows of the training split, given features (N, F) of all of them."""
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
