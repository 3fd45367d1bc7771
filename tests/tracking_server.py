"""A real MLflow server, and a gate before it that can be shut for a while."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mlflow_server(
    folder: Path, *, port: int | None = None, ending: signal.Signals = signal.SIGTERM
) -> Iterator[int]:
    """Run a server with a store of its own; give its port once it answers.

    The port of an earlier one of the same folder makes it the same server again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port() if port is None else port
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    artifacts = ["--artifacts-destination", str(folder / "artifacts")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    with (
        (folder / "server.log").open("a") as log,
        subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, *store, *artifacts],
            cwd=folder,
            env={**environment, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait_for(port, process, folder / "server.log")
            yield port
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, ending)
            process.wait(timeout=30)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + 120
    while time.monotonic() < ends and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


class Gate:
    """A port that leads to another one, while it is open."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self._listener: socket.socket | None = None
        self._pairs: list[socket.socket] = []
        self.open()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Refuse what comes, and cut off what is under way."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for one in self._pairs:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                inside, _ = listener.accept()
            except OSError:
                return
            outside = socket.create_connection(("127.0.0.1", self.target))
            self._pairs += [inside, outside]
            threading.Thread(target=_connect, args=(inside, outside), daemon=True).start()


def _connect(inside: socket.socket, outside: socket.socket) -> None:
    with inside, outside:
        back = threading.Thread(target=_pump, args=(outside, inside), daemon=True)
        back.start()
        _pump(inside, outside)
        back.join()


def _pump(source: socket.socket, dest: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            dest.sendall(data)
    with suppress(OSError):
        dest.shutdown(socket.SHUT_RDWR)
