"""Run the trials in processes of this machine, which join the study as on other machines."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flare.config.groups import text_of
from flare.config.search import SearchConfig
from flare.cores import usable_cores
from flare.errors import ProcessLost
from flare.training.processes import defer_signals
from flare.workflows.searching.study import FINISHED, SharedStudy

log = logging.getLogger("flare")

PAUSE = 1.0  # seconds between looks at what other processes do
_WAIT = 5.0  # seconds in which workers may end by themselves


def run_in_workers(
    config: SearchConfig,
    model: str,
    study: SharedStudy,
    *,
    on_trial: Callable[[], None],
    end: float,
) -> None:
    """Have worker processes run the trials of a study until ``end``, in monotonic seconds.

    ``on_trial`` is called when a trial has finished.

    Raises ProcessLost: all workers ended before the trials were done.
    """
    with _workers(config, model) as workers, defer_signals() as stop:
        n_finished, ended = -1, set[int]()
        while not stop():
            finished = sum(trial.state in FINISHED for trial in study.trials())
            if finished != n_finished:
                on_trial()
                n_finished = finished
            for worker in workers:
                if worker.poll() is not None and worker.pid not in ended:
                    ended.add(worker.pid)
                    if worker.returncode:
                        log.warning(
                            "worker %d ended with exit code %d", worker.pid, worker.returncode
                        )
            study.fail_lost_trials()
            if not study.is_busy(config.trials) or time.monotonic() >= end:
                break
            if len(ended) == len(workers):
                raise ProcessLost(
                    f"all {len(workers)} workers of study {study.name} ended before its trials; "
                    "see their messages, and run the same command to continue"
                )
            time.sleep(PAUSE)
        while study.is_running(config.trials) and not stop():  # after a timeout
            study.fail_lost_trials()
            time.sleep(PAUSE)
        if not stop():
            study.finish()


@contextmanager
def _workers(config: SearchConfig, model: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start processes that join the study, each on its own cores, and stop them at the end."""
    changed = config.model_copy(update={"model": model, "workers": 1}).model_dump()
    arguments = [f"--{name}={text_of(value)}" for name, value in changed.items()]
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
