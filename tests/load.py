"""Clients that upload one sample after the other without a pause, and look at every answer."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from known_models import Shelf, same

_BOUNDARY = b"a-boundary-that-no-image-has"


@dataclass(frozen=True)
class Upload:
    """The body of a request and its type."""

    body: bytes
    content_type: str


def uploads_of(file: bytes) -> tuple[Upload, Upload]:
    """Return a .npy file as the body itself, and in a form as curl sends it."""
    head = b'Content-Disposition: form-data; name="file"; filename="sample.npy"\r\n\r\n'
    form = b"--%b\r\n%b%b\r\n--%b--\r\n" % (_BOUNDARY, head, file, _BOUNDARY)
    return (
        Upload(file, "application/octet-stream"),
        Upload(form, f"multipart/form-data; boundary={_BOUNDARY.decode()}"),
    )


def connect(address: str, seconds: float = 60) -> HTTPConnection:
    return HTTPConnection(urlsplit(address).netloc, timeout=seconds)


def post(line: HTTPConnection, upload: Upload) -> tuple[int, dict[str, object], str | None]:
    """Upload over an open line; return status, answer and Retry-After."""
    line.request("POST", "/predict_npy", upload.body, {"Content-Type": upload.content_type})
    answer = line.getresponse()
    return answer.status, json.loads(answer.read()), answer.headers.get("Retry-After")


class Load:
    """Clients, each in a thread with a connection of its own, for as long as the block lasts.

    A failure is anything but a 200 whose numbers are those of the version that it names. With
    ``fresh`` every request has a connection of its own, so that each may reach another process.
    """

    def __init__(
        self,
        address: str,
        file: bytes,
        expected: Mapping[str, Mapping[str, object]],
        *,
        clients: int = 8,
        fresh: bool = False,
    ) -> None:
        self.failures: list[str] = []
        self.by_version: Counter[str] = Counter()
        self._address, self._expected, self._fresh = address, expected, fresh
        self._stopping, self._changed = threading.Event(), threading.Condition()
        uploads = uploads_of(file)
        self._threads = [
            threading.Thread(target=self._ask, args=(uploads[k % 2],), daemon=True)
            for k in range(clients)
        ]

    def __enter__(self) -> "Load":
        ends = time.monotonic() + 120
        while not self._is_ready():  # on a busy machine a server listens before it has a model
            assert time.monotonic() < ends
            time.sleep(0.1)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(90)
        assert not any(thread.is_alive() for thread in self._threads)

    @property
    def answered(self) -> int:
        return self.by_version.total()

    def wait_for_more(self, requests: int, seconds: float = 120) -> None:
        """Return after so many more answers."""
        wanted = self.answered + requests
        self._wait(lambda: self.answered >= wanted, seconds)

    def promote(self, shelf: Shelf, version: int, seconds: float = 30) -> float:
        """Promote a version that is not live, and wait for an answer of it; say how long it took.

        The time limit only ends the test; it is no measure of speed.
        """
        before, began = self.by_version[str(version)], time.monotonic()
        shelf.promote(version)
        self._wait(lambda: self.by_version[str(version)] > before, seconds)
        return time.monotonic() - began

    def _wait(self, fact: Callable[[], bool], seconds: float) -> None:
        with self._changed:
            came = self._changed.wait_for(lambda: bool(self.failures) or fact(), seconds)
        assert not self.failures, self.failures[:3]
        assert came, f"not within {seconds:g} s; answers by version: {dict(self.by_version)}"

    def _is_ready(self) -> bool:
        line = connect(self._address)
        try:
            line.request("GET", "/ready")
            return line.getresponse().status == 200
        finally:
            line.close()

    def _ask(self, upload: Upload) -> None:
        line = connect(self._address)
        while not self._stopping.is_set():
            try:
                status, answer, _ = post(line, upload)
                version = str(answer.get("model_version"))
                wanted = self._expected.get(version)
                wrong = status != 200 or wanted is None or not same(wanted, answer)
                failure = f"{status}: {answer}" if wrong else None
            except (OSError, HTTPException, ValueError) as error:
                failure = f"{type(error).__name__}: {error}"
                line.close()
            if self._fresh:
                line.close()
            with self._changed:
                if failure is None:
                    self.by_version[version] += 1
                else:
                    self.failures.append(failure)
                self._changed.notify_all()
        line.close()
