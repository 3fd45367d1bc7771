"""Work on thousands of samples in several processes: in order, with progress, stopped by Ctrl-C."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with the samples that are done and the samples in all."""

#: Samples that make a task worth sending to another process; Ctrl-C waits for those under way.
TASK_SAMPLES = 8
_TASKS_WORTH_A_PROCESS = 8  # starting one costs as much as decoding some forty samples


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
        processes = min(os.cpu_count() or 1, len(tasks) // _TASKS_WORTH_A_PROCESS)
    if processes <= 1:
        yield from map(function, tasks)
        return
    # Processes, because decoding holds the interpreter's lock for most of its time; spawned,
    # because a fork copies the locks of whatever threads MLflow and PyTorch have running.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_ignore_interrupts) as pool:
        try:
            yield from pool.map(function, tasks)
        finally:
            pool.shutdown(cancel_futures=True)


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


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent, which stops its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
