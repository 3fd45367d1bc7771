"""Count the cores that this process may use, and set how PyTorch's threads wait on them."""

import math
import os
from pathlib import Path, PurePosixPath

#: Threads of GCC's OpenMP, which PyTorch uses, sleep at once while they wait for others instead of
#: trying again for 3 ms. Measured by `benchmarks.yielding`.
OPENMP_WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}


def usable_cores(system: Path = Path("/")) -> int:
    """Return how many cores this process may use at once, at least 1.

    The smaller of the cores that it may run on (affinity) and the processor time that its container
    or service allows (Linux cgroups, versions 1 and 2), rounded up: a quota of 1.5 cores gives 2.
    Without affinity and quota it is the number of cores of the machine. ``system`` is the root of
    ``/proc`` and ``/sys``.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _quota(system))))


def _quota(system: Path) -> float:
    """Return the cores that the quotas of this process's control group and those above allow."""
    top = system / "sys/fs/cgroup"  # where a container sees its own limits
    try:
        groups = (system / "proc/self/cgroup").read_text()
    except (OSError, ValueError):  # ValueError: not UTF-8
        groups = ""
    own = PurePosixPath(groups.rpartition("0::/")[2].strip())
    limits = (
        # "150000 100000", or "max 100000" where there is no limit
        *([top / group / "cpu.max"] for group in (own, *own.parents)),
        [top / "cpu/cpu.cfs_quota_us", top / "cpu/cpu.cfs_period_us"],  # version 1; -1: none
    )
    quotas = [math.inf]
    for files in limits:
        try:
            quota, period = map(int, " ".join(file.read_text() for file in files).split())
        except (OSError, ValueError):
            continue
        if quota > 0 and period > 0:
            quotas.append(quota / period)
    return min(quotas)


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
