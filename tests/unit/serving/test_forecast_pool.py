"""A bounded number of requests, one thread for each core, and no forgotten work."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from serving.pool import Busy, Pool, TookTooLong


@contextmanager
def pool_of(**given: Any) -> Iterator[Pool]:
    pool = Pool(**{"cores": 1, "max_waiting": 0, "time_limit": 60.0} | given)
    try:
        yield pool
    finally:
        pool.close()


async def in_place(pool: Pool, work: Any) -> Any:
    async with pool.place() as place:
        return await place.run(work)


async def until(condition: Any) -> None:
    """Wait for something that another thread makes true."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(scenario)


def test_work_is_done_by_a_thread_and_its_answer_comes_back():
    with pool_of() as pool:
        name = run(in_place(pool, lambda: threading.current_thread().name))
        assert name.startswith("forecast")
        assert pool.taken == 0


def test_what_the_work_raises_comes_back_and_the_place_is_free():
    with pool_of() as pool:
        for error in (ValueError("mine"), TimeoutError("the work's own")):
            with pytest.raises(type(error), match=str(error)):
                run(in_place(pool, lambda error=error: (_ for _ in ()).throw(error)))
        assert pool.taken == 0


def test_there_are_as_many_places_as_cores_and_waiters_and_not_one_more():
    async def scenario(pool: Pool) -> None:
        async with pool.place(), pool.place(), pool.place():
            assert pool.taken == pool.places == 3
            with pytest.raises(Busy, match="FLARE_MAX_WAITING"):
                await in_place(pool, lambda: None)
        assert pool.taken == 0
        assert await in_place(pool, lambda: 7) == 7

    with pool_of(cores=1, max_waiting=2) as pool:
        run(scenario(pool))


def test_a_place_is_free_again_where_its_body_could_not_be_read():
    async def scenario(pool: Pool) -> None:
        with pytest.raises(ValueError, match="broke off"):
            async with pool.place():
                raise ValueError("broke off")
        assert pool.taken == 0

    with pool_of() as pool:
        run(scenario(pool))


def test_no_more_run_at_once_than_there_are_cores():
    running, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(60)
        with lock:
            running -= 1

    async def scenario(pool: Pool) -> None:
        await asyncio.gather(*(in_place(pool, work) for _ in range(8)))

    with pool_of(cores=2, max_waiting=6) as pool:
        run(scenario(pool))
    assert most == 2


def test_after_the_time_limit_the_place_is_taken_until_its_thread_is_done():
    go_on = threading.Event()

    async def scenario(pool: Pool) -> None:
        with pytest.raises(TookTooLong, match=r"within 0.01 s \(FLARE_TIME_LIMIT_SECONDS\)"):
            await in_place(pool, lambda: go_on.wait(60))
        assert pool.taken == 1
        with pytest.raises(Busy):
            await in_place(pool, lambda: None)
        go_on.set()
        await until(lambda: pool.taken == 0)

    with pool_of(time_limit=0.01) as pool:
        run(scenario(pool))


class Body:
    """What a request holds in memory."""


def test_who_gave_up_waiting_has_its_place_free_at_once_and_is_never_computed_or_kept():
    go_on, computed = threading.Event(), []

    async def scenario(pool: Pool) -> None:
        first = asyncio.create_task(in_place(pool, lambda: go_on.wait(60)))
        await asyncio.sleep(0)
        body = Body()
        kept = weakref.ref(body)

        def work(body: Body = body) -> None:
            computed.append(body)

        waiting = asyncio.create_task(in_place(pool, work))
        del body, work
        for task in (waiting, first):
            with pytest.raises(TookTooLong):
                await task
        del waiting, task
        await asyncio.sleep(0)
        gc.collect()
        assert pool.taken == 1
        assert kept() is None, "the queue of a stuck core keeps the bodies of those who gave up"
        go_on.set()
        await until(lambda: pool.taken == 0)

    with pool_of(max_waiting=1, time_limit=0.05) as pool:
        run(scenario(pool))
    assert computed == []


def test_a_request_that_is_cancelled_frees_its_place_once_nothing_computes():
    go_on, entered = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        go_on.wait(60)

    async def scenario(pool: Pool) -> None:
        task = asyncio.create_task(in_place(pool, work))
        await until(entered.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.taken == 1
        go_on.set()
        await until(lambda: pool.taken == 0)

    with pool_of() as pool:
        run(scenario(pool))


def test_closing_finishes_what_was_accepted():
    done = []

    async def scenario(pool: Pool) -> None:
        tasks = [asyncio.create_task(in_place(pool, lambda n=n: done.append(n))) for n in range(5)]
        await until(lambda: pool.taken == 5)
        await asyncio.to_thread(pool.close)
        assert done == [0, 1, 2, 3, 4]
        await asyncio.gather(*tasks)

    with pool_of(max_waiting=4) as pool:
        run(scenario(pool))
