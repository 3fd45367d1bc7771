"""What a run ran on: Python, packages, processors, PyTorch; so that it can be run so again."""

import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil

from flare import __version__
from flare.cores import usable_cores
from flare.tracking.run import Run

#: What decides about threads and devices.
_VARIABLES = (
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    "MKL_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "PYTHONHASHSEED",
    "WORLD_SIZE",
)


def log_environment(run: Run) -> None:
    """Log what a run runs on, as ``environment.json``."""
    run.log_json(environment(), "environment.json")


def environment() -> dict[str, Any]:
    """Describe this process: everything that can change a number or a time."""
    packages, unreadable = _packages()
    description: dict[str, Any] = {
        "flare": __version__,
        "python": sys.version,
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_gigabytes": round(psutil.virtual_memory().total / 1e9, 1),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
        "unreadable_packages": unreadable,
    }
    if "torch" in sys.modules:  # a forest does without, and importing it takes seconds
        description["torch"] = _torch()
    return description


def _packages() -> tuple[dict[str, str], int]:
    """Return name and version of each package, and the number of those whose metadata is damaged.

    An installation that was interrupted leaves an empty ``*.dist-info``, whose name is None,
    missing or not to be read, depending on the version of Python and of importlib_metadata.
    """
    packages: dict[str, str] = {}
    unreadable = 0
    for one in distributions():
        name: object = None
        version: object = None
        with suppress(LookupError, AttributeError, TypeError, ValueError, OSError):
            name, version = one.metadata["Name"], one.version
        if isinstance(name, str) and isinstance(version, str):
            packages[name] = version
        else:
            unreadable += 1
    return packages, unreadable


def _torch() -> dict[str, Any]:
    import torch

    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "gpus": [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "build": torch.__config__.show().splitlines(),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
