"""Logistic regression on the features of the images, one scikit-learn model for each event.

The flux is the median of the distribution that has these probabilities (``flare.flux_curve``). With
the single feature ``PIL_PROXY``, which measures the polarity inversion line, it is the field's
physics threshold.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from flare.errors import DatasetInvalid, ForecasterInvalid
from flare.features.table import FEATURE_NAMES
from flare.flux_curve import flux_quantiles
from flare.forecast import LOG10_FLUX_RANGE
from flare.forecasters.base import FeatureForecaster, ForecasterSpec, Origin
from flare.goes import event_outcomes
from flare.seeding import Stream, integer_seed

#: Schrijver's R in the last magnetogram, as log10(1 + R). Schrijver 2007, doi:10.1086/511857.
PIL_PROXY = "magnetogram_r_last"

#: Inverse weights of the L2 penalty to choose from; the first of equally good ones is chosen.
INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
FOLDS = 5

#: With fewer groups with an event, or without it, its rate alone is forecast: samples of one region
#: are alike, and coefficients would fit that region.
FEWEST_GROUPS = FOLDS

MODELS = "models.skops"
_FAR = 5.0  # standard deviations

#: Not trusted by skops; the type of the data that the imputer was fitted on.
_DTYPE = "numpy.dtype"

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LogisticForecaster(FeatureForecaster):
    """Fill, flag and scale the features ``names``; then one of ``models`` for each event.

    ``models`` are a LogisticRegression or, where an event was too rare, a DummyClassifier.
    ``scaler`` fills gaps with the training median, flags them where training had some, and scales
    all columns to mean 0 and standard deviation 1. ``spec`` has two or more events.
    """

    kind: ClassVar[str] = "logistic"
    names: tuple[str, ...]
    scaler: Pipeline
    models: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Refuse another number of models than events, as a damaged folder has."""
        if len(self.models) != len(self.spec.events):
            raise ForecasterInvalid(
                f"wanted a model for each of {len(self.spec.events)} events and got "
                f"{len(self.models)}; fit it again"
            )

    def outputs(self, features: _Floats) -> tuple[_Floats, _Floats]:
        """Return log10 flux, (N,), and event probabilities, (N, E), before postprocessing."""
        inputs = _within(self.scaler.transform(features[:, _columns(self.names)]))  # (N, D)
        single = np.column_stack([model.predict_proba(inputs)[:, 1] for model in self.models])
        ordered = np.minimum.accumulate(single, axis=1)
        median = flux_quantiles(ordered, self.spec.events, [0.5])[:, 0]
        return np.clip(median, *LOG10_FLUX_RANGE), single

    def save_parts(self, folder: Path) -> dict[str, object]:
        """Write scaler and models as one skops file; return the names of their features."""
        from skops.io import dump

        dump([self.scaler, *self.models], folder / MODELS)
        return {"features": list(self.names)}

    @classmethod
    def load_parts(cls, folder: Path, parts: dict[str, Any]) -> dict[str, Any]:
        """Read scaler and models; skops refuses every type but its own list.

        Raises ForecasterInvalid: a feature is unknown, or a model is of another kind, width or
        event than wanted.
        """
        from skops.io import load

        names = tuple(parts.get("features", ()))
        if not names or not set(names) <= set(FEATURE_NAMES):
            raise ForecasterInvalid(
                f"the logistic regression in {folder} was fitted on other features than this "
                "version computes; fit it again"
            )
        scaler, *models = load(folder / MODELS, trusted=[_DTYPE])
        _check(scaler, models, n_features=len(names))
        return {"names": names, "scaler": scaler, "models": tuple(models)}


def fit_logistic(
    features: _Floats,
    peak_flux: _Floats,
    groups: NDArray[np.integer],
    *,
    spec: ForecasterSpec,
    origin: Origin,
    names: tuple[str, ...] = FEATURE_NAMES,
    seed: int = 0,
) -> LogisticForecaster:
    """Fit a logistic regression for each event.

    Each L2 penalty has the lowest log loss in cross-validation over the groups. An event with too
    few groups, or in almost all, is forecast with its rate, (k + 1/2) / (n + 1). The scaler uses
    no labels and is fitted once, on all samples.

    ``features`` are (N, F) as ``compute_features`` gives them, NaN where missing; ``peak_flux``
    labels in W m^-2 and ``groups`` those of the cross-validation, such as active regions, both
    (N,).
    """
    if len(features) == 0:
        raise DatasetInvalid("no training samples to fit a logistic regression on; check the split")
    scaler = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    # Hundreds of small solves: threads of BLAS that wait for a busy core take 50 times as long.
    with threadpool_limits(1, user_api="blas"):
        inputs = _within(scaler.fit_transform(features[:, _columns(names)]))
        outcomes = event_outcomes(peak_flux, spec.events).T
        models = tuple(_fit_event(inputs, outcome, groups, seed) for outcome in outcomes)
    return LogisticForecaster(names, scaler, models, spec=spec, origin=origin)


def _fit_event(
    inputs: _Floats, outcome: NDArray[np.bool_], groups: NDArray[np.integer], seed: int
) -> Any:
    if min(len(np.unique(groups[part])) for part in (outcome, ~outcome)) < FEWEST_GROUPS:
        weights = [np.count_nonzero(part) + 0.5 for part in (~outcome, outcome)]
        return DummyClassifier(strategy="prior").fit([[0], [0]], [False, True], weights)
    folds = GroupKFold(FOLDS, shuffle=True, random_state=integer_seed(seed, Stream.LINEAR_FOLDS))
    search = GridSearchCV(
        LogisticRegression(max_iter=1000),
        {"C": INVERSE_PENALTIES},
        # Folds whose training part has one outcome only cannot be fitted.
        cv=[
            (train, held)
            for train, held in folds.split(inputs, groups=groups)
            if 0 < outcome[train].mean() < 1
        ],
        scoring=make_scorer(
            log_loss, response_method="predict_proba", greater_is_better=False, labels=[False, True]
        ),
    )
    return search.fit(inputs, outcome).best_estimator_


def _within(inputs: _Floats) -> _Floats:
    return np.clip(inputs, -_FAR, _FAR)


def _columns(names: tuple[str, ...]) -> list[int]:
    return [FEATURE_NAMES.index(name) for name in names]


def _check(scaler: Any, models: list[Any], *, n_features: int) -> None:
    """Refuse models of another kind, and numbers that do not fit together or are not finite."""
    kinds = [type(step) for step in getattr(scaler, "named_steps", {}).values()]
    if kinds != [SimpleImputer, StandardScaler]:
        raise ForecasterInvalid("wanted an imputer and a scaler before the models; fit it again")
    missing, present = np.full((1, n_features), np.nan), np.zeros((1, n_features))
    for model in models:
        if type(model) not in (LogisticRegression, DummyClassifier):
            raise ForecasterInvalid(f"a {type(model).__name__} is not a logistic regression")
        if not np.isfinite(getattr(model, "coef_", 0.0)).all():
            raise ForecasterInvalid("its coefficients are not finite; fetch it again")
        for features in (missing, present):
            probability = model.predict_proba(_within(scaler.transform(features)))
            if probability.shape != (1, 2) or not np.isfinite(probability).all():
                raise ForecasterInvalid("its outputs are not probabilities; fetch it again")
