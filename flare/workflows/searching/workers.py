"""Processes of this machine that join a study, as the same command does on another machine."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flare.config.groups import text_of
from flare.config.search import SearchConfig
from flare.cores import usable_cores

_WAIT = 5.0  # seconds in which workers may end by themselves


@contextmanager
def running_workers(config: SearchConfig, model: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start processes that join the study, each on its own cores, and stop them at the end."""
    changed = {"model": model, "workers": 1}
    arguments = [
        f"--{name}={text_of(value)}"
        for name, value in config.model_copy(update=changed).model_dump().items()
    ]
    command = [sys.executable, "-m", "entrypoints.search", *arguments]
    share = max(1, usable_cores() // config.workers)
    environment = {**os.environ, "OMP_NUM_THREADS": str(share)}
    environment.pop("MLFLOW_RUN_ID", None)
    workers = []
    try:
        for number in range(config.workers):
            with _on_cores(number, share):
                workers.append(subprocess.Popen(command, env=environment))
        yield workers
    finally:
        # They end by themselves where the study is finishing, and where Ctrl-C in a terminal has
        # reached them too: a second one would disturb their ends.
        deadline = time.monotonic() + _WAIT
        while time.monotonic() < deadline and any(worker.poll() is None for worker in workers):
            time.sleep(0.1)
        for worker in workers:
            worker.terminate()  # not SIGINT, of which a Python that is starting makes a traceback
        for worker in workers:
            worker.wait()


@contextmanager
def _on_cores(number: int, share: int) -> Iterator[None]:
    """Run this thread, and so what it starts, on the cores of one worker."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = sorted(os.sched_getaffinity(0))
    first = (number * share) % len(before)
    try:
        os.sched_setaffinity(0, before[first : first + share])
        yield
    finally:
        os.sched_setaffinity(0, before)
