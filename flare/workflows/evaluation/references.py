"""Reference forecasts: what every model is compared with, fitted on the model's training regions.

A constant flux, climatology, the inversion line alone, logistic regression and the forest. The last
three learn from features and are tuned out of fold, as the models are. All are fitted afresh with
the default settings: what is registered changes none of them.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from flare.config import BaselineConfig
from flare.datasets.pack.reader import Pack, PackedSplit
from flare.datasets.splits import Split, region_groups
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster, ForecasterSpec
from flare.forecasters.forest import ForestForecaster
from flare.forecasters.postprocessing.fit import fit_postprocessing
from flare.forecasters.references.climatology import fit_climatology, fit_constant
from flare.forecasters.references.logistic import (
    LogisticForecaster,
    fit_inversion_line,
    fit_logistic,
)
from flare.workflows.baseline import fit_rows, forest_settings, training_features
from flare.workflows.evaluation.comparison import CLIMATOLOGY, FOREST
from flare.workflows.fitting.cross_validation import Rows, out_of_fold, training_folds
from flare.workflows.fitting.row_features import features_of
from flare.workflows.fitting.scoring import forecast_rows
from flare.workflows.fitting.training_data import TrainingData

LOGISTIC, INVERSION_LINE, CONSTANT = "logistic regression", "inversion line", "constant"

_USUAL = BaselineConfig()

#: The reference forest is the one of `mlflow run . -e baseline` without parameters.
FOREST_SETTINGS = forest_settings(_USUAL)

Featured = TypeVar("Featured", ForestForecaster, LogisticForecaster)


@dataclass(frozen=True)
class References:
    """Rivals by what to call them, in the order in which to report them."""

    forecasters: dict[str, Forecaster]

    def issue(self, rows: PackedSplit) -> dict[str, Forecast]:
        """Forecast a split; features are computed once for all that want them."""
        features: NDArray[np.float64] | None = None
        forecasts = {}
        for name, one in self.forecasters.items():
            whole = one.spec.image_size == rows.cubes.shape[-1]
            if isinstance(one, ForestForecaster | LogisticForecaster) and whole:
                if features is None:
                    features = features_of(rows, f"features of the {rows.name} split")
                forecasts[name] = one.predict_features(features)
            else:
                every = np.arange(len(rows))
                forecasts[name] = forecast_rows(one, rows, every, title=f"forecast {name}")
        return forecasts


def reference_data(pack: Pack, held_out: Collection[int] = ()) -> TrainingData:
    """Return the training split without the active regions that a model was not trained on.

    Nothing is held out for validation instead: reference forecasts choose nothing by it.
    """
    rows = pack.split("training")
    used = ~np.isin(rows.table["active_region"].to_numpy(), list(held_out))
    none = np.empty(0, dtype=np.intp)
    return TrainingData(pack, rows, Split(np.flatnonzero(used), none, "reference forecasts"))


def fit_references(data: TrainingData) -> References:
    """Fit the reference forecasts on the training rows, with the default settings each."""
    features = training_features(data)
    climatology = climatology_of(data)
    constant = fit_constant(
        data.peak_flux[data.split.train],
        spec=ForecasterSpec(image_size=data.pack.image_size),
        origin=data.origin,
    )
    return References(
        {
            FOREST: _tuned(data, features, _forest_on(data, features)),
            LOGISTIC: _tuned(data, features, _linear_on(fit_logistic, data, features)),
            INVERSION_LINE: _tuned(data, features, _linear_on(fit_inversion_line, data, features)),
            CLIMATOLOGY: climatology,
            CONSTANT: constant,
        }
    )


def climatology_of(data: TrainingData) -> Forecaster:
    """Fit climatology on the training rows."""
    return fit_climatology(
        data.peak_flux[data.split.train],
        spec=ForecasterSpec(image_size=data.pack.image_size),
        origin=data.origin,
    )


def _forest_on(
    data: TrainingData, features: NDArray[np.float64]
) -> Callable[[Rows], ForestForecaster]:
    return lambda rows: fit_rows(features, data, rows, FOREST_SETTINGS, seed=_USUAL.seed)


def _linear_on(
    fit_one: Callable[..., LogisticForecaster],
    data: TrainingData,
    features: NDArray[np.float64],
) -> Callable[[Rows], LogisticForecaster]:
    def fit(rows: Rows) -> LogisticForecaster:
        return fit_one(
            features[rows],
            data.peak_flux[rows],
            data.active_regions[rows],
            spec=ForecasterSpec(image_size=data.pack.image_size),
            origin=data.origin,
        )

    return fit


def _tuned(
    data: TrainingData, features: NDArray[np.float64], fit: Callable[[Rows], Featured]
) -> Featured:
    """Fit on all rows, and tune out of fold; untuned where there are too few regions to part."""
    fitted = fit(data.split.train)
    n_folds = min(_USUAL.folds, len(region_groups(data.rows.table.iloc[data.split.train])))
    if n_folds < 2:
        return fitted

    def without(known: Rows) -> Callable[[Rows], Forecast]:
        part = fit(known)
        return lambda left: part.predict_features(features[left])

    folds = training_folds(data, n_folds, seed=_USUAL.split_seed)
    assert folds is not None
    unseen = out_of_fold(data, without, folds)
    level = fitted.spec.interval_level
    postprocessing = fit_postprocessing(
        unseen.forecast,
        data.peak_flux[unseen.rows],
        unseen.folds,
        level=level,
        regions=data.active_regions[unseen.rows],
    )
    return fitted.with_postprocessing(postprocessing)
