"""What every model is scored beside, each fitted on the training split of the same data.

A constant flux, climatology, the inversion line alone, logistic regression and the forest. All but
the first two learn from the features of whole training regions and are tuned out of fold, as the
models are.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from flare.config import BaselineConfig
from flare.datasets.packed import Pack, PackedSplit
from flare.datasets.splits import Split, region_groups
from flare.forecasters.base import Forecast, Forecaster, ForecasterSpec
from flare.forecasters.climatology import fit_climatology
from flare.forecasters.constant import fit_constant
from flare.forecasters.forest import ForestForecaster
from flare.forecasters.logistic import LogisticForecaster
from flare.forecasters.logistic_fit import fit_inversion_line, fit_logistic
from flare.forecasters.tuning import tune
from flare.goes import EVENTS
from flare.tracking.names import FINGERPRINT_TAG
from flare.tracking.registry import version_tags, versions
from flare.verification.scorecard import Issued
from flare.workflows.baseline import fit_rows, forest_settings
from flare.workflows.comparison import CLIMATOLOGY
from flare.workflows.crossval import Rows, out_of_fold, training_folds
from flare.workflows.data import TrainingData, origin_of
from flare.workflows.models import of_version
from flare.workflows.row_features import features_of
from flare.workflows.scoring import forecast_rows, issued

log = logging.getLogger("flare")

LOGISTIC, INVERSION_LINE, CONSTANT = "logistic regression", "inversion line", "constant"
FOREST_HERE = "forest (fitted here)"

#: How many folds the rivals are tuned with.
FOLDS = 5


Featured = TypeVar("Featured", ForestForecaster, LogisticForecaster)


@dataclass(frozen=True)
class Rivals:
    """Rivals by what to call them, in the order in which to report them."""

    forecasters: dict[str, Forecaster]

    def issue(self, rows: PackedSplit) -> dict[str, Issued]:
        """Forecast a split; features are computed once for all that want them."""
        features: NDArray[np.float64] | None = None
        told = {}
        for name, one in self.forecasters.items():
            whole = one.spec.image_size == rows.cubes.shape[-1]
            if isinstance(one, ForestForecaster | LogisticForecaster) and whole:
                if features is None:
                    features = features_of(rows, f"features of the {rows.name} split")
                told[name] = issued(one, one.predict_features(features))
            else:
                every = np.arange(len(rows))
                told[name] = issued(one, forecast_rows(one, rows, every, title=f"forecast {name}"))
        return told


def rivals_of(pack: Pack, model_name: str, *, beside: Collection[str]) -> Rivals:
    """Fit the rivals on the training split of a pack.

    Of the forest the newest registered one of the same data is taken, if there is one; it is left
    out where one of the models that it would stand ``beside`` is that forest, by its digest.
    """
    data = _whole_training_split(pack)
    features = features_of(data.rows, "features of the training split")
    found: dict[str, Forecaster] = {}
    forest = _registered_forest(pack, model_name, beside=beside)
    if forest is None:
        log.info("no forest of this data is registered: fitting one with the default settings")
        found[FOREST_HERE] = _tuned(data, features, _forest_on(data, features))
    elif forest[1] is not None:
        found[forest[0]] = forest[1]
    for name, fit in ((LOGISTIC, fit_logistic), (INVERSION_LINE, fit_inversion_line)):
        found[name] = _tuned(data, features, _linear_on(fit, data, features))
    found[CLIMATOLOGY] = climatology_of(pack)
    found[CONSTANT] = fit_constant(
        data.peak_flux, spec=ForecasterSpec(image_size=pack.image_size), origin=data.origin
    )
    return Rivals(found)


def climatology_of(pack: Pack) -> Forecaster:
    """Fit climatology on the whole training split of a pack."""
    rows = pack.split("training")
    return fit_climatology(
        rows.table["peak_flux"].to_numpy(dtype=np.float64),
        spec=ForecasterSpec(image_size=pack.image_size),
        origin=origin_of(pack, rows),
    )


def _whole_training_split(pack: Pack) -> TrainingData:
    """Return the training split with no row kept for validation: rivals choose nothing by one."""
    rows = pack.split("training")
    none = np.empty(0, dtype=np.intp)
    return TrainingData(pack, rows, Split(np.arange(len(rows)), none, "whole"))


def _registered_forest(
    pack: Pack, model_name: str, *, beside: Collection[str]
) -> tuple[str, Forecaster | None] | None:
    """Return the newest registered forest of the data; no forecaster if it is the model itself."""
    for version in versions(model_name):
        fingerprint = version_tags(version).get(FINGERPRINT_TAG)
        if version.kind != "forest" or fingerprint != pack.fingerprint:
            continue
        found = of_version(version)
        if found.digest in beside:
            return found.label, None
        spec = found.forecaster.spec
        if pack.image_size % spec.image_size == 0 and set(EVENTS) <= set(spec.events):
            return found.label, found.forecaster
    return None


def _forest_on(
    data: TrainingData, features: NDArray[np.float64]
) -> Callable[[Rows], ForestForecaster]:
    usual = BaselineConfig()
    settings = forest_settings(usual)
    return lambda rows: fit_rows(features, data, rows, settings, seed=usual.seed)


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
    n_folds = min(FOLDS, len(region_groups(data.rows.table)))
    if n_folds < 2:
        return fitted

    def without(known: Rows) -> Callable[[Rows], Forecast]:
        part = fit(known)
        return lambda left: part.predict_features(features[left])

    folds = training_folds(data, n_folds, seed=0)
    assert folds is not None
    unseen = out_of_fold(data, without, folds)
    level = fitted.spec.interval_level
    tuning = tune(
        unseen.forecast,
        data.peak_flux[unseen.rows],
        unseen.folds,
        level=level,
        regions=data.active_regions[unseen.rows],
    )
    return fitted.with_tuning(tuning)
