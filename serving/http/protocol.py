"""HTTP/1.1 as uvicorn speaks it, with a time limit for headers and for refused bodies.

Uvicorn waits for the end of a request's headers for ever, so that connections which never send it
use up the system's. Its implementation with httptools also loses the body of a request that offers
HTTP/2 (``Upgrade: h2c``, as the HTTP clients of Java and Kotlin do), which RFC 9110 (7.8) lets a
server ignore. The one with h11 does ignore it.
"""

import asyncio
from http import HTTPStatus
from typing import ClassVar

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from serving.http.problems import problem

#: How long the rest of a body may take that was answered before its end.
REST_OF_BODY_SECONDS = 30.0


class Protocol(H11Protocol):
    """One connection; closed where headers take longer than ``header_seconds``."""

    header_seconds: ClassVar[float] = 10.0
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Read on; the headers are there once the application has the request."""
        super().data_received(data)
        if self._between_requests():
            self._wait_for_headers()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _within_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def _wait_for_headers(self) -> None:
        if self._limit is None:
            seconds = REST_OF_BODY_SECONDS if self._within_body() else self.header_seconds
            self._limit = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, unless it comes behind a request that has its answer."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(400, "bad_request", msg, hint="send HTTP/1.1")
        self.transport.close()

    def _give_up(self) -> None:
        self._limit = None
        if not self._between_requests() or self.transport.is_closing():
            return
        if not self._within_body() and self.conn.trailing_data[0]:
            limit = f"{self.header_seconds:g} s (FLARE_HEADER_SECONDS)"
            detail = f"the headers took longer than {limit}"
            self._refuse(408, "too_slow", detail, hint="send them at once")
        self.transport.close()

    def _refuse(self, status: int, code: str, detail: str, *, hint: str) -> None:
        answer = problem(status, code, detail, hint=hint)
        reason = HTTPStatus(status).phrase
        lines = [f"HTTP/1.1 {status} {reason}".encode(), b"connection: close"]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))


def use_everywhere(*, header_seconds: float) -> None:
    """Have uvicorn use `Protocol` in this process, also where its own command started it.

    That command has chosen an implementation before it makes the application. It makes each
    connection by ``Config.http_protocol_class``, which is ours from now on.
    """
    Protocol.header_seconds = header_seconds
    ours = property(lambda _: Protocol, lambda *_: None)  # nothing else can be set
    Config.http_protocol_class = ours  # type: ignore[assignment]
