"""What logging costs a training: seconds inside logging calls, and those of the whole run.

``python -m benchmarks.tracking [SAMPLES [EPOCHS]]`` makes a synthetic set in a temporary folder and
trains on it with everything that `train` logs. Then it logs as many metrics once more, by
``Run.log_metrics`` and by ``MlflowClient.log_metric``, one request each.
"""

import logging
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from benchmarks.timing import machine
from flare.config import SynthesizeConfig, TrainConfig
from flare.datasets.pack.writer import ensure_pack
from flare.tracking import runs
from flare.tracking.run import Run
from flare.tracking.runs import start
from flare.workflows import train
from flare.workflows.data import synthesize
from flare.workflows.fitting import registration

_CALLS = (
    "log_metrics", "flush", "log_params", "set_tags", "log_input", "log_figure", "log_json",
    "log_text", "log_file",
)  # fmt: skip


@contextmanager
def measured() -> Iterator[dict[str, list[float]]]:
    """Give the seconds of every call of a run's methods in the main thread, by name."""
    durations: dict[str, list[float]] = defaultdict(list)
    before = {name: getattr(Run, name) for name in _CALLS}
    inside = [False]

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def wrapped(*given: Any, **named: Any) -> Any:
            if threading.current_thread() is not threading.main_thread() or inside[0]:
                return call(*given, **named)
            inside[0], began = True, time.perf_counter()
            try:
                return call(*given, **named)
            finally:
                durations[name].append(time.perf_counter() - began)
                inside[0] = False

        return wrapped

    for name, call in before.items():
        setattr(Run, name, timed(name, call))
    ends = {"_open": runs._open, "_end": runs._end}
    for name, call in ends.items():
        setattr(runs, name, timed({"_open": "begin"}.get(name, "end"), call))
    environment, samples = train.log_environment, registration.log_sample_predictions
    train.log_environment = timed("environment, gathered too", environment)
    registration.log_sample_predictions = timed("sample predictions, drawn too", samples)
    try:
        yield durations
    finally:
        train.log_environment = environment
        registration.log_sample_predictions = samples
        for name, call in before.items():
            setattr(Run, name, call)
        for name, call in ends.items():
            setattr(runs, name, call)


def one_by_one(n_metrics: int) -> tuple[float, float]:
    """Return the milliseconds a metric costs the loop: batched, and by ``log_metric``."""
    with start("benchmark", name="batched") as run:
        began = time.perf_counter()
        for step in range(n_metrics // 8):
            run.log_metrics({f"m{k}": step for k in range(8)}, step=step)
        batched = (time.perf_counter() - began) / (n_metrics // 8 * 8)
        client = MlflowClient()
        began = time.perf_counter()
        for step in range(n_metrics // 10):
            client.log_metric(run.id, "direct", step, step=step)
        direct = (time.perf_counter() - began) / (n_metrics // 10)
    return 1000 * batched, 1000 * direct


def main(samples: int = 240, epochs: int = 15) -> None:
    """Train once, and print two tables."""
    logging.getLogger("flare").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="flare-tracking-") as folder:
        os.chdir(folder)
        data = Path("data")
        synthesize.run(SynthesizeConfig(data_dir=data, samples=samples))
        ensure_pack(data, data / "packed-64", image_size=64)
        config = TrainConfig(data_dir=data, image_size=64, epochs=epochs, accelerator="cpu")
        with measured() as durations:
            began = time.perf_counter()
            train.run(config)
            whole = time.perf_counter() - began
        batched, direct = one_by_one(2000)
    print("| call | calls | seconds | share of the run |\n|---|---:|---:|---:|")
    calls = {name: times for name, times in durations.items() if name not in ("begin", "end")}
    everything = [one for times in calls.values() for one in times]
    for name, times in (*calls.items(), ("all logging", everything), *_ends(durations)):
        print(f"| {name} | {len(times)} | {sum(times):.3f} | {sum(times) / whole:.2%} |")
    print(f"\n{samples} samples, {epochs} epochs: {whole:.1f} s; {machine()}")
    print(f"a metric: {batched:.4f} ms batched, {direct:.1f} ms by log_metric")


def _ends(durations: dict[str, list[float]]) -> Iterator[tuple[str, list[float]]]:
    for name, title in (("begin", "starting the run"), ("end", "ending the run")):
        yield title, durations[name]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
