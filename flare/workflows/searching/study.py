"""A study that several processes and machines share: its database, its queue, and who leads it.

All trials are put into the database beforehand, as waiting ones, and every process claims the next
one in a single step of the database: no trial is run twice, and the study has as many as it was
asked for. A process that runs a trial says every ``heartbeat`` seconds that it is alive; a trial
whose process is silent for twice as long fails, and is queued once more.

The process that made the study leads it: it has the MLflow run that trials are below, and trains
with the best parameters in the end. Where it dies, another one takes over.
"""

import logging
import os
import socket
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, Literal, TypeVar

import optuna
from optuna.exceptions import (
    DuplicatedStudyError,
    ExperimentalWarning,
    StorageInternalError,
    UpdateFinishedTrialError,
)
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from flare.errors import ConfigInvalid, StorageUnavailable
from flare.files import locked
from flare.seeding import Stream, integer_seed
from flare.workflows.searching.storage import STOPS, patiently, sqlite_file

log = logging.getLogger("flare")

Result = TypeVar("Result")
Direction = Literal["minimize", "maximize"]

#: Attributes of a study: what its trials have in common, its leader, and its MLflow run.
_CONDITIONS, _LEADER, _RUN = "flare:conditions", "flare:leader", "flare:run"
#: And once it had all its trials: the best one, and the version that was trained like it.
_OUTCOME = "flare:outcome"
_TRIAL_RUN = "flare:run"  # of a trial: its MLflow run
#: Seconds after which only one of two processes that took the lead together has it.
_UNDECIDED = 1.0

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class SharedStudy:
    """One study in a database, as one process sees it.

    Parameters
    ----------
    conditions
        What all its trials have in common, as texts by name.
    sampler
        From a seed, the sampler of one trial; with its own for each no two processes draw the same.
    """

    def __init__(
        self,
        storage: RDBStorage,
        name: str,
        *,
        directions: Sequence[Direction],
        conditions: Mapping[str, str],
        sampler: Callable[[int], optuna.samplers.BaseSampler],
        pruner: optuna.pruners.BasePruner,
        seed: int,
        heartbeat: int,
    ) -> None:
        self.storage, self.name, self.heartbeat = storage, name, heartbeat
        self._sampler, self._pruner, self._seed = sampler, pruner, seed
        self._url = make_url(storage.url).render_as_string(hide_password=True)
        self._me = {"id": uuid.uuid4().hex, "host": socket.gethostname(), "pid": os.getpid()}
        self._finishing = False
        self.study = self._open(list(directions), dict(conditions))
        self._id = storage.get_study_id_from_name(name)

    def _open(self, directions: list[Direction], conditions: dict[str, str]) -> optuna.Study:
        """Make the study, or check that an existing one is of the same conditions.

        Raises
        ------
        ConfigInvalid
            It is of other conditions or another direction; the message names what differs.
        """
        try:
            study = self.ask_storage(
                lambda: optuna.create_study(
                    study_name=self.name,
                    storage=self.storage,
                    directions=directions,
                    pruner=self._pruner,
                )
            )
            study.set_user_attr(_CONDITIONS, conditions)
            return study
        except DuplicatedStudyError:
            study = self.ask_storage(
                lambda: optuna.load_study(
                    study_name=self.name, storage=self.storage, pruner=self._pruner
                )
            )
        existing = study.user_attrs.get(_CONDITIONS)
        for _ in range(10):  # the process that makes it is between its two steps
            if existing is not None or study.get_trials(deepcopy=False):
                break
            time.sleep(0.2)
            existing = study.user_attrs.get(_CONDITIONS)
        other = [name for name, value in conditions.items() if (existing or {}).get(name) != value]
        if [one.name.lower() for one in study.directions] != directions:
            other.append("direction")
        if other:
            details = "; ".join(
                f"{name}={conditions[name]}, not {(existing or {}).get(name)}"
                for name in other
                if name in conditions and len(conditions[name]) < 80
            )
            raise ConfigInvalid(
                f"study {self.name} in {self._url} is of another {' and '.join(other)}"
                f"{f' ({details})' if details else ''}; give another study, or the parameters that "
                "it was begun with"
            )
        return study

    def close(self) -> None:
        """Close the connections to the database."""
        self.storage.remove_session()
        self.storage.engine.dispose()

    def ask_storage(self, call: Callable[[], Result]) -> Result:
        """Repeat a call while the database is away; see ``patiently``."""
        return patiently(call, self._url)

    def _attributes(self) -> dict[str, Any]:
        return self.ask_storage(lambda: self.study.user_attrs)

    def _set(self, name: str, value: object) -> None:
        self.ask_storage(lambda: self.study.set_user_attr(name, value))

    def trials(self) -> list[FrozenTrial]:
        """Return all trials that count: those that were queued again do so in their last form."""
        trials = self.ask_storage(lambda: self.study.get_trials(deepcopy=False))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            again = {
                number
                for trial in trials
                for number in RetryHeartbeatStaleTrialCallback.retry_history(trial)
            }
        return [trial for trial in trials if trial.number not in again]

    def queue(self, total: int, first: Mapping[str, Any]) -> None:
        """Queue trials until the study has ``total`` of them; the very first has given values."""
        for number in range(len(self.trials()), total):
            values = dict(first) if number == 0 else {}
            self.ask_storage(partial(self.study.enqueue_trial, values))

    def claim(self, total: int) -> optuna.Trial | None:
        """Take the next waiting trial among the first ``total``; None if no trial waits."""
        self.fail_lost_trials()
        with self._alone():
            for waiting in self.trials()[:total]:
                if waiting.state != TrialState.WAITING:
                    continue
                if self.ask_storage(partial(self._take, waiting.number)):
                    break
            else:
                return None
        self.study.sampler = self._sampler(integer_seed(self._seed, Stream.SEARCH, waiting.number))
        return optuna.Trial(self.study, self._trial_id(waiting.number))

    def _alone(self) -> AbstractContextManager[None]:
        """Keep other processes from changing states of trials: SQLite locks no row for reading."""
        file = sqlite_file(self.storage.url)
        return nullcontext() if file is None else locked(file.with_name(f".{file.name}.lock"))

    def _take(self, number: int) -> bool:
        trial_id = self._trial_id(number)
        # Beforehand: a trial without any sign of life would never count as lost.
        self.storage.record_heartbeat(trial_id)
        with suppress(UpdateFinishedTrialError):
            return self.storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        return False

    def _trial_id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def fail_lost_trials(self) -> None:
        """Fail the trials whose processes were lost, and queue each once more."""
        with self._alone(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.ask_storage(lambda: fail_stale_trials(self.study))

    def is_busy(self, total: int) -> bool:
        """Return whether a trial among the first ``total`` waits or runs."""
        return any(trial.state not in FINISHED for trial in self.trials()[:total])

    def is_running(self, total: int) -> bool:
        """Return whether a trial among the first ``total`` runs."""
        return any(trial.state == TrialState.RUNNING for trial in self.trials()[:total])

    @contextmanager
    def alive(self, trial: optuna.Trial) -> Iterator[None]:
        """Say all the time that the trial's process is alive."""
        trial_id = self._trial_id(trial.number)
        with self._repeat(lambda: self.storage.record_heartbeat(trial_id)):
            yield

    def tell(
        self, trial: optuna.Trial, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Finish a trial; False if it had been counted as lost, and is no longer this process'."""
        try:
            self.ask_storage(lambda: trial.study.tell(trial, values, state))
        except (UpdateFinishedTrialError, ValueError) as error:
            if self.state(trial) == TrialState.RUNNING:
                raise
            log.warning("trial %d is not counted: %s", trial.number, error)
            return False
        return True

    def stop(self, trial: optuna.Trial) -> None:
        """Fail a trial that Ctrl-C stopped, unless it is finished, and queue it again as it was."""
        with suppress(UpdateFinishedTrialError):
            stops = int(trial.user_attrs.get(STOPS, 0)) + 1
            self.ask_storage(lambda: trial.set_user_attr(STOPS, stops))
        if self.state(trial) == TrialState.RUNNING and self.tell(trial, TrialState.FAIL):
            stopped = self.storage.get_trial(self._trial_id(trial.number))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                RetryHeartbeatStaleTrialCallback()(trial.study, stopped)

    def state(self, trial: optuna.Trial) -> TrialState:
        """Return the state of a trial, which other processes may have changed."""
        trial_id = self._trial_id(trial.number)
        return self.ask_storage(lambda: self.storage.get_trial(trial_id)).state

    def has_leader(self) -> bool:
        """Return whether another process that is alive leads the study."""
        leader = self._attributes().get(_LEADER) or {}
        if not leader or leader["id"] == self._me["id"]:
            return False
        if leader["host"] == self._me["host"] and not _is_process(int(leader["pid"])):
            return False
        return time.time() - float(leader["time"]) < 3 * float(leader["heartbeat"])

    def try_to_lead(self) -> bool:
        """Become the leader unless there is one; return whether this process is it now."""
        with self._alone():
            if self.has_leader():
                return False
            self._say_that_i_lead()
        if sqlite_file(self.storage.url) is None:
            time.sleep(_UNDECIDED)  # another process may have written at the same time
        return bool((self._attributes().get(_LEADER) or {}).get("id") == self._me["id"])

    def _say_that_i_lead(self) -> None:
        about = {"heartbeat": self.heartbeat, "finishing": self._finishing, "time": time.time()}
        self._set(_LEADER, {**self._me, **about})

    def say_finishing(self) -> None:
        """Say that the study has all its trials, and that its leader trains with the best."""
        self._finishing = True
        self._say_that_i_lead()

    def is_finishing(self) -> bool:
        """Return whether the leader has all trials, and trains with the best parameters."""
        return bool((self._attributes().get(_LEADER) or {}).get("finishing"))

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Say all the time that this process leads the study; at the end nobody does."""
        try:
            with self._repeat(self._say_that_i_lead):
                yield
        finally:
            with suppress(SQLAlchemyError, StorageInternalError, StorageUnavailable):
                self.study.set_user_attr(_LEADER, {})

    @contextmanager
    def _repeat(self, say: Callable[[], None]) -> Iterator[None]:
        """Call a function every ``heartbeat`` seconds, in a thread, until the block ends."""
        ended = threading.Event()

        def work() -> None:
            while True:
                with suppress(SQLAlchemyError, StorageInternalError, StorageUnavailable):
                    say()
                if ended.wait(self.heartbeat):
                    self.storage.remove_session()
                    return

        thread = threading.Thread(target=work, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=5)

    @property
    def run_id(self) -> str | None:
        """The MLflow run of the study; None before it has one."""
        return self._attributes().get(_RUN)

    @property
    def outcome(self) -> dict[str, Any] | None:
        """The best ``trial`` when the study last had all its trials, and its ``version``."""
        return self._attributes().get(_OUTCOME)

    def set_outcome(self, trial: int, version: int | None) -> None:
        """Record the best trial, and the version that was trained with its parameters."""
        self._set(_OUTCOME, {"trial": trial, "version": version})

    def set_run(self, run_id: str) -> None:
        """Record the MLflow run of the study."""
        self._set(_RUN, run_id)


def set_trial_run(trial: optuna.Trial, run_id: str) -> None:
    """Record the MLflow run of a trial."""
    trial.set_user_attr(_TRIAL_RUN, run_id)


def trial_run(trial: FrozenTrial) -> str | None:
    """Return the MLflow run of a trial; None if it had none."""
    return trial.user_attrs.get(_TRIAL_RUN)


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
