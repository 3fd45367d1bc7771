"""Every kind of forecaster, fitted once."""

import pytest
from small_forecasters import KINDS, small

from flare.forecasters.base import Forecaster


@pytest.fixture(scope="session", params=KINDS)
def forecaster(request: pytest.FixtureRequest) -> Forecaster:
    return small(request.param)
