"""SIGTERM in the middle of a download: the same command continues from there."""

import signal
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from archive_server import Served, running_server
from archives_of_all_kinds import archive_of_folder


@pytest.mark.slow
def test_a_stopped_download_is_continued_by_the_same_command(place):
    archive = archive_of_folder(place.folder / "full.zip", "zip", place.data, prefix="a/")
    content, half = archive.read_bytes(), archive.stat().st_size // 2
    dest = place.folder / "data-stopped/raw"
    with running_server() as server:
        url = server.tell("/a", Served(content, stop_after=half, stall=True))
        with place.start(*place.entry("download", source=url, dest=dest)) as process:
            _wait_for_bytes(dest.with_name(".raw.download"), half)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, "")
        assert err.splitlines()[-1] == "download: stopped"
        assert not dest.exists()
        client = MlflowClient(f"sqlite:///{place.folder}/mlflow.db")
        (run,) = client.search_runs(["0"], max_results=1)
        assert run.info.status == "KILLED"
        server.released.set()
        server.tell("/a", Served(content))
        done = place.run("download", source=url, dest=dest)
        assert done.returncode == 0, done.stderr
        assert server.ranges == [None, f"bytes={half}-"]
        assert server.sent == [half, len(content) - half]
    names = {path.name for path in dest.parent.iterdir()}
    assert names == {"raw", "checksums.json"}


def _wait_for_bytes(folder: Path, n_bytes: int) -> None:
    """Wait until so many bytes of the file are on disk."""
    deadline = time.monotonic() + 300
    while sum(path.stat().st_size for path in folder.glob("*.partial")) < n_bytes:
        assert time.monotonic() < deadline
        time.sleep(0.01)
