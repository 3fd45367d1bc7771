"""One thread for each core, and a bounded number of requests that wait for one.

A request takes a place before its body is read, so that memory is bounded too. A network that runs
in a thread of its own, single-threaded and without the interpreter's lock, uses one core whole;
batches gain nothing on a CPU (`benchmarks.serving`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from flare.errors import FlareError

Answer = TypeVar("Answer")


class Busy(FlareError):
    """All places are taken; ask again soon."""


class TookTooLong(FlareError):
    """The time limit was over before there was an answer."""


class Pool:
    """The cores that forecast, and who waits for them. Everything but the work is the loop's."""

    def __init__(self, *, cores: int, max_waiting: int, time_limit: float) -> None:
        self.cores, self.places = cores, cores + max_waiting
        self.time_limit = time_limit
        self.taken = 0
        self._threads = ThreadPoolExecutor(cores, thread_name_prefix="forecast")

    @asynccontextmanager
    async def place(self) -> AsyncIterator["Place"]:
        """Take a place for one request.

        Raises
        ------
        Busy
            There is none.
        """
        if self.taken >= self.places:
            raise Busy(
                f"{self.taken} requests are being answered or wait, which is as many as may "
                "(FLARE_MAX_WAITING)"
            )
        self.taken += 1
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    def submit(self, work: Callable[[], Answer]) -> "Future[Answer]":
        """Have work done by a thread."""
        return self._threads.submit(work)

    def close(self) -> None:
        """Finish what was accepted."""
        self._threads.shutdown(wait=True)


class Place:
    """One request's place. It is free again when nothing of the request computes any more."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._job: Future[Any] | None = None

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Return what ``work`` does, once a core was free and it is done.

        Raises
        ------
        TookTooLong
            That was not within the time limit. What had begun is finished, for nobody.
        """
        began = time.monotonic()
        todo = [work]
        job = self._pool.submit(lambda: todo.pop()())
        self._job = job
        try:
            async with asyncio.timeout(self._pool.time_limit):
                return await asyncio.wrap_future(job)
        except TimeoutError as error:
            if time.monotonic() - began < self._pool.time_limit:
                raise  # the work's own
            raise TookTooLong(
                f"no forecast within {self._pool.time_limit:g} s (FLARE_TIME_LIMIT_SECONDS)"
            ) from error
        finally:
            if job.cancelled():  # the queue keeps it until a core is free, but not the body too
                todo.clear()

    def leave(self) -> None:
        """Give the place back."""
        if self._job is None or self._job.done():
            self._free()
        else:
            self._job.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._free))

    def _free(self) -> None:
        self._pool.taken -= 1
