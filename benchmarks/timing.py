"""Time several ways of doing one thing, turn about, and say how they compare and on what machine.

A busy machine slows whatever runs at that moment. Turn about, a slow minute meets all contestants,
and the median leaves it out. Seconds of processor time, those of child processes too, do not count
the waiting for others.
"""

import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from flare.cores import usable_cores


@dataclass(frozen=True)
class Timing:
    """Seconds that each repeat of one contestant took, by the clock and of processors."""

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds of the repeat in the middle."""
        return statistics.median(self.seconds)

    @property
    def cpu_median(self) -> float:
        """Processor seconds of the repeat in the middle."""
        return statistics.median(self.cpu_seconds)

    @property
    def spread(self) -> str:
        """The shortest and the longest repeat."""
        return f"{min(self.seconds):.2f} to {max(self.seconds):.2f}"


def time_in_turn(
    contestants: Mapping[str, Callable[[], object]], *, repeats: int = 5
) -> dict[str, Timing]:
    """Run each contestant once unmeasured, then all of them in turn, so many times.

    Parameters
    ----------
    contestants
        What to run, by name; each must do the whole work anew.
    repeats
        How often each is measured.
    """
    timed = {name: partial(_seconds_of, work) for name, work in contestants.items()}
    return _in_turn(timed, repeats)


def time_in_own_processes(
    contestants: Mapping[str, Callable[[], object]], *, repeats: int = 5
) -> dict[str, Timing]:
    """Do as `time_in_turn`, each contestant in a process that it keeps and shares with no other.

    How the C library hands out memory is a matter of the whole process. Contestants are pickled.
    """
    with ExitStack() as stack:
        timed = {}
        for name, work in contestants.items():
            context = multiprocessing.get_context("spawn")
            process = stack.enter_context(ProcessPoolExecutor(1, mp_context=context))
            timed[name] = partial(_asked, process, work)
        return _in_turn(timed, repeats)


def _in_turn(
    timed: Mapping[str, Callable[[], tuple[float, float]]], repeats: int
) -> dict[str, Timing]:
    for measure in timed.values():
        measure()  # files are in memory and modules imported from here on
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    for _ in range(repeats):
        for name, measure in timed.items():
            measured[name].append(measure())
    return {name: Timing(*zip(*pairs, strict=True)) for name, pairs in measured.items()}


def _asked(process: ProcessPoolExecutor, work: Callable[[], object]) -> tuple[float, float]:
    return process.submit(_seconds_of, work).result()


def _seconds_of(work: Callable[[], object]) -> tuple[float, float]:
    """Return how long some work takes, by the clock and of processors."""
    start, cpu_start = time.perf_counter(), _cpu_seconds()
    work()
    return time.perf_counter() - start, _cpu_seconds() - cpu_start


def _cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def rate_table(timings: Mapping[str, Timing], *, amount: float, unit: str, reference: str) -> str:
    """Return a Markdown table: seconds, amount per second, its ratio to a peer's, processor time.

    Parameters
    ----------
    amount
        How much work one run is, in ``unit``.
    reference
        Name of the contestant whose rate is 1.
    """
    peer = timings[reference].median
    lines = [
        f"| | median (s) | shortest to longest (s) | {unit}/s | ratio | processors (s) |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, timing in timings.items():
        lines.append(
            f"| {name} | {timing.median:.2f} | {timing.spread} | {amount / timing.median:.1f} "
            f"| {peer / timing.median:.2f} | {timing.cpu_median:.2f} |"
        )
    return "\n".join(lines)


def machine(*packages: str) -> str:
    """Name the processor, the cores that may be used, and the versions of some packages."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    python = f"Python {platform.python_version()}"
    return f"{_processor()}, {usable_cores()} cores, {python}, {versions}; load {_load()}"


def _processor() -> str:
    """Return the processor's name from Linux, or what Python knows elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _load() -> str:
    """Return how many processes wanted a core in the last minute."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
