"""Fixtures for all tests. This folder is on the path (pyproject), so tests can import ``tiny``."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tiny import write_tiny_dataset

# A job that a script starts in the background inherits "ignore" for Ctrl-C, and so would every
# process that a test starts; tests of interruption would then wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no defect: what takes 5 ms alone may take 300 among other jobs.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 16 training and 8 test samples; read it, do not write to it."""
    return write_tiny_dataset(tmp_path_factory.mktemp("data") / "tiny")
