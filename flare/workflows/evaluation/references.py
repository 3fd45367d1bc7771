"""Reference forecasts: what every model is compared with, fitted on the model's training regions.

A constant flux, climatology, the inversion line alone, logistic regression and the forest. The last
three use features, and their postprocessing is fitted out of fold, as that of the models. All are
fitted for each evaluation with the default settings, whatever is registered.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from flare.config import BaselineConfig
from flare.datasets.pack.reader import Pack, PackedSplit
from flare.datasets.splits import Split, region_groups
from flare.features.table import FEATURE_NAMES
from flare.forecast import Forecast
from flare.forecasters.base import FeatureForecaster, Forecaster, ForecasterSpec
from flare.forecasters.forest import ForestForecaster
from flare.forecasters.references.climatology import Climatology, fit_climatology, fit_constant
from flare.forecasters.references.logistic import PIL_PROXY, LogisticForecaster, fit_logistic
from flare.tracking.registry import version_tags
from flare.tracking.tags import FINGERPRINT_TAG
from flare.workflows.evaluation.comparison import CLIMATOLOGY, FOREST
from flare.workflows.fitting.cross_validation import (
    Rows,
    cross_validate,
    forecast_rows,
    training_folds,
    with_fitted_postprocessing,
)
from flare.workflows.fitting.forest import fit_rows, forest_settings, training_features
from flare.workflows.fitting.training_data import TrainingData, features_of
from flare.workflows.fitting.validation_forecasts import read_validation_forecasts
from flare.workflows.prediction.resolve_model import Resolved

LOGISTIC, INVERSION_LINE, CONSTANT = "logistic regression", "inversion line", "constant"

_DEFAULTS = BaselineConfig()

#: The reference forest is the one of `mlflow run . -e baseline` without parameters.
FOREST_SETTINGS = forest_settings(_DEFAULTS)

Featured = TypeVar("Featured", bound=FeatureForecaster)


def forecast_references(
    references: Mapping[str, Forecaster], rows: PackedSplit
) -> dict[str, Forecast]:
    """Forecast a split with each; features are computed once for all that use them."""
    features: NDArray[np.float64] | None = None
    forecasts = {}
    for name, one in references.items():
        if isinstance(one, FeatureForecaster) and one.spec.image_size == rows.cubes.shape[-1]:
            if features is None:
                features = features_of(rows, f"features of the {rows.name} split")
            forecasts[name] = one.predict_features(features)
        else:
            every = np.arange(len(rows))
            forecasts[name] = forecast_rows(one, rows, every, title=f"forecast {name}")
    return forecasts


def held_out_regions(model: Resolved, pack: Pack) -> frozenset[int]:
    """Return the validation regions of a registered version, NOAA numbers.

    Empty for a version of other data, for a model without a registered version, and for one
    without validation forecasts: its validation regions are unknown or meaningless here.
    """
    version = model.version
    if version is None or version_tags(version).get(FINGERPRINT_TAG) != pack.fingerprint:
        return frozenset()
    stored = read_validation_forecasts(version)
    return frozenset() if stored is None else frozenset(stored.observations.active_region.tolist())


def reference_data(pack: Pack, excluded_regions: Collection[int] = ()) -> TrainingData:
    """Return the training split without the active regions that a model was not trained on.

    No regions are reserved for validation: references choose nothing by it.
    """
    rows = pack.split("training")
    used = ~np.isin(rows.table["active_region"].to_numpy(), list(excluded_regions))
    none = np.empty(0, dtype=np.intp)
    return TrainingData(pack, rows, Split(np.flatnonzero(used), none, "reference forecasts"))


def fit_references(data: TrainingData) -> dict[str, Forecaster]:
    """Fit the references on the training rows; by name, in the order of the report."""
    features = training_features(data)
    spec = ForecasterSpec(image_size=data.pack.image_size)
    made: dict[str, Any] = {"spec": spec, "origin": data.origin}

    def forest(rows: Rows) -> ForestForecaster:
        return fit_rows(features, data, rows, FOREST_SETTINGS, seed=_DEFAULTS.seed)

    def logistic(rows: Rows, names: tuple[str, ...] = FEATURE_NAMES) -> LogisticForecaster:
        flux, regions = data.peak_flux[rows], data.active_regions[rows]
        return fit_logistic(features[rows], flux, regions, **made, names=names)

    return {
        FOREST: _postprocessed(data, features, forest),
        LOGISTIC: _postprocessed(data, features, logistic),
        INVERSION_LINE: _postprocessed(data, features, partial(logistic, names=(PIL_PROXY,))),
        CLIMATOLOGY: climatology_of(data),
        CONSTANT: fit_constant(data.peak_flux[data.split.train], **made),
    }


def climatology_of(data: TrainingData) -> Climatology:
    """Fit climatology on the training rows."""
    spec = ForecasterSpec(image_size=data.pack.image_size)
    return fit_climatology(data.peak_flux[data.split.train], spec=spec, origin=data.origin)


def _postprocessed(
    data: TrainingData, features: NDArray[np.float64], fit: Callable[[Rows], Featured]
) -> Featured:
    """Fit on all rows, with out-of-fold postprocessing; without where there are too few regions."""
    fitted = fit(data.split.train)
    n_folds = min(_DEFAULTS.folds, len(region_groups(data.rows.table.iloc[data.split.train])))
    if n_folds < 2:
        return fitted

    def forecast(training: Rows, left_out: Rows) -> Forecast:
        return fit(training).predict_features(features[left_out])

    folds = training_folds(data, n_folds, seed=_DEFAULTS.split_seed)
    assert folds is not None
    return with_fitted_postprocessing(fitted, data, cross_validate(data, forecast, folds))
