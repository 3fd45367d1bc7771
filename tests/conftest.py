"""Fixtures for all tests. This folder is on the path (pyproject), so tests can import ``tiny``."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

#: Files whose tests share the trained models of tests/integration: one process makes them.
_SHARING = "models"

# One thread, also in the processes that tests start: work as small as theirs takes several times
# as long when threads share it and wait for each other, most on a busy machine.
os.environ["OMP_NUM_THREADS"] = "1"
threadpool_limits(1)  # of NumPy, which plugins have imported already

# A job that a script starts in the background inherits "ignore" for Ctrl-C, and so would every
# process that a test starts; tests of interruption would then wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no defect: what takes 5 ms alone may take 300 among other jobs.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group tests for `--dist loadgroup`: those of a file, and of all that share the models."""
    sharing = {item.path for item in items if _SHARING in getattr(item, "fixturenames", ())}
    for item in items:
        group = _SHARING if item.path in sharing else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 16 training and 8 test samples; read it, do not write to it."""
    from tiny import write_tiny_dataset

    return write_tiny_dataset(tmp_path_factory.mktemp("data") / "tiny")
