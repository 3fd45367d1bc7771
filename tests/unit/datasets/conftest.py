from collections.abc import Iterator
from pathlib import Path

import pytest

from flare.errors import ArchiveInvalid

from archive_server import ArchiveServer, running_server
from archives_of_all_kinds import contents, unpack_to


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    """An HTTP server of this machine that answers as the test tells it."""
    with running_server() as running:
        yield running


@pytest.fixture
def unpacked(tmp_path):
    """Return a function that unpacks an archive and gives what was written, and nothing outside."""

    def run(archive: Path, **more) -> dict[str, bytes]:
        folder = tmp_path / "out" / "here"
        unpack_to(folder, archive, **more)
        assert list((tmp_path / "out").iterdir()) == [folder]
        return contents(folder)

    return run


@pytest.fixture
def refused(tmp_path):
    """Return a function that must be refused, and gives the reason; nothing may lie outside."""

    def run(archive: Path, error=ArchiveInvalid, **more) -> str:
        folder = tmp_path / "out" / "here"
        before = archive.read_bytes()
        with pytest.raises(error) as raised:
            unpack_to(folder, archive, **more)
        assert list((tmp_path / "out").iterdir()) == [folder]
        assert not any(path.is_symlink() for path in folder.rglob("*"))
        assert archive.read_bytes() == before
        assert "\n" not in str(raised.value)
        return str(raised.value)

    return run
