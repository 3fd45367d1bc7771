"""A client of an application with one model, for all tests of a file."""

from collections.abc import Iterator

import pytest
from serving_fakes import Client, FakeForecaster, FakeSource


@pytest.fixture(scope="module")
def shared() -> Iterator[Client]:
    """Talk to an application that no test of the file changes."""
    with Client(FakeSource(v1=FakeForecaster()), access_log=True) as client:
        yield client


@pytest.fixture
def client() -> Iterator[Client]:
    """Talk to an application of one test's own."""
    with Client(FakeSource(v1=FakeForecaster())) as client:
        yield client
