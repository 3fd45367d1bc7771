"""Attacks on a server, and how honest clients fare meanwhile.

    PYTHONPATH=. python tests/attacks.py [--seconds 15] [ATTACK ...]

starts a server with an untrained network of the usual size on two cores, attacks it in each way in
turn, and prints what the server's memory, `/health` and honest samples did. The tests use the same
attacks with their own bounds.
"""

import argparse
import io
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
from real_server import Server, serving

CLAIMED_BYTES = 64 * 2**20
MEBIBYTE = 2**20


def half_sent(address: str, text: str, *, source: str = "127.0.0.1") -> socket.socket:
    """Send the beginning of a request over a new connection, and leave it open."""
    parts = urlsplit(address)
    line = socket.create_connection(
        (parts.hostname, parts.port), timeout=30, source_address=(source, 0)
    )
    line.sendall(text.encode())
    return line


def claim(length: int = CLAIMED_BYTES, *, path: str = "/predict_npy") -> str:
    """Return the headers of an upload of so many bytes, and the first of these."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: {length}\r\n\r\n\x01"
    )


@contextmanager
def connections(
    address: str, texts: list[str], *, drip: float | None = None, source: str = "127.0.0.1"
) -> Iterator[list[socket.socket]]:
    """Open a connection for each text; with ``drip`` send one byte more after so many seconds."""
    lines = [half_sent(address, text, source=source) for text in texts]
    stopping = threading.Event()

    def dripping() -> None:
        while drip is not None and not stopping.wait(drip):
            for line in lines:
                with suppress(OSError):
                    line.send(b"x")

    thread = threading.Thread(target=dripping, daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        stopping.set()
        thread.join()
        for line in lines:
            line.close()


def compressed_batch(samples: int = 64) -> bytes:
    """Return a batch that is small on the line and large in memory."""
    plane = np.arange(256, dtype=np.uint8).repeat(256).reshape(256, 256)
    file = io.BytesIO()
    np.savez_compressed(file, np.broadcast_to(plane, (samples, 40, 256, 256)))
    return file.getvalue()


@contextmanager
def batches(
    address: str, *, clients: int = 6, hang_up: float | None = None
) -> Iterator[Counter[int]]:
    """Send compressed batches again and again; count the statuses.

    With ``hang_up`` a client closes its connection so many seconds after it sent a batch.
    """
    body, seen, stopping = compressed_batch(), Counter[int](), threading.Event()
    ends = httpx.Timeout(hang_up or 60, connect=30)

    def asking() -> None:
        while not stopping.is_set():
            with suppress(httpx.TransportError):
                answer = httpx.post(f"{address}/predict_batch", content=body, timeout=ends)
                seen[answer.status_code] += 1
                if answer.status_code == 503:
                    stopping.wait(float(answer.headers.get("Retry-After", "1")))

    threads = [threading.Thread(target=asking, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stopping.set()
        for thread in threads:
            thread.join(90)


class Watch:
    """An honest client, a probe of `/health` and the server's memory, for as long as it lasts."""

    def __init__(self, server: Server, sample: bytes, *, source: str | None = None) -> None:
        self.statuses: Counter[int | str] = Counter()
        self.slowest_sample = self.slowest_health = 0.0
        self.memory = server.resident()
        self._server, self._sample, self._source = server, sample, source
        self._process = psutil.Process(server.process.pid)
        self._stopping = threading.Event()
        work = (self._ask, self._probe, self._measure)
        self._threads = [threading.Thread(target=one, daemon=True) for one in work]

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(120)

    @property
    def served(self) -> int:
        return self.statuses[200]

    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._server.address,
            timeout=90,
            transport=httpx.HTTPTransport(local_address=self._source),
        )

    def _ask(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                with self._client() as client:
                    answer = client.post("/predict_npy", content=self._sample)
                status: int | str = answer.status_code
            except httpx.TransportError as error:
                status = type(error).__name__
            self.statuses[status] += 1
            if status == 200:
                self.slowest_sample = max(self.slowest_sample, time.monotonic() - began)
            else:
                self._stopping.wait(0.1)

    def _probe(self) -> None:
        with self._client() as client:
            while not self._stopping.wait(0.05):
                began = time.monotonic()
                with suppress(httpx.TransportError):
                    client.get("/health")
                self.slowest_health = max(self.slowest_health, time.monotonic() - began)

    def _measure(self) -> None:
        while not self._stopping.wait(0.02):
            with suppress(psutil.Error):
                self.memory = max(self.memory, self._process.memory_info().rss)


Attack = Callable[[str], object]
ATTACKS: dict[str, Attack] = {
    "none": lambda address: connections(address, []),
    "claims": lambda address: connections(address, [claim()] * 34),
    "drips": lambda address: connections(address, [claim()] * 34, drip=1.0),
    "drips300": lambda address: connections(address, [claim()] * 300, drip=1.0),
    "headers": lambda address: connections(
        address, ["POST /predict_npy HTTP/1.1\r\nHost: x\r\n"] * 300
    ),
    "batches": batches,
    "hang_ups": lambda address: batches(address, hang_up=0.3),
}


def main() -> None:
    """Parse, serve, attack, print."""
    from benchmarks.serving import network
    from flare.forecasters.storage import save
    from serving.routes.information import EXAMPLES, example_npy

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each attack")
    parser.add_argument("attacks", nargs="*", default=list(ATTACKS), help=", ".join(ATTACKS))
    given = parser.parse_args()
    sample = example_npy(EXAMPLES)
    _say("| attack | RSS (MiB) | peak | worst /health (s) | honest samples: answered | refused |")
    _say("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = save(network("cnn", 256).exported(), folder / "model")
        for attack in given.attacks:
            with serving(folder / attack, model=model, threads=2) as server:
                for _ in range(4):
                    httpx.post(f"{server.address}/predict_npy", content=sample, timeout=60)
                before = server.resident()
                watch = Watch(server, sample)
                with ATTACKS[attack](server.address):
                    time.sleep(0.5)
                    with watch:
                        time.sleep(given.seconds)
            refused = {k: v for k, v in watch.statuses.items() if k != 200}
            _say(
                f"| {attack} | {before / MEBIBYTE:.0f} | {watch.memory / MEBIBYTE:.0f} "
                f"| {watch.slowest_health:.2f} | {watch.served} in {given.seconds:g} s, slowest "
                f"{watch.slowest_sample:.2f} s | {refused or 0} |"
            )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
