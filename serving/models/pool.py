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
from typing import Any, TypeVar

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


class Pool:
    """The cores that forecast, and the samples that wait for them.

    Everything but the work happens in the event loop.

    Parameters
    ----------
    cores
        Forecasts at once.
    max_waiting
        Single samples that may wait for a core.
    max_batch_samples
        Samples of batches that may wait or be computed; a larger batch must be the only one.
    time_limit
        Seconds from a request's first turn to its result.
    """

    def __init__(
        self, *, cores: int, max_waiting: int, time_limit: float, max_batch_samples: int = 128
    ) -> None:
        self.cores, self.places = cores, cores + max_waiting
        self.batch_places, self.time_limit = max_batch_samples, time_limit
        self.singles = self.batch_samples = self.requests = 0
        self._idle, self._turn = cores, 0
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {False: deque(), True: deque()}
        self._threads = ThreadPoolExecutor(cores, thread_name_prefix="forecast")

    @asynccontextmanager
    async def place(
        self, *, batch: bool = False, gone: Callable[[], Awaitable[bool]] | None = None
    ) -> AsyncIterator["Place"]:
        """Take a place for one sample, or for a batch, which then takes more.

        ``gone`` says whether the client hung up; it is asked before work of a batch and of a
        sample that had to wait.

        Raises
        ------
        Busy
            There is none.
        """
        place = Place(self, batch=batch, gone=gone)
        place.take(1)
        self.requests += 1
        try:
            yield place
        finally:
            place.leave()

    def take(self, samples: int, *, batch: bool, more: bool) -> None:
        """Count samples; raise Busy where there is no place for them.

        ``more`` says that they belong to a batch that has one place already.
        """
        used, places = (
            (self.batch_samples, self.batch_places) if batch else (self.singles, self.places)
        )
        only_batch = batch and used == (1 if more else 0)
        if used + samples > places and not only_batch:
            kind = "samples in batches" if batch else "samples"
            setting = "twice FLARE_MAX_BATCH" if batch else "cores and FLARE_MAX_WAITING"
            raise Busy(f"the server is at its limit of {places} {kind} ({setting})")
        self.give_back(-samples, batch=batch)

    def give_back(self, samples: int, *, batch: bool) -> None:
        """Free places."""
        if batch:
            self.batch_samples -= samples
        else:
            self.singles -= samples

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Run work in a thread, on a core that `core` has returned."""
        loop = asyncio.get_running_loop()
        job = self._threads.submit(work)

        def done(_: "Future[Result]") -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.release)

        job.add_done_callback(done)
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
        self, pool: Pool, *, batch: bool, gone: Callable[[], Awaitable[bool]] | None
    ) -> None:
        self._pool, self._batch, self._gone = pool, batch, gone
        self._loop = asyncio.get_running_loop()
        self._ends: float | None = None
        self._samples = 0
        self._job: Future[Any] | None = None

    def take(self, samples: int) -> None:
        """Take places for more samples; raise Busy where there are none."""
        self._pool.take(samples, batch=self._batch, more=self._samples > 0)
        self._samples += samples

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` once a core is free, and return its result.

        Raises
        ------
        TookTooLong
            The time limit, which begins with the first call, was over first. A thread finishes
            work that it has begun.
        ClientGone
            The client hung up.
        """
        if self._ends is None:
            self._ends = self._loop.time() + self._pool.time_limit
        limit = asyncio.timeout_at(self._ends)
        try:
            async with limit:
                if self._loop.time() >= self._ends:  # while the last piece was computed
                    await asyncio.sleep(0)
                await self._core()
                self._job = self._pool.submit(work)
                return await asyncio.wrap_future(self._job)
        except TimeoutError as error:
            if not limit.expired():
                raise  # the work's own
            raise TookTooLong(
                f"no forecast within {self._pool.time_limit:g} s (FLARE_TIME_LIMIT_SECONDS)"
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
        """Give the places back."""
        if self._job is None or self._job.done():
            self._free()
            return

        def later(_: "Future[Any]") -> None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._free)

        self._job.add_done_callback(later)

    def _free(self) -> None:
        self._pool.give_back(self._samples, batch=self._batch)
        self._pool.requests -= 1
