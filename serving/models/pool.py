"""One thread for each core, and a bounded number of samples that wait for one.

A network in a thread of its own, single-threaded and without the interpreter's lock, uses all of
one core; batches gain nothing on a CPU (`benchmarks.serving`). So a batch is computed in pieces of
a few samples. While single samples and such pieces wait, three of four turns are of single samples.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple, Self, TypeVar

from serving.http.problems import Refused, busy

Result = TypeVar("Result")


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
        self.idle = asyncio.Semaphore(cores)
        # Who may queue for a core: while both wait, one turn of four is a batch's.
        self.turns = {False: asyncio.Semaphore(3 * cores), True: asyncio.Semaphore(cores)}
        self.threads = ThreadPoolExecutor(cores, thread_name_prefix="forecast")

    def place(
        self,
        *,
        batch: bool = False,
        gone: Callable[[], Awaitable[bool]] | None = None,
        limit: TimeLimit | None = None,
    ) -> "Place":
        """Return a place for one sample, or for a batch, to be taken by ``async with``.

        ``gone`` says whether the client hung up; it is called before work of a batch and of a
        sample that had to wait. ``limit`` is instead of the pool's own.
        """
        return Place(self, batch, gone, limit or self.limit)

    async def close(self) -> None:
        """Wait for the accepted requests."""
        while self.requests:
            await asyncio.sleep(0.01)
        self.threads.shutdown(wait=True)


class Place:
    """The places of one request; they are free again once none of its work runs any more."""

    def __init__(
        self,
        pool: Pool,
        batch: bool,
        gone: Callable[[], Awaitable[bool]] | None,
        limit: TimeLimit,
    ) -> None:
        self._pool, self._batch, self._gone, self._limit = pool, batch, gone, limit
        self._samples = 0
        self._end: float | None = None
        self._job: Future[Any] | None = None

    async def __aenter__(self) -> Self:
        """Take one place; raise Refused, 503, where there is none."""
        self.take(1)
        self._pool.requests += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give the places back, now or once the thread has finished."""
        job, self._job = self._job, None  # whose callbacks hold this place, and it the upload
        if job is None or job.done():
            self._free()
        else:
            _call_when_done(job, self._free)

    def take(self, samples: int) -> None:
        """Take places for more samples; raise Refused, 503, where there are none."""
        used, places = self._pool.samples[self._batch], self._pool.places[self._batch]
        only_batch = self._batch and used == self._samples
        if used + samples > places and not only_batch:
            kind = "samples in batches" if self._batch else "samples"
            setting = "twice FLARE_MAX_BATCH" if self._batch else "cores and FLARE_MAX_WAITING"
            raise busy(f"the server is at its limit of {places} {kind} ({setting})")
        self._pool.samples[self._batch] += samples
        self._samples += samples

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` once a core is free, and return its result.

        Raises Refused: 503: the time limit, which begins with the first call, was over first (a
        thread finishes work that it has started); 400: the client hung up.
        """
        loop = asyncio.get_running_loop()
        if self._end is None:
            self._end = loop.time() + self._limit.seconds
        limit = asyncio.timeout_at(self._end)
        try:
            async with limit:
                if loop.time() >= self._end:  # while the last piece was computed
                    await asyncio.sleep(0)
                await self._wait_for_core()
                self._job = self._pool.threads.submit(work)
                _call_when_done(self._job, self._release_core)
                return await asyncio.wrap_future(self._job)
        except TimeoutError as error:
            if not limit.expired():
                raise  # the work's own
            detail = f"no forecast within {self._limit.seconds:g} s ({self._limit.setting})"
            raise busy(detail, code="took_too_long") from error

    async def _wait_for_core(self) -> None:
        """Wait for a core, and give it back where the client hung up."""
        has_to_wait = self._pool.idle.locked()
        await self._pool.turns[self._batch].acquire()
        try:
            await self._pool.idle.acquire()
        except BaseException:
            self._pool.turns[self._batch].release()
            raise
        try:
            if self._gone is not None and (has_to_wait or self._batch) and await self._gone():
                detail = "the client hung up before its forecast was computed"
                raise Refused(400, "cut_off", detail)
        except BaseException:
            self._release_core()
            raise

    def _release_core(self) -> None:
        self._pool.idle.release()
        self._pool.turns[self._batch].release()

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
