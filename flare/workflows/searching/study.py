"""A study that several processes and machines share: its queue of trials, and who leads it.

All trials are put into the database beforehand, as waiting ones, and every process claims the next
one in a single step of the database: no trial is run twice, and the study has as many as it was
asked for. A process that runs a trial signals every ``heartbeat`` seconds that it is alive; a trial
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, Literal, TypeVar

import optuna
import psutil
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from flare.errors import ConfigInvalid, StorageUnavailable
from flare.files import locked
from flare.seeding import Stream, integer_seed
from flare.workflows.searching.storage import (
    STOPS,
    close,
    patiently,
    shown_storage,
    sqlite_file,
)

log = logging.getLogger("flare")

Result = TypeVar("Result")
Direction = Literal["minimize", "maximize"]

#: Attribute of a study, and of a trial: its MLflow run.
RUN = "flare:run"
#: Of a study that had all its trials: the best ``trial``, and the ``version`` trained like it.
OUTCOME = "flare:outcome"
#: Of a study: what its trials have in common, and which process leads it.
_CONDITIONS, _LEADER = "flare:conditions", "flare:leader"
#: Seconds to wait after taking the lead: of two processes that do so at once, the later has it.
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

    Raises ConfigInvalid: the study is there, with other conditions or another direction.
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
        self._sampler, self._seed = sampler, seed
        self._url = shown_storage(storage.url)
        self._me = {"id": uuid.uuid4().hex, "host": socket.gethostname(), "pid": os.getpid()}
        self._finishing = False
        with self._locked():
            self.study = self.ask_storage(
                lambda: optuna.create_study(
                    study_name=name,
                    storage=storage,
                    directions=list(directions),
                    pruner=pruner,
                    load_if_exists=True,
                )
            )
            if self.get(_CONDITIONS) is None and not self.study.get_trials(deepcopy=False):
                self.set(_CONDITIONS, dict(conditions))
                if sqlite_file(storage.url) is None:
                    time.sleep(_UNDECIDED)  # another process may have set its own at once
        self._check(list(directions), conditions)
        self._id = storage.get_study_id_from_name(name)

    def _check(self, directions: list[Direction], conditions: Mapping[str, str]) -> None:
        existing = self.get(_CONDITIONS) or {}
        other = [name for name, value in conditions.items() if existing.get(name) != value]
        details = "; ".join(
            f"{name}={conditions[name]}, not {existing.get(name)}"
            for name in other
            if len(conditions[name]) < 80
        )
        if [one.name.lower() for one in self.study.directions] != directions:
            other.append("direction")
        if other:
            raise ConfigInvalid(
                f"study {self.name} in {self._url} is of another {' and '.join(other)}"
                f"{f' ({details})' if details else ''}; give another study, or the parameters that "
                "it was started with"
            )

    def close(self) -> None:
        """Close the connections to the database."""
        close(self.storage)

    def ask_storage(self, call: Callable[[], Result]) -> Result:
        """Repeat a call while the database is away; see ``patiently``."""
        return patiently(call, self._url)

    def get(self, name: str) -> Any:
        """Return an attribute of the study, such as ``RUN``; None before it is set."""
        return self.ask_storage(lambda: self.study.user_attrs).get(name)

    def set(self, name: str, value: object) -> None:
        """Set an attribute of the study."""
        self.ask_storage(lambda: self.study.set_user_attr(name, value))

    def trials(self) -> list[FrozenTrial]:
        """Return all trials that count: those that were queued again do so in their last form."""
        trials = self.ask_storage(lambda: self.study.get_trials(deepcopy=False))
        history = RetryHeartbeatStaleTrialCallback.retry_history
        again = {number for trial in trials for number in history(trial)}
        return [trial for trial in trials if trial.number not in again]

    def queue(self, total: int, first: Mapping[str, Any]) -> None:
        """Queue trials until the study has ``total`` of them; the very first has given values."""
        for number in range(len(self.trials()), total):
            values = dict(first) if number == 0 else {}
            self.ask_storage(partial(self.study.enqueue_trial, values))

    def claim(self, total: int) -> optuna.Trial | None:
        """Take the next waiting trial among the first ``total``; None if no trial waits."""
        self.fail_lost_trials()
        with self._locked():
            waiting = (one for one in self.trials()[:total] if one.state == TrialState.WAITING)
            mine = next((one for one in waiting if self._take(one.number)), None)
        if mine is None:
            return None
        self.study.sampler = self._sampler(integer_seed(self._seed, Stream.SEARCH, mine.number))
        return optuna.Trial(self.study, self._trial_id(mine.number))

    def _locked(self) -> AbstractContextManager[None]:
        """Keep other processes from changing states of trials: SQLite locks no row for reading."""
        file = sqlite_file(self.storage.url)
        return nullcontext() if file is None else locked(file.with_name(f".{file.name}.lock"))

    def _take(self, number: int) -> bool:
        trial_id = self._trial_id(number)

        def take() -> bool:
            # Beforehand: a trial without any sign of life would never count as lost.
            self.storage.record_heartbeat(trial_id)
            with suppress(UpdateFinishedTrialError):
                return self.storage.set_trial_state_values(trial_id, TrialState.RUNNING)
            return False

        return self.ask_storage(take)

    def _trial_id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def fail_lost_trials(self) -> None:
        """Fail the trials whose processes were lost, and queue each once more."""
        with self._locked():
            self.ask_storage(lambda: fail_stale_trials(self.study))

    def is_busy(self, total: int) -> bool:
        """Return whether a trial among the first ``total`` waits or runs."""
        return any(trial.state not in FINISHED for trial in self.trials()[:total])

    def is_running(self, total: int) -> bool:
        """Return whether a trial among the first ``total`` runs."""
        return any(trial.state == TrialState.RUNNING for trial in self.trials()[:total])

    def alive(self, trial: optuna.Trial) -> AbstractContextManager[None]:
        """Signal all the time that the trial's process is alive."""
        return self._repeat(partial(self.storage.record_heartbeat, self._trial_id(trial.number)))

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
            RetryHeartbeatStaleTrialCallback()(trial.study, stopped)

    def state(self, trial: optuna.Trial) -> TrialState:
        """Return the state of a trial, which other processes may have changed."""
        trial_id = self._trial_id(trial.number)
        return self.ask_storage(lambda: self.storage.get_trial(trial_id)).state

    def has_leader(self) -> bool:
        """Return whether another process that is alive leads the study."""
        leader = self.get(_LEADER)
        if not leader or leader["id"] == self._me["id"]:
            return False
        if leader["host"] == self._me["host"] and not psutil.pid_exists(int(leader["pid"])):
            return False
        return time.time() - float(leader["time"]) < 3 * float(leader["heartbeat"])

    def try_to_lead(self) -> bool:
        """Become the leader unless there is one; return whether this process is it now."""
        with self._locked():
            if self.has_leader():
                return False
            self._announce()
        if sqlite_file(self.storage.url) is None:
            time.sleep(_UNDECIDED)  # another process may have written at the same time
        return bool((self.get(_LEADER) or {}).get("id") == self._me["id"])

    def _announce(self) -> None:
        about = {"heartbeat": self.heartbeat, "finishing": self._finishing, "time": time.time()}
        self.set(_LEADER, {**self._me, **about})

    def finish(self) -> None:
        """Announce that the study has all its trials, and that its leader trains with the best."""
        self._finishing = True
        self._announce()

    def is_finishing(self) -> bool:
        """Return whether the leader has all trials, and trains with the best parameters."""
        return bool((self.get(_LEADER) or {}).get("finishing"))

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Announce all the time that this process leads the study; at the end nobody does."""
        try:
            with self._repeat(self._announce):
                yield
        finally:
            with suppress(SQLAlchemyError, StorageInternalError, StorageUnavailable):
                self.study.set_user_attr(_LEADER, {})

    @contextmanager
    def _repeat(self, call: Callable[[], None]) -> Iterator[None]:
        """Call a function every ``heartbeat`` seconds, in a thread, until the block ends."""
        ended = threading.Event()

        def work() -> None:
            while True:
                with suppress(SQLAlchemyError, StorageInternalError, StorageUnavailable):
                    call()
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
