from collections.abc import Iterator

import pytest

from archive_server import ArchiveServer, running_server


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    """An HTTP server of this machine that answers as the test tells it."""
    with running_server() as running:
        yield running
