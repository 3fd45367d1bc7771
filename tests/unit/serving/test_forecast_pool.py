"""A bounded number of requests, one thread for each core, and no forgotten work."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from serving.models.pool import TURNS_PER_BATCH, Busy, ClientGone, Pool, TookTooLong


@contextmanager
def pool_of(**given: Any) -> Iterator[Pool]:
    pool = Pool(**{"cores": 1, "max_waiting": 0, "time_limit": 60.0} | given)
    try:
        yield pool
    finally:
        asyncio.run(pool.close())


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


def test_an_exception_of_the_work_is_raised_and_the_place_is_free():
    with pool_of() as pool:
        for error in (ValueError("mine"), TimeoutError("the work's own")):
            with pytest.raises(type(error), match=str(error)):
                run(in_place(pool, lambda error=error: (_ for _ in ()).throw(error)))
        assert pool.samples[False] == 0


def test_there_are_as_many_places_as_cores_and_waiters_and_not_one_more():
    async def scenario(pool: Pool) -> None:
        async with pool.place(), pool.place(), pool.place():
            assert pool.samples[False] == pool.places[False] == 3
            with pytest.raises(Busy, match="FLARE_MAX_WAITING"):
                await in_place(pool, lambda: None)
        assert pool.samples[False] == 0
        assert await in_place(pool, lambda: 7) == 7

    with pool_of(cores=1, max_waiting=2) as pool:
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


def test_after_the_time_limit_the_place_is_occupied_until_its_thread_is_done():
    go_on = threading.Event()

    async def scenario(pool: Pool) -> None:
        with pytest.raises(TookTooLong, match=r"within 0.01 s \(FLARE_TIME_LIMIT_SECONDS\)"):
            await in_place(pool, lambda: go_on.wait(60))
        assert pool.samples[False] == 1
        with pytest.raises(Busy):
            await in_place(pool, lambda: None)
        go_on.set()
        await until(lambda: pool.samples[False] == 0)

    with pool_of(time_limit=0.01) as pool:
        run(scenario(pool))


async def computed(pool: Pool, order: list[str], name: str, *, batch: bool, pieces: int) -> None:
    """Compute pieces of a request, each of which is a line of ``order``."""
    async with pool.place(batch=batch) as place:
        for _ in range(pieces):
            await place.run(lambda: order.append(name))


def test_single_samples_get_three_of_four_turns():
    order: list[str] = []

    async def scenario(pool: Pool) -> None:
        go_on = threading.Event()
        stuck = asyncio.create_task(in_place(pool, lambda: go_on.wait(60)))
        await until(lambda: pool.requests == 1)
        batch = asyncio.create_task(computed(pool, order, "batch", batch=True, pieces=3))
        await until(lambda: pool.requests == 2)
        singles = [
            asyncio.create_task(computed(pool, order, "single", batch=False, pieces=1))
            for _ in range(6)
        ]
        await until(lambda: pool.requests == 8)
        go_on.set()
        await asyncio.gather(stuck, batch, *singles)

    with pool_of(max_waiting=10) as pool:
        run(scenario(pool))
    singles = ["single"] * (TURNS_PER_BATCH - 1)
    assert order == [*singles, "batch", *singles, "batch", "batch"]


def test_samples_of_batches_have_places_of_their_own():
    async def scenario(pool: Pool) -> None:
        async with pool.place(batch=True) as one, pool.place(batch=True) as other:
            one.take(5)
            assert pool.samples[True] == 7
            with pytest.raises(Busy, match="limit of 8 samples in batches"):
                other.take(2)
            other.take(1)
            assert await in_place(pool, lambda: 7) == 7
        assert pool.samples[True] == pool.requests == 0

    with pool_of(max_batch_samples=8) as pool:
        run(scenario(pool))


def test_a_batch_of_more_samples_than_places_is_computed_where_it_is_the_only_one():
    async def scenario(pool: Pool) -> None:
        async with pool.place(batch=True) as large:
            large.take(20)
            with pytest.raises(Busy):
                async with pool.place(batch=True):
                    pass
        async with pool.place(batch=True), pool.place(batch=True) as large:
            with pytest.raises(Busy):
                large.take(20)

    with pool_of(max_batch_samples=8) as pool:
        run(scenario(pool))


def test_a_batch_is_given_up_between_two_pieces_where_its_client_hangs_up():
    order: list[int] = []

    async def hung_up() -> bool:
        return len(order) == 2

    async def scenario(pool: Pool) -> None:
        async with pool.place(batch=True, gone=hung_up) as place:
            for number in range(9):
                await place.run(lambda number=number: order.append(number))

    with pool_of() as pool, pytest.raises(ClientGone):
        run(scenario(pool))
    assert order == [0, 1]


def test_the_time_limit_is_that_of_all_pieces_together():
    order: list[int] = []

    async def pieces(pool: Pool) -> None:
        async with pool.place(batch=True) as place:
            for number in range(1000):
                await place.run(lambda number=number: (order.append(number), time.sleep(0.01)))

    async def scenario(pool: Pool) -> None:
        with pytest.raises(TookTooLong):
            await pieces(pool)
        await until(lambda: pool.requests == 0)

    with pool_of(time_limit=0.1) as pool:
        run(scenario(pool))
    assert len(order) < 1000


class Body:
    """What a request holds in memory."""


def test_a_request_that_gave_up_waiting_frees_its_place_and_memory_and_is_never_computed():
    go_on, computed = threading.Event(), []

    async def scenario(pool: Pool) -> None:
        first = asyncio.create_task(in_place(pool, lambda: go_on.wait(60)))
        await asyncio.sleep(0)
        body = Body()
        reference = weakref.ref(body)

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
        assert pool.samples[False] == 1
        assert reference() is None, "the queue holds the body of a request that gave up"
        go_on.set()
        await until(lambda: pool.samples[False] == 0)

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
        assert pool.samples[False] == 1
        go_on.set()
        await until(lambda: pool.samples[False] == 0)

    with pool_of() as pool:
        run(scenario(pool))


def test_closing_finishes_what_was_accepted():
    done = []

    async def scenario(pool: Pool) -> None:
        tasks = [asyncio.create_task(in_place(pool, lambda n=n: done.append(n))) for n in range(5)]
        await until(lambda: pool.samples[False] == 5)
        await pool.close()
        assert done == [0, 1, 2, 3, 4]
        await asyncio.gather(*tasks)

    with pool_of(max_waiting=4) as pool:
        run(scenario(pool))


def test_a_client_that_hung_up_while_it_waited_is_not_computed():
    order: list[str] = []

    async def hung_up() -> bool:
        return True

    async def waiting(pool: Pool) -> None:
        async with pool.place(gone=hung_up) as place:
            await place.run(lambda: order.append("computed"))

    async def scenario(pool: Pool) -> None:
        go_on = threading.Event()
        stuck = asyncio.create_task(in_place(pool, lambda: go_on.wait(60)))
        await until(lambda: pool.requests == 1)
        task = asyncio.create_task(waiting(pool))
        await until(lambda: pool.requests == 2)
        go_on.set()
        with pytest.raises(ClientGone):
            await task
        await stuck
        assert await in_place(pool, lambda: 7) == 7

    with pool_of(max_waiting=1) as pool:
        run(scenario(pool))
    assert order == []
