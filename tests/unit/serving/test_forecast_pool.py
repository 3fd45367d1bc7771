"""A bounded number of requests, one thread for each core, and no forgotten work."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from serving.http.problems import Refused
from serving.models.pool import Pool


@contextmanager
def pool_of(**given: Any) -> Iterator[Pool]:
    pool = Pool(**{"cores": 1, "max_waiting": 0, "time_limit": 60.0} | given)
    try:
        yield pool
    finally:
        asyncio.run(pool.close())


def refusal(code: str, match: str | None = None) -> Any:
    return pytest.raises(Refused, match=match, check=lambda error: error.code == code)


async def in_place(pool: Pool, work: Any, *, pieces: int = 1, **given: Any) -> Any:
    async with pool.place(**given) as place:
        for _ in range(pieces):
            result = await place.run(work)
        return result


async def until(condition: Any) -> None:
    """Wait for something that another thread makes true."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


async def hung_up() -> bool:
    return True


class Stuck:
    """Work that lasts until it may go on."""

    def __init__(self) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        self.go_on.wait(60)


def test_an_exception_of_the_work_is_raised_and_the_place_is_free():
    with pool_of() as pool:
        for error in (ValueError("mine"), TimeoutError("the work's own")):
            with pytest.raises(type(error), match=str(error)):
                asyncio.run(in_place(pool, lambda error=error: (_ for _ in ()).throw(error)))
        assert pool.samples[False] == 0


def test_there_are_as_many_places_as_cores_and_waiters_and_not_one_more():
    async def scenario(pool: Pool) -> None:
        async with pool.place(), pool.place(), pool.place():
            assert pool.samples[False] == pool.places[False] == 3
            with refusal("busy", "FLARE_MAX_WAITING"):
                await in_place(pool, lambda: None)
        assert pool.samples[False] == 0
        assert await in_place(pool, lambda: 7) == 7

    with pool_of(cores=1, max_waiting=2) as pool:
        asyncio.run(scenario(pool))


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
        asyncio.run(scenario(pool))
    assert most == 2


def order_of(*queued: tuple[str, int, int]) -> list[str]:
    """Return the kinds of the pieces as one core runs them; queued are kind, requests, pieces."""
    order: list[str] = []

    async def scenario(pool: Pool) -> None:
        stuck = Stuck()
        tasks = [asyncio.create_task(in_place(pool, stuck))]
        for name, count, pieces in queued:
            for _ in range(count):
                batch = name == "batch"
                work = in_place(pool, lambda n=name: order.append(n), pieces=pieces, batch=batch)
                tasks.append(asyncio.create_task(work))
        await until(lambda: pool.requests == len(tasks))
        stuck.go_on.set()
        await asyncio.gather(*tasks)

    with pool_of(max_waiting=12) as pool:
        asyncio.run(scenario(pool))
    return order


def test_a_batch_gets_one_of_four_turns_while_single_samples_wait():
    order = order_of(("single", 12, 1), ("batch", 1, 3))
    turns = [k for k, name in enumerate(order) if name == "batch"]
    assert len(turns) == 3
    assert max(turns) < 12
    assert all(after - before >= 3 for before, after in pairwise(turns))


class Body:
    """What a request holds in memory."""


def test_a_request_that_has_ended_keeps_nothing_in_memory():
    refs = []

    def start() -> Body:
        body = Body()
        refs.append(weakref.ref(body))
        return body

    async def hang_up_after_a_piece(pool: Pool) -> None:
        async with pool.place(batch=True) as place:
            await place.run(start)
            raise ValueError("hung up")

    async def scenario(pool: Pool) -> None:
        for _ in range(5):
            with pytest.raises(ValueError, match="hung up"):
                await hang_up_after_a_piece(pool)
        assert len(refs) == 5
        await until(lambda: not any(ref() for ref in refs))  # the thread lets go in its own time

    gc.disable()
    try:
        with pool_of(max_waiting=1) as pool:
            asyncio.run(scenario(pool))
    finally:
        gc.enable()


def test_single_samples_wait_for_one_piece_of_a_core_whatever_the_number_of_batches():
    order = order_of(("batch", 3, 2), ("single", 2, 2))
    assert order[:3] == ["batch", "single", "single"]
    assert sorted(order) == ["batch"] * 6 + ["single"] * 4


def test_samples_of_batches_have_places_of_their_own():
    async def scenario(pool: Pool) -> None:
        async with pool.place(batch=True) as one, pool.place(batch=True) as other:
            one.take(5)
            assert pool.samples[True] == 7
            with refusal("busy", "limit of 8 samples in batches"):
                other.take(2)
            other.take(1)
            assert await in_place(pool, lambda: 7) == 7
        assert pool.samples[True] == pool.requests == 0

    with pool_of(max_batch_samples=8) as pool:
        asyncio.run(scenario(pool))


