"""The server as people start it: a real process, on a port that the system picks."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
UVICORN = ("uvicorn", "serving.app:create_app", "--factory", "--host", "127.0.0.1", "--port", "0")
OURS = ("serving", "--host", "127.0.0.1", "--port", "0")


class Server:
    """A started server. Its output is in ``lines``; a full pipe would stop it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines, self.address = process, [], ""
        self._listens = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def wait_until_it_listens(self, seconds: float = 120) -> None:
        assert self._listens.wait(seconds), self.log
        assert self.address, self.log

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.address}{path}", timeout=60)

    def answers(self) -> bool:
        """Return whether a worker answers: uvicorn logs its port before they listen."""
        try:
            return self.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def health(self) -> dict[str, object]:
        answer = self.get("/health")
        assert answer.status_code == 200
        return answer.json()

    def until(self, fact, seconds: float = 60) -> None:
        """Wait for something that the server does in its own time."""
        ends = time.monotonic() + seconds
        while not fact():
            assert time.monotonic() < ends, self.log
            time.sleep(0.05)

    def metric(self, line: str) -> float:
        """Return the number behind the start of a line of /metrics; 0 where there is none."""
        result = re.search(rf"^{re.escape(line)} (\S+)", self.get("/metrics").text, re.MULTILINE)
        return float(result[1]) if result else 0.0

    def resident(self) -> int:
        """Return the bytes of memory that the process has."""
        return psutil.Process(self.process.pid).memory_info().rss

    def workers(self) -> list[psutil.Process]:
        """Return the processes that were started by this one and answer requests."""
        children = psutil.Process(self.process.pid).children()
        return [one for one in children if "resource_tracker" not in " ".join(one.cmdline())]

    def stop(self, seconds: float = 60) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if result := re.search(r"running on (http://\S+)", line):
                self.address = result[1]
                self._listens.set()
        self._listens.set()


@contextmanager
def serving(state: Path, *command: str, cwd: Path = ROOT, **settings: object) -> Iterator[Server]:
    """Run ``python -m command`` with settings; kill what is left of it when the block ends.

    ``command`` is our own where none is given; ``settings`` are named as in
    ``serving.settings``, or in capitals as any other environment variable.
    """
    given = {"poll_seconds": 0.2, "state_dir": state, "access_log": "false"} | settings
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "FLARE_"))}
    ours = {k if k.isupper() else f"FLARE_{k.upper()}": str(v) for k, v in given.items()}
    environment |= {"PYTHONPATH": str(ROOT), **ours}
    with started(sys.executable, "-m", *(command or OURS), cwd=cwd, env=environment) as server:
        yield server


@contextmanager
def started(*command: str, cwd: Path, env: Mapping[str, str]) -> Iterator[Server]:
    """Run a server's command until the block ends, in a process group that is killed then."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        server = Server(process)
        try:
            server.wait_until_it_listens()
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
