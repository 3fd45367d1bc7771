"""An HTTP server on 127.0.0.1 that answers as a test says, well or badly, and records requests.

Each path has answers; a request takes the next one, and the last one stays.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STALL_S = 20.0  # a client that does not give up before is a defect


@dataclass
class Seen:
    """A request, and how many bytes of a file were sent for it."""

    path: str
    headers: dict[str, str]
    sent: int = 0


@dataclass(frozen=True)
class Served:
    """A file and how it is sent.

    ``stop_after`` bytes of an answer the connection is cut, or with ``stall`` nothing more comes.
    ``ranges``: whether Range is understood, and ``always_part``: whether If-Range is ignored.
    ``announced`` is a false Content-Length; ``chunked`` is none at all.
    """

    content: bytes
    etag: str | None = '"one"'
    last_modified: str | None = None
    ranges: bool = True
    always_part: bool = False
    stop_after: int | None = None
    stall: bool = False
    announced: int | None = None
    chunked: bool = False
    kind: str = "application/zip"

    def __call__(self, handler: "Handler") -> None:
        start = self._start(handler)
        if start is not None and start >= len(self.content):
            handler.begin(416, {"Content-Range": f"bytes */{len(self.content)}"}, 0)
            return
        body = self.content[start or 0 :]
        headers = {"Content-Type": self.kind}
        if self.etag:
            headers["ETag"] = self.etag
        if self.last_modified:
            headers["Last-Modified"] = self.last_modified
        if start is not None:
            last = len(self.content) - 1
            headers["Content-Range"] = f"bytes {start}-{last}/{len(self.content)}"
        length = len(body) if self.announced is None else self.announced
        handler.begin(200 if start is None else 206, headers, None if self.chunked else length)
        if self.chunked:
            self._send_chunks(handler, body)
        else:
            handler.send(body if self.stop_after is None else body[: self.stop_after])
            if length > len(body):
                handler.cut()  # or the client would wait for more
        self._stop(handler)

    def _start(self, handler: "Handler") -> int | None:
        """Return where the part begins that is asked for, if it may be sent."""
        asked = handler.headers.get("Range")
        if not asked or not self.ranges:
            return None
        same = handler.headers.get("If-Range") in (self.etag, self.last_modified)
        return int(asked.removeprefix("bytes=").rstrip("-")) if same or self.always_part else None

    def _send_chunks(self, handler: "Handler", body: bytes) -> None:
        cut = len(body) if self.stop_after is None else self.stop_after
        for begin in range(0, cut, 50_000):
            piece = body[begin : min(begin + 50_000, cut)]
            handler.wfile.write(f"{len(piece):x}\r\n".encode())
            handler.send(piece)
            handler.wfile.write(b"\r\n")
        if self.stop_after is None:
            handler.wfile.write(b"0\r\n\r\n")

    def _stop(self, handler: "Handler") -> None:
        if self.stall:
            handler.owner.released.wait(STALL_S)
        if self.stop_after is not None:
            handler.cut()


@dataclass(frozen=True)
class Status:
    """An answer without a file."""

    code: int
    headers: tuple[tuple[str, str], ...] = ()

    def __call__(self, handler: "Handler") -> None:
        handler.begin(self.code, dict(self.headers), 0)


def redirect(address: str) -> Status:
    """Send the client elsewhere."""
    return Status(302, (("Location", address),))


Answer = Callable[["Handler"], None]


@dataclass
class ArchiveServer:
    """The answers that a test sets, and the requests that came."""

    port: int
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def tell(self, path: str, *answers: Answer) -> str:
        """Set the answers of a path, and return its address."""
        self.answers[path] = list(answers)
        return self.address(path)

    def address(self, path: str, host: str = "127.0.0.1") -> str:
        """Return an address of this server; ``localhost`` is another host to a client."""
        return f"http://{host}:{self.port}{path}"

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of each request."""
        return [seen.headers.get("Range") for seen in self.seen]

    @property
    def sent(self) -> list[int]:
        """The bytes of files sent for each request."""
        return [seen.sent for seen in self.seen]


class Handler(BaseHTTPRequestHandler):
    """Gives the answers that the test set."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    @property
    def owner(self) -> ArchiveServer:
        return self.server.owner

    def do_GET(self) -> None:
        self.seen = Seen(self.path, dict(self.headers))
        self.owner.seen.append(self.seen)
        answers = self.owner.answers.get(self.path, [Status(404)])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)

    def begin(self, code: int, headers: dict[str, str], length: int | None) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")  # as RFC 9112 asks a server to say
        self.end_headers()

    def send(self, body: bytes) -> None:
        self.seen.sent += len(body)  # first: the client may be done before this thread goes on
        self.wfile.write(body)
        self.wfile.flush()

    def cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_arguments: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    owner: ArchiveServer

    def handle_error(self, *_arguments: object) -> None:
        """Keep quiet: that clients go away, and connections are cut, is what tests are about."""


@contextmanager
def running_server() -> Iterator[ArchiveServer]:
    """Run a server in a thread, on a port that the system picks."""
    with _Server(("127.0.0.1", 0), Handler) as server:
        server.owner = ArchiveServer(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.owner
        finally:
            server.owner.released.set()
            server.shutdown()
            thread.join()