def test_a_batch_of_more_samples_than_places_is_computed_where_it_is_the_only_one():
    async def scenario(pool: Pool) -> None:
        async with pool.place(batch=True) as large:
            large.take(20)
            with refusal("busy"):
                async with pool.place(batch=True):
                    pass
        async with pool.place(batch=True), pool.place(batch=True) as large:
            with refusal("busy"):
                large.take(20)

    with pool_of(max_batch_samples=8) as pool:
        asyncio.run(scenario(pool))


def test_a_batch_is_given_up_between_two_pieces_where_its_client_hangs_up():
    order: list[int] = []

    async def gone() -> bool:
        return len(order) == 2

    with pool_of() as pool, refusal("cut_off"):
        work = in_place(pool, lambda: order.append(0), pieces=9, batch=True, gone=gone)
        asyncio.run(work)
    assert order == [0, 0]


def test_a_client_that_hung_up_while_it_waited_is_not_computed():
    order: list[str] = []

    async def scenario(pool: Pool) -> None:
        stuck = Stuck()
        first = asyncio.create_task(in_place(pool, stuck))
        await until(stuck.entered.is_set)
        waiting = in_place(pool, lambda: order.append("computed"), gone=hung_up)
        task = asyncio.create_task(waiting)
        await until(lambda: pool.requests == 2)
        stuck.go_on.set()
        with refusal("cut_off"):
            await task
        await first
        assert await in_place(pool, lambda: 7, gone=hung_up) == 7  # it does not have to wait

    with pool_of(max_waiting=1) as pool:
        asyncio.run(scenario(pool))
    assert order == []


def test_the_time_limit_is_that_of_all_pieces_together():
    order: list[int] = []

    def piece() -> None:
        order.append(0)
        time.sleep(0.01)

    async def scenario(pool: Pool) -> None:
        with refusal("took_too_long"):
            await in_place(pool, piece, pieces=1000, batch=True)
        await until(lambda: pool.requests == 0)

    with pool_of(time_limit=0.1) as pool:
        asyncio.run(scenario(pool))
    assert len(order) < 1000


def test_after_the_time_limit_the_place_is_occupied_until_its_thread_is_done():
    async def scenario(pool: Pool) -> None:
        stuck = Stuck()
        with refusal("took_too_long", r"within 0.01 s \(FLARE_TIME_LIMIT_SECONDS\)"):
            await in_place(pool, stuck)
        assert pool.samples[False] == 1
        with refusal("busy"):
            await in_place(pool, lambda: None)
        stuck.go_on.set()
        await until(lambda: pool.samples[False] == 0)

    with pool_of(time_limit=0.01) as pool:
        asyncio.run(scenario(pool))


def test_a_request_that_gave_up_waiting_frees_its_place_and_memory_and_is_never_computed():
    computed = []

    async def scenario(pool: Pool) -> None:
        stuck = Stuck()
        first = asyncio.create_task(in_place(pool, stuck))
        await asyncio.sleep(0)
        body = Body()
        reference = weakref.ref(body)
        waiting = asyncio.create_task(in_place(pool, lambda body=body: computed.append(body)))
        del body
        for task in (waiting, first):
            with refusal("took_too_long"):
                await task
        del waiting, task
        await asyncio.sleep(0)
        gc.collect()
        assert pool.samples[False] == 1
        assert reference() is None, "the queue holds the body of a request that gave up"
        stuck.go_on.set()
        await until(lambda: pool.samples[False] == 0)

    with pool_of(max_waiting=1, time_limit=0.05) as pool:
        asyncio.run(scenario(pool))
    assert computed == []


@pytest.mark.parametrize("batch", [False, True])
def test_a_request_that_is_cancelled_frees_its_core_and_place_once_nothing_computes(batch):
    async def scenario(pool: Pool) -> None:
        stuck = Stuck()
        task = asyncio.create_task(in_place(pool, stuck, batch=batch))
        waiting = asyncio.create_task(in_place(pool, lambda: None, batch=batch))
        await until(stuck.entered.is_set)
        for one in (waiting, task):
            one.cancel()
            with pytest.raises(asyncio.CancelledError):
                await one
        assert pool.samples[batch] == 1
        stuck.go_on.set()
        await until(lambda: pool.samples[batch] == 0)
        assert await in_place(pool, lambda: 7, batch=batch) == 7

    with pool_of(max_waiting=1) as pool:
        asyncio.run(scenario(pool))


def test_closing_finishes_what_was_accepted():
    done = []

    async def scenario(pool: Pool) -> None:
        tasks = [asyncio.create_task(in_place(pool, lambda n=n: done.append(n))) for n in range(5)]
        await until(lambda: pool.samples[False] == 5)
        await pool.close()
        assert done == [0, 1, 2, 3, 4]
        await asyncio.gather(*tasks)

    with pool_of(max_waiting=4) as pool:
        asyncio.run(scenario(pool))
