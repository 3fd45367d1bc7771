"""Work on thousands of samples in several processes: in order, with progress, stopped by Ctrl-C."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from flare.cores import usable_cores

Task = TypeVar("Task")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with the samples that are done and the samples in all."""

#: Samples that make a task worth sending to another process; Ctrl-C waits for those under way.
TASK_SAMPLES = 8
_TASKS_WORTH_A_PROCESS = 20  # starting two takes 1.5 s, in which one packs some 150 samples


def map_in_order(
    function: Callable[[Task], list[Result]], tasks: Sequence[Task], *, processes: int | None
) -> Generator[list[Result]]:
    """Yield what the function returns for each task, in the order of the tasks.

    Close the generator, as ``contextlib.closing`` does, to stop its processes before the end.

    Parameters
    ----------
    function
        Importable by name; it and the tasks are sent to other processes.
    processes
        How many work; by default one per core, fewer for few tasks. With 1 all happens here.
    """
    if processes is None:
        processes = min(usable_cores(), len(tasks) // _TASKS_WORTH_A_PROCESS)
    if processes <= 1:
        yield from map(function, tasks)
        return
    waiting = iter(tasks)
    with worker_pool(processes) as pool:
        # Not `Executor.map`, which takes all tasks into its queue, and keeps all results that come
        # while its caller is busy.
        running = deque(pool.submit(function, task) for task in islice(waiting, 4 * processes))
        while running:
            result = running.popleft().result()
            running.extend(pool.submit(function, task) for task in islice(waiting, 1))
            yield result


@contextmanager
def worker_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes that this one starts, stops and takes with it when it is killed.

    Processes, because drawing and decoding hold the interpreter's lock for most of their time;
    spawned, because a fork copies the locks of whatever threads MLflow and PyTorch have running.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_obey_parent) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)  # waits for what is under way


def reported(
    results: Iterable[list[Result]], progress: Progress | None, total: int
) -> Iterator[Result]:
    """Yield the single results of tasks, and say for each task how many there are now."""
    done = 0
    for result in results:
        done += len(result)
        if progress is not None:
            progress(done, total)
        yield from result


def _obey_parent() -> None:
    """Leave Ctrl-C and SIGTERM to the parent, which stops its workers; end when it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
