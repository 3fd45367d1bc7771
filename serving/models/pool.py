"""One thread for each core, and a bounded number of samples that wait for one.

A network in a thread of its own, single-threaded and without the interpreter's lock, uses all of
one core; batches gain nothing on a CPU (`benchmarks.serving`). So a batch is computed in pieces of
a few samples, between which single samples get their turn.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, TypeVar

from flare.errors import FlareError

Result = TypeVar("Result")

#: While both wait, one turn of this many is a batch's.
TURNS_PER_BATCH = 4


class Busy(FlareError):
    """The server is at a limit; ask again soon."""


class TookTooLong(FlareError):
    """The time limit was over before the forecast was ready."""


class ShuttingDown(FlareError):
    """The server accepts no more requests for a forecast."""


class ClientGone(FlareError):
    """The client hung up before its forecast was computed."""


class TimeLimit(NamedTuple):
    """Seconds that a request may wait and compute, and the setting that says so."""

    seconds: float
    setting: str


class Pool:
    """The cores that forecast, and the samples that wait for them.

    Everything but the work happens in the event loop.

    ``cores`` forecasts are computed at once, and ``max_waiting`` single samples may wait for a
    core. Batches may have ``max_batch_samples`` that wait or are computed; a larger batch must be
    the only one. ``time_limit`` is in seconds from a request's first turn to its result.
    """

    def __init__(
        self, *, cores: int, max_waiting: int, time_limit: float, max_batch_samples: int = 128
    ) -> None:
        self.limit, self.requests = TimeLimit(time_limit, "FLARE_TIME_LIMIT_SECONDS"), 0
        # By whether they are of batches.
        self.places = {False: cores + max_waiting, True: max_batch_samples}
        self.samples = {False: 0, True: 0}
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {False: deque(), True: deque()}
        self._idle, self._turn = cores, 0
        self._threads = ThreadPoolExecutor(cores, thread_name_prefix="forecast")

    @asynccontextmanager
    async def place(
        self,
        *,
        batch: bool = False,
        gone: Callable[[], Awaitable[bool]] | None = None,
        limit: TimeLimit | None = None,
    ) -> AsyncIterator["Place"]:
        """Take a place for one sample, or for a batch, which then takes more.

        ``gone`` says whether the client hung up; it is called before work of a batch and of a
        sample that had to wait. ``limit`` is instead of the pool's own.

        Raises Busy: there is none.
        """
        place = Place(self, batch=batch, gone=gone, limit=limit or self.limit)
        place.take(1)
        self.requests += 1
        try:
            yield place
        finally:
            place.leave()

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Run work in a thread, on a core that `core` has returned."""
        job = self._threads.submit(work)
        _call_when_done(job, self.release)
        return job

    async def core(self, *, batch: bool) -> bool:
        """Wait for a core; return whether there was none at once."""
        if self._idle:
            self._idle -= 1
            return False
        turn = asyncio.get_running_loop().create_future()
        self._waiting[batch].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it got a core at the same moment
                self.release()
            raise
        return True

    def release(self) -> None:
        """Give a core to the next request that waits."""
        while queue := self._next_queue():
            turn = queue.popleft()
            if not turn.done():  # otherwise it gave up
                turn.set_result(None)
                return
        self._idle += 1

    def _next_queue(self) -> "deque[asyncio.Future[None]] | None":
        singles, batches = self._waiting[False], self._waiting[True]
        if singles and batches:
            self._turn = (self._turn + 1) % TURNS_PER_BATCH
            return singles if self._turn else batches
        return singles or batches or None

    async def close(self) -> None:
        """Wait for the accepted requests."""
        while self.requests:
            await asyncio.sleep(0.01)
        self._threads.shutdown(wait=True)


class Place:
    """The places of one request; they are free again once none of its work runs any more."""

    def __init__(
        self,
        pool: Pool,
        *,
        batch: bool,
        gone: Callable[[], Awaitable[bool]] | None,
        limit: TimeLimit,
    ) -> None:
        self._pool, self._batch, self._gone, self._limit = pool, batch, gone, limit
        self._samples = 0
        self._end: float | None = None
        self._job: Future[Any] | None = None

    def take(self, samples: int) -> None:
        """Take places for more samples; raise Busy where there are none."""
        used, places = self._pool.samples[self._batch], self._pool.places[self._batch]
        only_batch = self._batch and used == self._samples
        if used + samples > places and not only_batch:
            kind = "samples in batches" if self._batch else "samples"
            setting = "twice FLARE_MAX_BATCH" if self._batch else "cores and FLARE_MAX_WAITING"
            raise Busy(f"the server is at its limit of {places} {kind} ({setting})")
        self._pool.samples[self._batch] += samples
        self._samples += samples

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` once a core is free, and return its result.

        Raises
        ------
        TookTooLong
            The time limit, which begins with the first call, was over first. A thread finishes
            work that it has started.
        ClientGone
            The client hung up.
        """
        loop = asyncio.get_running_loop()
        if self._end is None:
            self._end = loop.time() + self._limit.seconds
        limit = asyncio.timeout_at(self._end)
        try:
            async with limit:
                if loop.time() >= self._end:  # while the last piece was computed
                    await asyncio.sleep(0)
                await self._core()
                self._job = self._pool.submit(work)
                return await asyncio.wrap_future(self._job)
        except TimeoutError as error:
            if not limit.expired():
                raise  # the work's own
            raise TookTooLong(
                f"no forecast within {self._limit.seconds:g} s ({self._limit.setting})"
            ) from error

    async def _core(self) -> None:
        """Wait for a core, and give it back where the client hung up."""
        waited = await self._pool.core(batch=self._batch)
        try:
            if self._gone is not None and (waited or self._batch) and await self._gone():
                raise ClientGone("the client hung up before its forecast was computed")
        except BaseException:
            self._pool.release()
            raise

    def leave(self) -> None:
        """Give the places back, now or once the thread has finished."""
        if self._job is None or self._job.done():
            self._free()
        else:
            _call_when_done(self._job, self._free)

    def _free(self) -> None:
        self._pool.samples[self._batch] -= self._samples
        self._pool.requests -= 1


def _call_when_done(job: "Future[Any]", function: Callable[[], None]) -> None:
    """Call a function in this event loop once a thread has finished a job."""
    loop = asyncio.get_running_loop()

    def done(_: "Future[Any]") -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(function)

    job.add_done_callback(done)
