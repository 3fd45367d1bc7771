"""A server as users start it: a process of its own, on a port that the system picks."""

import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.climatology import Climatology, fit_climatology

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "uvicorn", "serving.app:create_app", "--factory"]
COMMAND += ["--host", "127.0.0.1", "--port", "0"]
LABELS = np.array([1e-9, 1e-9, 3e-7, 2e-6, 4e-6, 3e-5])


def climatology() -> Climatology:
    origin = Origin("0", "test", True, (), len(LABELS))
    return fit_climatology(LABELS, spec=ForecasterSpec(image_size=256), origin=origin)


@dataclass(frozen=True)
class Server:
    """A process that listens at ``address``, and what it has written to stderr."""

    address: str
    process: subprocess.Popen[str]
    lines: list[str]

    @property
    def log(self) -> str:
        return "".join(self.lines)


@contextmanager
def started(**environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start a server with a state folder of its own; it is ended when the test leaves."""
    with tempfile.TemporaryDirectory(prefix="flare-test-") as state:
        settings = os.environ | {"FLARE_STATE_DIR": state} | environment
        with subprocess.Popen(
            COMMAND, cwd=ROOT, env=settings, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()


@contextmanager
def running(**environment: str) -> Iterator[Server]:
    """Start a server and give it once it listens; what it writes is read all the time."""
    with started(**environment) as process:
        lines: list[str] = []
        address: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            for line in process.stderr or ():
                lines.append(line)
                if found := re.search(r"running on (http://\S+)", line):
                    address.put(found[1])
            address.put(None)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        found = address.get(timeout=120)
        if found is None:
            pytest.fail("the server did not start:\n" + "".join(lines))
        try:
            yield Server(found, process, lines)
        finally:
            process.kill()
            reader.join(60)
