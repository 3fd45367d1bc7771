"""Forecasts out of fold: who is fitted on what, and in which order they come back."""

from types import SimpleNamespace

import numpy as np

from flare.datasets.splits import Split
from flare.forecast import Forecast
from flare.goes import EVENTS
from flare.workflows.fitting.cross_validation import cross_validate, training_folds

TRAIN = np.array([7, 2, 9, 4, 0, 5])
FOLDS = np.array([1, 0, 2, 1, 0, 2])
DATA = SimpleNamespace(split=Split(TRAIN, np.array([1, 3, 6, 8]), ""))


def test_every_fold_is_forecast_by_what_was_fitted_on_the_others_in_the_order_of_the_rows():
    """A row's forecast of log10 flux is its number."""
    seen = []

    def fit_and_forecast(known, left):
        seen.append((set(known.tolist()), set(left.tolist())))
        flux = left.astype(float)
        return Forecast(flux, flux, flux, np.tile(flux[:, None] / 10, len(EVENTS)), EVENTS)

    forecasts = cross_validate(DATA, fit_and_forecast, FOLDS)
    assert seen == [({7, 9, 4, 5}, {2, 0}), ({2, 9, 0, 5}, {7, 4}), ({7, 2, 4, 0}, {9, 5})]
    np.testing.assert_array_equal(forecasts.rows, TRAIN)
    np.testing.assert_array_equal(forecasts.forecast.log10_flux, TRAIN)
    np.testing.assert_array_equal(forecasts.forecast.probability[:, 0], TRAIN / 10)


def test_no_folds_are_none():
    assert training_folds(DATA, 0, seed=0) is None
