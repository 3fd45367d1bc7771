"""Entry point ``baseline``: the random forest on image statistics and magnetogram proxies."""

from collections.abc import Mapping

from flare.config import BaselineConfig
from flare.features.table import compute_features
from flare.forecasters.base import ForecasterSpec
from flare.forecasters.forest import ForestForecaster, fit_forest
from flare.plots.models import feature_importance
from flare.tracking.runs import start
from flare.workflows.data import TrainingData, marked, training_data
from flare.workflows.registering import Trained, register
from flare.workflows.scoring import tuned_and_scored


def run(config: BaselineConfig) -> Trained:
    """Fit, tune, score on validation, register."""
    name = f"forest {config.trees} trees, seed {config.seed}"
    with start("baseline", name=name) as tracked:
        tracked.log_params(config.model_dump())
        data = training_data(config, tracked)
        settings = forest_settings(config)
        fitted = fit_on(data, settings, seed=config.seed)
        ready, card = tuned_and_scored(fitted, data, resamples=config.resamples)
        importances = ready.importances()
        figure = marked(feature_importance(importances), data.pack)
        tracked.log_figure(figure, "figures/feature_importance.png")
        tracked.log_json(importances, "feature_importance.json")
        return register(
            tracked,
            ready,
            card,
            data,
            family="forest",
            model_name=config.model_name,
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
    rows = data.split.train
    features = compute_features(data.rows.cubes[rows], data.rows.present[rows])
    return fit_forest(
        features,
        data.peak_flux[rows],
        spec=ForecasterSpec(image_size=data.pack.image_size),
        origin=data.origin,
        seed=seed,
        n_trees=int(settings["n_trees"]),
        min_samples_leaf=int(settings["min_samples_leaf"]),
        max_features=float(settings["max_features"]),
    )
