"""Count the cores that this process may use, and set how PyTorch's threads wait on them."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

#: Threads of GCC's OpenMP, which PyTorch uses, sleep at once while they wait for others instead of
#: trying again for 3 ms. Measured by `benchmarks.yielding`.
OPENMP_WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}

_SYSTEM = Path("/")


def usable_cores(system: Path = _SYSTEM) -> int:
    """Return how many cores this process may use at once, at least 1.

    The smallest of the cores that it may run on (affinity) and the processor time that its control
    groups allow (Linux cgroups, versions 1 and 2), rounded up: a container with a quota of 1.5
    cores gets 2. Without affinity and control groups it is the number of cores of the machine.

    ``system`` is the root of ``/proc`` and ``/sys``.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas(system))]))


def configure_openmp() -> None:
    """Set how OpenMP's threads wait, and their number under a quota, unless the user has set it.

    OpenMP reads the environment when PyTorch is imported; afterwards this only affects processes
    that are started from here.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ.update(OPENMP_WAITING)
    cores = usable_cores()
    if hasattr(os, "sched_getaffinity") and cores < len(os.sched_getaffinity(0)):
        os.environ.setdefault("OMP_NUM_THREADS", str(cores))


def _quotas(system: Path) -> Iterator[float]:
    """Yield the quota in cores of each control group that this process is in and that has one."""
    # A sandbox may hide the name of this group but mount its limits.
    for line in (_text(system / "proc/self/cgroup") or "0::/").splitlines():
        number, controllers, group = [*line.split(":", 2), "", ""][:3]
        mounted = system / "sys/fs/cgroup"
        path = PurePosixPath("/", *(part for part in group.split("/") if part not in ("", "..")))
        # Where a container does not see its own group's path, its limits are at the top.
        for place in (path, *path.parents):
            below = str(place).lstrip("/")
            if number == "0" and not controllers:
                yield from _quota(*_text(mounted / below / "cpu.max").split()[:2])
            elif "cpu" in controllers.split(","):
                folder = mounted / "cpu" / below
                quota, period = (
                    _text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")
                )
                yield from _quota(quota, period)


def _quota(quota: str = "max", period: str = "100000") -> Iterator[float]:
    """Yield the number of cores that a CPU quota allows; nothing where there is no limit."""
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return  # "max", or a file that is not there
    if cores > 0:  # version 1 writes -1 for no limit
        yield cores


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
