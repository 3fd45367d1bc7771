"""SIGTERM: accept no more forecasts, let those in progress end for a while, and then stop.

Uvicorn stops listening at once and then waits for its connections without an end (its own
``--timeout-graceful-shutdown`` is off by default), so that a load balancer never sees a 503 of
/ready, and a slow upload holds a stopped server for as long as it may take. Here its signal handler
runs once no request is in progress or the grace period is over; how uvicorn was started makes no
difference.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.problems import problem
from serving.models.pool import ShuttingDown

log = logging.getLogger("flare.serving")

SIGNALS = (signal.SIGTERM, signal.SIGINT)

#: How long requests that the end of the grace period stopped may take to answer so.
LAST_WORDS_SECONDS = 1.0


class Shutdown:
    """The requests in progress, and whether the server is to stop."""

    def __init__(self, *, grace_seconds: float) -> None:
        self.grace_seconds, self.draining = grace_seconds, False
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopping: asyncio.Task[None] | None = None
        self._impatient = False

    def check(self) -> None:
        """Raise ShuttingDown where the server is to stop."""
        if self.draining:
            raise ShuttingDown("the server is shutting down")

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
        """Delay the signal handlers of what runs the application while the block lasts."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        previous = {number: signal.getsignal(number) for number in SIGNALS}

        def pass_on(number: int) -> None:
            self._impatient = True
            handler = previous[signal.Signals(number)]
            if callable(handler):
                handler(number, None)
            elif handler == signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)

        def handle(number: int, _: FrameType | None) -> None:
            if not self.draining:
                self.draining = True
                loop.call_soon_threadsafe(start, number)
            elif not self._impatient:
                self._impatient = True
            else:
                pass_on(number)

        def start(number: int) -> None:
            self._stopping = loop.create_task(self._drain())
            self._stopping.add_done_callback(lambda _: pass_on(number))

        for number in SIGNALS:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in previous.items():
                if handler is not None:  # it was not set from Python
                    signal.signal(number, handler)

    async def _drain(self) -> None:
        """Wait for the requests in progress; stop what is left after the grace period."""
        if not self._tasks:
            return
        log.info(
            "Shutting down: %d requests in progress have %g s (FLARE_GRACE_SECONDS)",
            len(self._tasks),
            self.grace_seconds,
        )
        loop = asyncio.get_running_loop()
        ends = loop.time() + self.grace_seconds
        while self._tasks and not self._impatient and loop.time() < ends:
            await asyncio.sleep(0.02)
        if self._tasks:
            log.warning("the grace period is over: stopping %d requests", len(self._tasks))
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(list(self._tasks), timeout=LAST_WORDS_SECONDS)


class Draining:
    """ASGI middleware that counts requests, and answers those that the grace period stopped."""

    def __init__(self, app: ASGIApp, *, shutdown: Shutdown) -> None:
        self._app, self._shutdown = app, shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def answered(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        with self._shutdown.request():
            try:
                await self._app(scope, receive, answered)
            except asyncio.CancelledError:
                if not self._shutdown.draining:
                    raise
                if not started:
                    await _stopped(scope)(scope, receive, send)


def _stopped(scope: Scope) -> ASGIApp:
    detail = "the server is shutting down, and this request took too long (FLARE_GRACE_SECONDS)"
    return problem(
        503,
        "shutting_down",
        detail,
        hint="send it again",
        request_id=scope.get("state", {}).get("request_id"),
        headers={"Retry-After": "1", "Connection": "close"},
    )
