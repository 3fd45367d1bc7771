"""Entry point ``baseline``: a random forest on image statistics and magnetogram proxies."""

from flare.config import BaselineConfig
from flare.plots.training import feature_importance
from flare.tracking.runs import start
from flare.tracking.tags import ON_VALIDATION, OUT_OF_FOLD
from flare.workflows.fitting.cross_validation import log_out_of_fold
from flare.workflows.fitting.environment import log_environment
from flare.workflows.fitting.forest import fit_and_forecast, forest_settings
from flare.workflows.fitting.registration import Trained, postprocess_and_register
from flare.workflows.fitting.training_data import mark_if_synthetic, training_data


def run(config: BaselineConfig) -> Trained:
    """Fit and cross-validate a forest, fit its postprocessing, score and register it."""
    name = f"forest {config.trees} trees, seed {config.seed}"
    with start("baseline", name=name, watch=True) as tracked:
        log_environment(tracked)
        tracked.log_config(config)
        data = training_data(config, tracked)
        settings = forest_settings(config)
        forest, forecasts = fit_and_forecast(
            data, settings, seed=config.seed, folds=config.folds, split_seed=config.split_seed
        )
        if config.folds:
            log_out_of_fold(tracked, forecasts, data)
        importances = forest.importances()
        figure = mark_if_synthetic(feature_importance(importances), data.pack)
        tracked.log_figure(figure, "figures/feature_importance.png")
        tracked.log_json(importances, "feature_importance.json")
        return postprocess_and_register(
            tracked,
            forest,
            data,
            forecasts,
            family="forest",
            model_name=config.model_name,
            postprocessing_data=OUT_OF_FOLD if config.folds else ON_VALIDATION,
            resamples=config.resamples,
            settings=settings,
        )
