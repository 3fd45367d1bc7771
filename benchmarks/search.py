"""What the bookkeeping around a trial of a search costs, beside two ways that others offer.

``python -m benchmarks.search [TRIALS [REPEATS]]`` runs a study of trials that sleep instead of
training, in one process and in two at once: claim, suggestions of the space of `cnn`, signs of
life, a child run with parameters and dataset, twelve metrics of each of six epochs, a report of
each to the pruner, the table of out-of-fold forecasts, the result. All databases are SQLite files.
The peers log the same parameters and metrics, but no dataset and no table:

- Optuna's ``MLflowCallback`` (`pip install optuna-integration`) with ``track_in_mlflow``, on
  Optuna's own SQLite storage with heartbeat;
- MLflow's ``MlflowStorage``, which keeps the study itself in MLflow.

Time that a trial sleeps is not counted. The first trial of each process, which still imports, is
left out. Processor time is that of the process; a busy machine leaves it as it is.
"""

import logging
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import optuna
from mlflow import MlflowClient
from mlflow.entities import Metric

from benchmarks.timing import machine
from flare.config import SynthesizeConfig
from flare.config.search import SearchConfig
from flare.datasets.pack.writer import ensure_pack
from flare.forecast import Forecast
from flare.goes import EVENTS
from flare.tracking.runs import start
from flare.tracking.store import connect
from flare.training.state import EpochRecord
from flare.verification.scores import Score
from flare.workflows.data import synthesize
from flare.workflows.searching import trial as trials_module
from flare.workflows.searching.model_search import ModelSearch
from flare.workflows.searching.space import pruner_of, sampler_of, space_of, suggest
from flare.workflows.searching.storage import quiet_optuna
from flare.workflows.searching.study import RUN

MODEL, EPOCHS, SAMPLES = "cnn", 6, 60
_SLEEP = 0.05  # seconds that an epoch takes
TARGET, TRIAL = 0.150, 30.0  # seconds: of bookkeeping at most, and of a trial

_barrier: Any = None  # of the processes of one study; a global, as it cannot be pickled


