"""A made-up split and a forecaster with some skill on it."""

from collections.abc import Callable

import numpy as np
import pytest

from flare.forecast import Forecast
from flare.verification.inputs import Observations


@pytest.fixture
def observed() -> Observations:
    """120 samples of 12 regions; every third is quiet, 3 regions have M flares, none has an X."""
    region = np.repeat(np.arange(11400, 11412), 10)
    log10_flux = np.random.default_rng(0).uniform(-6.9, -5.1, 120)
    log10_flux[:30] += 0.9
    log10_flux[::3] = -9
    return Observations(peak_flux=10**log10_flux, active_region=region)


@pytest.fixture
def forecast_with(observed: Observations) -> Callable[[float], Forecast]:
    """Forecasts whose error in dex has the given size."""

    def make(error: float) -> Forecast:
        noise = np.random.default_rng(1).normal(0, error, 120)
        log10_flux = np.log10(observed.peak_flux) + noise
        probability = 1 / (1 + np.exp(-3 * (log10_flux[:, None] - [-6, -5, -4])))
        return Forecast(
            log10_flux=log10_flux,
            lower=log10_flux - 1,
            upper=log10_flux + 1,
            probability=probability,
            events=("C1.0", "M1.0", "X1.0"),
            thresholds={"C1.0": 0.5, "M1.0": 0.4, "X1.0": 0.3},
        )

    return make
