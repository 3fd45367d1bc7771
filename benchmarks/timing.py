"""Time several ways of doing one thing, turn about, and say how they compare and on what machine.

A busy machine slows whatever runs at that moment. Turn about, a slow minute meets all contestants,
and the median leaves it out. Seconds of processor time, those of child processes too, do not count
the waiting for others.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


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
    for work in contestants.values():
        work()  # files are in memory and modules imported from here on
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, work in contestants.items():
            start, cpu_start = time.perf_counter(), _cpu_seconds()
            work()
            taken[name].append((time.perf_counter() - start, _cpu_seconds() - cpu_start))
    return {name: Timing(*zip(*pairs, strict=True)) for name, pairs in taken.items()}


def _cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def rate_table(timings: Mapping[str, Timing], *, amount: float, unit: str, beside: str) -> str:
    """Return a Markdown table: seconds, amount per second, its ratio to a peer's, processor time.

    Parameters
    ----------
    amount
        How much work one run is, in ``unit``.
    beside
        Name of the contestant whose rate is 1.
    """
    peer = timings[beside].median
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
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    python = f"Python {platform.python_version()}"
    return f"{_processor()}, {cores} cores, {python}, {versions}; load {_load()}"


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