@dataclass
class Clock:
    """Seconds and processor seconds of every trial of one process but the first."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    slept: float = 0.0

    def start(self) -> None:
        """Begin with a trial."""
        self.slept, self._began, self._cpu = 0.0, time.perf_counter(), time.process_time()

    def sleep(self) -> None:
        """Do the work of an epoch."""
        began = time.perf_counter()
        time.sleep(_SLEEP)
        self.slept += time.perf_counter() - began

    def tick(self, *_: object) -> None:
        """End a trial, and begin with the next one."""
        self.wall.append(time.perf_counter() - self._began - self.slept)
        self.cpu.append(time.process_time() - self._cpu)
        self.start()

    def result(self) -> tuple[list[float], list[float]]:
        """Return the seconds of all trials but the first."""
        return self.wall[1:], self.cpu[1:]


Work = Callable[[], tuple[list[float], list[float]]]


def config_of(folder: Path, trials: int) -> SearchConfig:
    """Return a search in a folder."""
    return SearchConfig(
        data_dir=folder.parent / "data",
        image_size=32,
        model=MODEL,
        trials=trials,
        trial_epochs=EPOCHS,
        accelerator="cpu",
        storage=f"sqlite:///{folder}/search.db",
    )


def record(epoch: int) -> EpochRecord:
    """Return the record of an epoch, with twelve metrics."""
    values = dict.fromkeys(
        ("train_loss", "validation_loss", "log10_flux_mae", "brier_skill_score", "roc_area"), 0.5
    )
    loss = 1 / (epoch + 1) + float(np.random.default_rng().random())
    rates = {"learning_rate": 1e-3, "samples_per_second": 100.0, "seconds": 1.0, "best": False}
    others = {"gradient_norm": 1.0, "data_wait_share": 0.0, "active_units": 1.0}
    health = {"log10_flux_std": 0.1, "probability_std": 0.1, "cross_entropy": loss}
    return EpochRecord(epoch, **(values | rates | others | health))  # type: ignore[arg-type]


# --- ours ---


@contextmanager
def our_study(folder: Path, trials: int) -> Iterator[Work]:
    """Give what each process does for a study of ours."""
    search = ModelSearch(config_of(folder, trials), MODEL)
    with start("search", name="search") as run:
        search.study.set(RUN, run.id)
        search.study.queue(trials, search.defaults)
        yield partial(run_ours, folder, trials, run.id)
    search.study.close()


def run_ours(folder: Path, trials: int, parent_id: str) -> tuple[list[float], list[float]]:
    """Join the study, and run trials until none waits."""
    clock = Clock()
    search = ModelSearch(config_of(folder, trials), MODEL)
    _sleep_instead_of_training(clock)
    _barrier.wait()
    clock.start()
    search.work(parent_id, after=clock.tick)
    search.study.close()
    return clock.result()


def _sleep_instead_of_training(clock: Clock) -> None:
    def train(_data: Any, _inputs: Any, parts: Any, options: Any, *, on_epoch: Any) -> list[None]:
        for epoch in range(options.epochs):
            clock.sleep()
            on_epoch([record(epoch) for _ in parts])
        return [None for _ in parts]

    def forecast(_network: Any, _rows: Any, rest: Any, **_title: str) -> Forecast:
        n, zeros = len(rest), np.random.default_rng().random(len(rest))
        probability = np.full((n, len(EVENTS)), 0.123456789)
        return Forecast(zeros, zeros, zeros, probability, EVENTS, dict.fromkeys(EVENTS, 0.5))

    def score(_forecasts: Any, _data: Any, objective: Any) -> Score:
        value = float(np.random.default_rng().random())
        return Score(objective.event, objective.name, value, value, value, SAMPLES, 1)

    for name, replacement in {
        "train_side_by_side": train,
        "forecast_rows": forecast,
        "calibrated": lambda forecasts, _data, distribution: forecasts,  # noqa: ARG005
        "score": score,
    }.items():
        setattr(trials_module, name, replacement)


# --- peers ---


@contextmanager
def peer_study(
    run: Callable[..., Any], folder: Path, trials: int, *, workers: int
) -> Iterator[Work]:
    """Give what each process does for a study of a peer, which its first process makes."""
    yield partial(run, folder, trials // workers)


def _peer_objective(
    clock: Clock, folder: Path, log_metrics: Callable[[optuna.Trial, dict[str, float], int], None]
) -> Callable[[optuna.Trial], float]:
    space = space_of(MODEL, config_of(folder, 1))

    def objective(trial: optuna.Trial) -> float:
        suggest(trial, space)
        for epoch in range(EPOCHS):
            clock.sleep()
            one = record(epoch)
            log_metrics(trial, one.metrics(), epoch + 1)
            trial.report(one.cross_entropy, epoch + 1)
            if epoch + 1 < EPOCHS and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.random.default_rng().random())

    return objective


def _peer_sampler_and_pruner() -> dict[str, Any]:
    sampler = sampler_of("tpe", several_objectives=False)
    return {"sampler": sampler(os.getpid()), "pruner": pruner_of("median", epochs=EPOCHS)}


def run_callback(folder: Path, trials: int) -> tuple[list[float], list[float]]:
    """Run trials with ``MLflowCallback``."""
    from optuna_integration import MLflowCallback

    clock, uri = Clock(), f"sqlite:///{folder}/mlflow.db"
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{folder}/search.db",
        heartbeat_interval=30,
        engine_kwargs={"connect_args": {"timeout": 60}},
    )
    callback = MLflowCallback(tracking_uri=uri, metric_name="value")

    def log_metrics(_trial: optuna.Trial, values: dict[str, float], step: int) -> None:
        mlflow.log_metrics(values, step=step)

    objective = callback.track_in_mlflow()(_peer_objective(clock, folder, log_metrics))
    _optimize(clock, storage, objective, trials, [callback, clock.tick])
    return clock.result()


def run_mlflow_storage(folder: Path, trials: int) -> tuple[list[float], list[float]]:
    """Run trials of a study in ``MlflowStorage``, where the id of a trial is that of its run."""
    from mlflow.optuna.storage import MlflowStorage

    clock = Clock()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = MlflowClient()

    def log_metrics(trial: optuna.Trial, values: dict[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        client.log_batch(str(trial._trial_id), metrics=metrics)

    objective = _peer_objective(clock, folder, log_metrics)
    _optimize(clock, MlflowStorage("0"), objective, trials, [clock.tick])
    return clock.result()


def _optimize(clock: Clock, storage: Any, objective: Any, trials: int, callbacks: Any) -> None:
    number = _barrier.wait()
    about = {"study_name": "peer", "storage": storage, **_peer_sampler_and_pruner()}
    if number == 0:  # one process makes it: both at once may end in two studies of one name
        optuna.create_study(**about)
    _barrier.wait()
    study = optuna.load_study(**about)
    clock.start()
    study.optimize(objective, trials, callbacks=callbacks)


# --- the comparison ---


def _start_process(barrier: Any) -> None:
    global _barrier
    _barrier = barrier
    warnings.simplefilter("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    quiet_optuna()


def measure(contestant: str, folder: Path, trials: int, workers: int) -> list[Any]:
    """Run one study in so many processes; return the seconds of each process' trials."""
    folder.mkdir()
    shutil.copyfile(folder.parent / "new.db", folder / "mlflow.db")
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    os.environ["FLARE_RUNS_DIR"] = str(folder / "runs")
    os.chdir(folder)
    peers = {"MLflowCallback": run_callback, "MlflowStorage": run_mlflow_storage}
    study = (
        our_study(folder, trials)
        if contestant == "flare"
        else peer_study(peers[contestant], folder, trials, workers=workers)
    )
    context = multiprocessing.get_context("spawn")
    with (
        study as work,
        ProcessPoolExecutor(workers, context, _start_process, [context.Barrier(workers)]) as pool,
    ):
        return [one.result() for one in [pool.submit(work) for _ in range(workers)]]


