"""The two ends of a connection that uvicorn leaves open: slow headers, and a stop.

`Protocol` limits how long the headers of a request may take, which no implementation in uvicorn
does. It takes effect where uvicorn is started with ``http=Protocol``, as `serving.__main__` does.

`Shutdown` delays a stop. On SIGTERM uvicorn stops listening at once and then waits for its
connections, by default for ever: a load balancer never sees a 503 of /ready, and a slow upload
keeps the process alive. Here uvicorn's own signal handler runs once no request is in progress or
the grace period is over, however uvicorn was started.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from types import FrameType
from typing import ClassVar

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from serving.http.problems import busy, problem, request_id_of

log = logging.getLogger("flare.serving")

#: How long the rest of a body may take if the answer was sent before the body ended.
REST_OF_BODY_SECONDS = 30.0

SIGNALS = (signal.SIGTERM, signal.SIGINT)

#: How long requests that were stopped at the end of the grace period may take to answer 503.
LAST_ANSWER_SECONDS = 1.0


class Protocol(H11Protocol):
    """HTTP/1.1 by h11; closes a connection whose headers take longer than ``header_seconds``.

    By h11 because uvicorn's other implementation, httptools, loses the body of a request that
    offers HTTP/2 (``Upgrade: h2c``, as the HTTP clients of Java and Kotlin do), an offer that a
    server may ignore (RFC 9110, 7.8).
    """

    header_seconds: ClassVar[float] = 10.0  # set by `create_app` in each process
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Parse; the headers are complete once the application has the request."""
        super().data_received(data)
        if self._between_requests():
            self._wait_for_headers()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not HTTP, unless they follow a request that was answered."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(400, "bad_request", msg, hint="send HTTP/1.1")
        self.transport.close()

    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _within_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def _wait_for_headers(self) -> None:
        if self._timer is None:
            seconds = REST_OF_BODY_SECONDS if self._within_body() else self.header_seconds
            self._timer = self.loop.call_later(seconds, self._time_out)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
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


class Shutdown:
    """The requests in progress, and whether the server is stopping."""

    def __init__(self, *, grace_seconds: float) -> None:
        self.grace_seconds, self.draining = grace_seconds, False
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopping: asyncio.Task[None] | None = None
        self._second_signal = False

    def check(self) -> None:
        """Raise Refused, 503, where the server is stopping."""
        if self.draining:
            raise busy("the server is shutting down", code="shutting_down")

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request as in progress."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Delay the signal handlers that are set now, while the block lasts.

        The first signal starts the grace period, a second one ends it; then the handlers that were
        set before get the signal, and every later one.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        previous = {number: signal.getsignal(number) for number in SIGNALS}

        def restore() -> None:
            for number, handler in previous.items():
                if handler is not None:  # it was not set from Python
                    signal.signal(number, handler)

        async def drain(number: int) -> None:
            await self._drain()
            restore()
            signal.raise_signal(number)

        def start(number: int) -> None:
            self._stopping = loop.create_task(drain(number))

        def handle(number: int, _: FrameType | None) -> None:
            self._second_signal = self.draining
            if not self.draining:
                self.draining = True
                loop.call_soon_threadsafe(start, number)

        for number in SIGNALS:
            signal.signal(number, handle)
        try:
            yield
        finally:
            restore()

    async def _drain(self) -> None:
        """Wait for the requests in progress; stop the others after the grace period."""
        if not self._tasks:
            return
        log.info(
            "Shutting down: %d requests in progress have %g s (FLARE_GRACE_SECONDS)",
            len(self._tasks),
            self.grace_seconds,
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + self.grace_seconds
        while self._tasks and not self._second_signal and loop.time() < end:
            await asyncio.sleep(0.02)
        if self._tasks:
            log.warning("the grace period is over: stopping %d requests", len(self._tasks))
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(list(self._tasks), timeout=LAST_ANSWER_SECONDS)


class Draining:
    """ASGI middleware that counts requests, and answers 503 to those that were stopped."""

    def __init__(self, app: ASGIApp, *, shutdown: Shutdown) -> None:
        self._app, self._shutdown = app, shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        with self._shutdown.request():
            try:
                await self._app(scope, receive, note_start)
            except asyncio.CancelledError:
                if not self._shutdown.draining:
                    raise
                if not started:
                    answer = problem(
                        503,
                        "shutting_down",
                        "the server is shutting down, and this request took too long "
                        "(FLARE_GRACE_SECONDS)",
                        hint="send it again",
                        request_id=request_id_of(scope),
                        headers={"Retry-After": "1", "Connection": "close"},
                    )
                    await answer(scope, receive, send)
