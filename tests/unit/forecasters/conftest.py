"""Every kind of forecaster, fitted once."""

import pytest
import torch
from small_forecasters import KINDS, small

from flare.forecasters.base import Forecaster

torch.set_num_threads(1)  # networks this small only lose by sharing


@pytest.fixture(scope="session", params=KINDS)
def forecaster(request: pytest.FixtureRequest) -> Forecaster:
    return small(request.param)
