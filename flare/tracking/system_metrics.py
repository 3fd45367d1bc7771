"""Processors, memory, disk, network and GPUs while a run goes on, where MLflow's pages show them.

MLflow's own thread of this kind gives up when the server is away; the numbers here are its, and go
the way of all metrics.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol, cast

import psutil  # type: ignore[import-untyped]
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

log = logging.getLogger("flare")

PREFIX, INTERVAL_VARIABLE = "system/", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"


class _Monitor(Protocol):
    """What MLflow's monitors have in common; they say nothing of types themselves."""

    def collect_metrics(self) -> None: ...
    def aggregate_metrics(self) -> dict[str, float]: ...
    def clear_metrics(self) -> None: ...


_INTERVAL = 10.0  # seconds; the variable changes it
_FIRST = 1.0  # seconds: short runs have a sample too


@contextmanager
def watched(
    log_metrics: Callable[[Mapping[str, float], int], None], *, first_step: int = 0
) -> Iterator[None]:
    """Sample the machine now and then while the block runs, and once when it ends.

    Parameters
    ----------
    log_metrics
        Takes the samples, each with its step; it is called from another thread.
    first_step
        Step of the first sample.
    """
    ended = threading.Event()

    def watch() -> None:
        monitors = _monitors()  # here: psutil counts processor time from thread to thread
        pause = min(_FIRST, _interval())
        step = first_step
        while not (last := ended.wait(pause)) or step == first_step:
            with suppress(OSError):  # a full disk is for others to report
                log_metrics(_sample(monitors), step)
            step += 1
            pause = _interval()
            if last:
                return

    thread = threading.Thread(target=watch, name="system metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5.0)


def _interval() -> float:
    return float(os.environ.get(INTERVAL_VARIABLE) or _INTERVAL)


def _monitors() -> list[_Monitor]:
    psutil.cpu_percent()  # it counts from the call before
    found: list[_Monitor] = []
    # In containers one or the other cannot be read; without NVIDIA's library there are no GPUs.
    for kind in (CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor):
        try:
            monitor = cast(_Monitor, kind())
            monitor.collect_metrics()
        except Exception as error:
            log.debug("no sample of %s: %s", kind, error)
        else:
            found.append(monitor)
    for monitor in found:
        monitor.clear_metrics()
    return found


def _sample(monitors: list[_Monitor]) -> dict[str, float]:
    """Return one sample, and beside MLflow's numbers the memory of this process."""
    values: dict[str, float] = {}
    for monitor in monitors:
        try:
            monitor.collect_metrics()
            values |= monitor.aggregate_metrics()
        except Exception as error:
            log.debug("no sample of %s: %s", type(monitor).__name__, error)
        monitor.clear_metrics()
    values["process_memory_megabytes"] = psutil.Process().memory_info().rss / 1e6
    return {f"{PREFIX}{name}": float(value) for name, value in values.items()}
