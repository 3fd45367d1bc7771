"""Fit the logistic rivals: each penalty is chosen by cross-validation over active regions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from flare.errors import DatasetInvalid
from flare.features.table import FEATURE_NAMES
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.logistic import Linear, LogisticForecaster
from flare.forecasters.standardisation import fit_standardisation
from flare.goes import event_outcomes
from flare.seeding import Stream, integer_seed

#: Schrijver's R in the last magnetogram, as log10(1 + R). Schrijver 2007, doi:10.1086/511857.
PIL_PROXY = "magnetogram_r_last"

#: Weights of the L2 penalty to choose from, strongest first: of equally good ones that is taken.
PENALTIES = (1e4, 1e3, 1e2, 1e1, 1.0, 0.1)
FOLDS = 5

#: An event needs as many groups with it, and as many without, or its rate alone is forecast:
#: samples of one region repeat each other, and coefficients would fit that region.
FEWEST_GROUPS = 5

#: Residuals below it, in dex, count as squares: the absolute error has no slope at 0.
_SMOOTH = 0.1
_ROUNDS = 20  # within 3e-5 of the smallest sum, on 8,336 samples

_Floats = NDArray[np.float64]
_Model = tuple[_Floats, float]  # coefficients (D,) and intercept


@dataclass(frozen=True)
class _Fold:
    """Rows of a fold, with their inputs scaled by the training part alone."""

    train: NDArray[np.intp]
    held: NDArray[np.intp]
    train_inputs: _Floats
    held_inputs: _Floats


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
    """Fit a logistic regression for each event, and the median of log10 flux.

    Each penalty has the lowest log loss, or absolute error in dex, on held-out groups. An event
    that too few groups have, or lack, is forecast with its rate, (k + 1/2) / (n + 1). The flux is
    fitted to the smallest absolute error: labels lie at quiet or at a flare, and a mean between
    the two is no label's forecast.

    Parameters
    ----------
    features
        (N, F) as ``compute_features`` gives them, NaN where missing.
    peak_flux
        Labels in W m^-2, shape (N,).
    groups
        What is held out together, such as the active region, (N,).
    names
        The features to look at.
    seed
        Of the folds.
    """
    if len(features) == 0:
        raise DatasetInvalid("no training samples to fit a logistic regression on; check the split")
    folds = _folds(features, groups, names, seed)
    standardisation = fit_standardisation(features, names)
    inputs = standardisation(features)
    outcomes = event_outcomes(peak_flux, spec.events)
    # Hundreds of small solves: threads of BLAS that wait for a busy core take 50 times as long.
    with threadpool_limits(1, user_api="blas"):
        fitted = [
            _fit_flux(inputs, np.log10(peak_flux), folds),
            *(_fit_event(inputs, happened, groups, folds) for happened in outcomes.T),
        ]
    models = Linear(
        np.stack([coefficients for coefficients, _ in fitted]),
        np.array([intercept for _, intercept in fitted]),
    )
    return LogisticForecaster(standardisation, models, spec, origin)


def fit_inversion_line(
    features: _Floats,
    peak_flux: _Floats,
    groups: NDArray[np.integer],
    *,
    spec: ForecasterSpec,
    origin: Origin,
    seed: int = 0,
) -> LogisticForecaster:
    """Fit the physics threshold: a logistic regression on the inversion line's R alone.

    Where training lacked magnetograms, a sample without one gets about the rate of those; where
    it never did, the answer of the median R.
    """
    return fit_logistic(
        features, peak_flux, groups, spec=spec, origin=origin, names=(PIL_PROXY,), seed=seed
    )


def _folds(
    features: _Floats, groups: NDArray[np.integer], names: tuple[str, ...], seed: int
) -> list[_Fold]:
    n_folds = min(FOLDS, len(np.unique(groups)))
    if n_folds < 2:
        return []
    parts = GroupKFold(n_folds, shuffle=True, random_state=integer_seed(seed, Stream.LINEAR_FOLDS))
    folds = []
    for train, held in parts.split(features, groups=groups):
        scale = fit_standardisation(features[train], names)
        folds.append(_Fold(train, held, scale(features[train]), scale(features[held])))
    return folds


def _fit_event(
    inputs: _Floats,
    happened: NDArray[np.bool_],
    groups: NDArray[np.integer],
    folds: Sequence[_Fold],
) -> _Model:
    """Return the coefficients and intercept of an event's log-odds."""
    if min(len(np.unique(groups[part])) for part in (happened, ~happened)) < FEWEST_GROUPS:
        k, n = np.count_nonzero(happened), len(happened)
        return np.zeros(inputs.shape[1]), float(np.log((k + 0.5) / (n - k + 0.5)))
    usable = [fold for fold in folds if 0 < happened[fold.train].mean() < 1]

    def loss(penalty: float) -> float:
        found = 0.0
        for fold in usable:
            model = _regression(fold.train_inputs, happened[fold.train], penalty)
            held = model.predict_proba(fold.held_inputs)[:, 1]
            found += log_loss(happened[fold.held], held, normalize=False, labels=[False, True])
        return found

    model = _regression(inputs, happened, min(PENALTIES, key=loss))
    return np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0])


def _regression(inputs: _Floats, happened: NDArray[np.bool_], penalty: float) -> LogisticRegression:
    # Newton's steps end at the same coefficients everywhere; L-BFGS stops where it is near them.
    model = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-8, max_iter=1000)
    return model.fit(inputs, happened)


def _fit_flux(inputs: _Floats, log10_flux: _Floats, folds: Sequence[_Fold]) -> _Model:
    """Return the coefficients and intercept of the median log10 flux."""

    def loss(penalty: float) -> float:
        found = 0.0
        for fold in folds:
            model = _median_regression(fold.train_inputs, log10_flux[fold.train], penalty)
            found += float(np.abs(model.predict(fold.held_inputs) - log10_flux[fold.held]).sum())
        return found

    model = _median_regression(inputs, log10_flux, min(PENALTIES, key=loss))
    return np.asarray(model.coef_, dtype=np.float64), float(model.intercept_)


def _median_regression(inputs: _Floats, log10_flux: _Floats, penalty: float) -> Ridge:
    """Fit the smallest sum of sqrt(residual^2 + smooth^2), plus an L2 penalty.

    By squares weighted with the inverse of the last residuals: each round lowers that sum.
    """
    weights = np.ones(len(inputs))
    for _ in range(_ROUNDS):
        model = Ridge(alpha=penalty).fit(inputs, log10_flux, sample_weight=weights)
        weights = 1 / np.hypot(log10_flux - model.predict(inputs), _SMOOTH)
    return model
