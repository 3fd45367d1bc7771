"""Every kind of forecaster, fitted once."""

from collections.abc import Iterator

import pytest
from small_forecasters import KINDS, small

from flare.forecasters.base import Forecaster
from flare.forecasters.onnx import can_run_graphs


@pytest.fixture(scope="session", params=KINDS)
def forecaster(request: pytest.FixtureRequest) -> Forecaster:
    return small(request.param)


@pytest.fixture
def unknown_runtime() -> Iterator[None]:
    """Forget whether ONNX Runtime is installed before and after a test."""
    can_run_graphs.cache_clear()
    yield
    can_run_graphs.cache_clear()
