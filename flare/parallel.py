"""Map a function over many tasks in several processes: in order, in bounded memory."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from flare.cores import usable_cores
from flare.errors import ProcessLost

Task = TypeVar("Task")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with the number of samples that are done, and of all samples."""

#: Samples that make a task worth sending to another process; Ctrl-C waits for those under way.
TASK_SAMPLES = 8
_TASKS_WORTH_A_PROCESS = 20  # starting two takes 1.5 s, in which one packs some 150 samples


def map_in_order(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    processes: int | None = None,
    at_once: int | None = None,
) -> Generator[Result]:
    """Yield what the function returns for each task, in the order of the tasks.

    Close the generator, as ``contextlib.closing`` does, to stop its processes before the end. They
    ignore Ctrl-C and SIGTERM, which stop this process and so them, and end when it is killed.

    ``function`` is importable by name; it and the tasks are pickled. ``processes`` is by default
    one per core, fewer for few tasks; with 1 all happens here. ``at_once`` tasks run or have
    results that wait to be used, by default four for each process.

    Raises ProcessLost: a worker was killed, as the system does where memory runs out.
    """
    if processes is None:
        processes = min(usable_cores(), len(tasks) // _TASKS_WORTH_A_PROCESS)
    if processes <= 1:
        yield from map(function, tasks)
        return
    # Spawned, because a fork copies the locks of the threads that MLflow and PyTorch have running.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_follow_parent) as pool:
        # `Executor.map` and joblib take new tasks however many results wait for a slow caller.
        submitted = (pool.submit(function, task) for task in tasks)
        running = deque(islice(submitted, at_once or 4 * processes))
        try:
            while running:
                result = running.popleft().result()
                running.extend(islice(submitted, 1))
                yield result
        except BrokenProcessPool as error:
            raise ProcessLost(
                "a worker process was killed, probably because memory ran out; use fewer, such as "
                f"-P processes={processes // 2}"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def reported(
    results: Iterable[list[Result]], progress: Progress | None, total: int
) -> Iterator[Result]:
    """Yield the items of lists one by one, and report after each list how many there are now."""
    done = 0
    for result in results:
        done += len(result)
        if progress is not None:
            progress(done, total)
        yield from result


def _follow_parent() -> None:
    """Leave signals to the parent, which stops its workers, and end when it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
