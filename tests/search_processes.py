"""Searches as people start them: processes of their own that share one study."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import optuna
import psutil
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from flare.datasets.pack.writer import ensure_pack
from flare.workflows.searching.storage import quiet_optuna

from tiny import write_tiny_dataset
from workplace import write_store

ROOT = Path(__file__).resolve().parents[1]

#: Seconds that anything may take which one step of a search does, on a busy machine.
PATIENCE = 500


@dataclass
class Search:
    """A started ``python -m entrypoints.search``; its workers are in its process group."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, fact: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait for something that the search does in its own time."""
        deadline = time.monotonic() + seconds
        while not fact():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.1)

    def workers(self) -> list[psutil.Process]:
        """Return the processes that run trials for this one."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children()
            return [one for one in children if "entrypoints.search" in _command_of(one)]
        return []

    def end(self, seconds: float = PATIENCE) -> int:
        """Wait for the end of the process; return its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(self.output) from error

    def group_has_ended(self) -> bool:
        """Return whether no process of the command is left, its workers included."""
        self.process.poll()  # a zombie would count
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


class Searches:
    """Starts searches for a forest in one folder, with one MLflow store and one storage."""

    def __init__(self, folder: Path, storage: str) -> None:
        self.folder, self.storage = folder, storage
        self.data = write_tiny_dataset(folder / "tiny")
        ensure_pack(self.data, self.data / "packed-32", image_size=32)
        write_store(folder / "mlflow.db", folder)
        self.tracking_uri = f"sqlite:///{folder}/mlflow.db"
        self.started: list[Search] = []
        self._storage: RDBStorage | None = None
        quiet_optuna()

    def start(self, study: str, trials: int, **others: object) -> Search:
        """Start a search for the best forest, without training with its parameters."""
        parameters = {
            "data_dir": self.data,
            "image_size": 32,
            "processes": 1,
            "validation_share": 0.4,
            "resamples": 100,
            "model": "forest",
            "register": False,
            "heartbeat": 5,  # a busy machine must not look like a lost process
            "storage": self.storage,
            "study": study,
            "trials": trials,
        } | others
        words = [f"--{name}={value}" for name, value in parameters.items()]
        log = self.folder / f"search-{len(self.started)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "entrypoints.search", *words],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(Search(process, log))
        return self.started[-1]

    def _environment(self) -> dict[str, str]:
        others = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "FLARE_"))}
        return others | {
            "PYTHONPATH": str(ROOT),
            "FLARE_RUNS_DIR": str(self.folder / "ml-runs"),
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "OMP_NUM_THREADS": "1",
        }

    def trials(self, study: str, model: str = "forest") -> list[FrozenTrial]:
        """Return all trials of a study; none while the storage or the study is not there yet."""
        try:
            if self._storage is None:
                self._storage = self._connect()
            if self._storage is None:
                return []
            study_id = self._storage.get_study_id_from_name(f"{study}-{model}")
            return self._storage.get_all_trials(study_id)
        except (KeyError, SQLAlchemyError, optuna.exceptions.StorageInternalError):
            return []

    def _connect(self) -> RDBStorage | None:
        """Connect to the storage once a search has made its tables, which this would also do."""
        engine = create_engine(self.storage)
        try:
            with engine.connect() as connection:
                if not connection.execute(text("SELECT version_num FROM alembic_version")).all():
                    return None
        finally:
            engine.dispose()
        return RDBStorage(self.storage, engine_kwargs={"pool_pre_ping": True})

    def running(self, study: str, model: str = "forest") -> list[FrozenTrial]:
        """Return the trials that run, and have their MLflow runs."""
        found = self.trials(study, model)
        return [one for one in found if one.state == TrialState.RUNNING and one.user_attrs]

    def complete(self, study: str) -> int:
        """Return how many trials are complete."""
        return sum(one.state == TrialState.COMPLETE for one in self.trials(study))

    def runs(self, study: str, model: str = "forest") -> list[Run]:
        """Return the MLflow runs of a study, the oldest first."""
        wanted = f"tags.`flare.study` = '{study}-{model}'"
        return MlflowClient(self.tracking_uri).search_runs(
            ["0"], wanted, order_by=["attributes.start_time ASC"]
        )

    def assert_complete(
        self, study: str, total: int, *, model: str = "forest"
    ) -> list[FrozenTrial]:
        """Check that a study has all its trials once, and one tree in MLflow that has ended.

        Those that were lost and run again do not count; they are returned.
        """
        trials = self.trials(study, model)
        again = {number for one in trials for number in _retried(one)}
        counted = [one for one in trials if one.number not in again]
        assert [one.state for one in counted] == [TrialState.COMPLETE] * total
        assert len({tuple(sorted(one.params.items())) for one in counted}) == total
        lost = [one for one in trials if one.number in again]
        by_number = {one.number: one for one in trials}
        assert {one.state for one in lost} <= {TrialState.FAIL}
        for one in trials:
            assert all(by_number[k].params.items() <= one.params.items() for k in _retried(one))
        runs = self.runs(study, model)
        assert [one.info.status for one in runs if one.info.status == "RUNNING"] == []
        (parent,) = (one for one in runs if one.data.tags["flare.entry"] == "search")
        assert parent.info.status == "FINISHED", parent.data.tags.get("flare.error")
        children = [one for one in runs if one is not parent]
        for child in children:
            assert child.data.tags["flare.entry"] == "trial"
            assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
            trial = by_number[int(child.data.tags["flare.trial"])]
            assert child.data.tags["optuna.state"] == trial.state.name, trial.number
        numbers = sorted(int(one.data.tags["flare.trial"]) for one in children)
        assert numbers == sorted(set(numbers))
        assert {one.number for one in counted} <= set(numbers)
        return lost

    def stop(self) -> None:
        """Kill what is left."""
        for search in self.started:
            with suppress(ProcessLookupError):
                os.killpg(search.process.pid, signal.SIGKILL)
            search.process.wait(30)
        if self._storage is not None:
            self._storage.engine.dispose()


@contextmanager
def searches_in(folder: Path, storage: str) -> Iterator[Searches]:
    """Give a place for searches; no process of theirs is left at the end."""
    place = Searches(folder, storage)
    try:
        yield place
    finally:
        place.stop()


def _retried(trial: FrozenTrial) -> list[int]:
    return list(trial.system_attrs.get("retry_history", []))


def _command_of(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