def main(trials: int = 40, repeats: int = 3) -> None:
    """Measure all in turn, and print a table."""
    logging.getLogger("flare").setLevel(logging.WARNING)
    _start_process(None)
    contestants = ["flare", "MlflowStorage"]
    if find_spec("optuna_integration") is None:
        print("MLflowCallback is left out: `pip install optuna-integration` to compare with it\n")
    else:
        contestants.insert(1, "MLflowCallback")
    seconds: dict[tuple[str, int], tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    with tempfile.TemporaryDirectory(prefix="flare-search-") as name:
        root = Path(name)
        os.chdir(root)
        synthesize.run(SynthesizeConfig(data_dir=root / "data", samples=SAMPLES))
        ensure_pack(root / "data", root / "data" / "packed-32", image_size=32)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{root}/new.db"
        connect(make=True)
        for repeat in range(repeats):
            for workers in (1, 2):
                for one in contestants:
                    folder = root / f"{one}-{workers}-{repeat}"
                    for wall, cpu in measure(one, folder, trials, workers):
                        seconds[one, workers][0].extend(wall)
                        seconds[one, workers][1].extend(cpu)
        os.chdir("/")
    print("| | processes | ms a trial, median | quarter to three quarters | processor ms | ratio |")
    print("|---|---:|---:|---:|---:|---:|")
    for (one, workers), (wall, cpu) in seconds.items():
        low, middle, high = (1000 * value for value in statistics.quantiles(wall, n=4))
        ratio = middle / 1000 / statistics.median(seconds["flare", workers][0])
        print(
            f"| {one} | {workers} | {middle:.0f} | {low:.0f} to {high:.0f} "
            f"| {1000 * statistics.median(cpu):.0f} | {ratio:.2f} |"
        )
    ours = max(statistics.median(seconds["flare", workers][0]) for workers in (1, 2))
    print(
        f"\n{trials} trials of {EPOCHS} epochs, {repeats} repeats. Ours is at most "
        f"{1000 * ours:.0f} ms, {ours / TRIAL:.1%} of a trial of {TRIAL:.0f} s (wanted: "
        f"{1000 * TARGET:.0f} ms, 2%). {machine('optuna', 'mlflow')}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
