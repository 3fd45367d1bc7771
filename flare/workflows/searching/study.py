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
from contextlib import contextmanager, suppress
from pathlib import Path
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
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from flare.errors import ConfigInvalid, StorageUnavailable
from flare.files import locked
from flare.seeding import Stream, integer_seed

log = logging.getLogger("flare")

Result = TypeVar("Result")
Direction = Literal["minimize", "maximize"]

#: Where studies are unless another database is given.
DEFAULT_STORAGE = "sqlite:///outputs/search.db"

#: Seconds that a database may be away: when a study is opened, and while one runs.
PATIENCE_AT_START, PATIENCE = 10.0, 300.0
_PAUSE = 1.0  # seconds between two attempts, and between looks at what others do

_TABLES_LOCK = 15_2012  # any number, the same in all processes

#: Attributes of a study: what its trials have in common, its leader, and its MLflow run.
_CONDITIONS, _LEADER, _RUN = "flare:conditions", "flare:leader", "flare:run"
#: And once it had all its trials: the best one, and the version that was trained like it.
_OUTCOME = "flare:outcome"
#: Attributes of a trial: its MLflow run, and how often it was stopped by Ctrl-C.
_TRIAL_RUN, _STOPS = "flare:run", "flare:stops"

#: Trials that are complete before any is pruned.
_UNPRUNED = 5

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def quiet_optuna() -> None:
    """Keep Optuna from repeating on the terminal what is said and logged already."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def shown_storage(url: str) -> str:
    """Return the address of the database without its password."""
    return make_url(url or DEFAULT_STORAGE).render_as_string(hide_password=True)


def open_storage(url: str, *, heartbeat: int) -> RDBStorage:
    """Connect to the database of studies; a new SQLite file is set up by one process alone.

    Raises
    ------
    ConfigInvalid
        The address is none, or the package of its driver is missing.
    StorageUnavailable
        The database does not answer, or is something else.
    """
    try:
        address = make_url(url or DEFAULT_STORAGE)
    except ArgumentError as error:
        raise ConfigInvalid(
            f"storage={url} is no address of a database; write sqlite:///FILE or "
            "postgresql://USER@HOST/NAME"
        ) from error
    shown = address.render_as_string(hide_password=True)

    def connect() -> RDBStorage:
        with warnings.catch_warnings(), _making_tables(address):
            warnings.simplefilter("ignore", ExperimentalWarning)
            sqlite = address.get_backend_name() == "sqlite"
            return RDBStorage(
                address.render_as_string(hide_password=False),
                engine_kwargs={"connect_args": {"timeout": 60}}
                if sqlite
                else {"pool_pre_ping": True},
                heartbeat_interval=heartbeat,
                heartbeat_stale_trial_callback=_queue_again_once,
            )

    try:
        if address.get_backend_name() != "sqlite" or not address.database:
            return patiently(connect, shown, seconds=PATIENCE_AT_START)
        path = Path(address.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f".{path.name}.lock")):
            return connect()
    except ImportError as error:
        raise ConfigInvalid(
            f"storage={shown} needs a driver that is not installed ({error}); for PostgreSQL: pip "
            "install 'flare[postgresql]'"
        ) from error
    except (SQLAlchemyError, StorageInternalError) as error:
        raise StorageUnavailable(_unavailable(shown, error)) from error
    except RuntimeError as error:  # of another version of Optuna
        first = str(error).splitlines()[0]
        raise StorageUnavailable(
            f"storage={shown} cannot be used: {first}; give another storage"
        ) from error


@contextmanager
def _making_tables(address: URL) -> Iterator[None]:
    """Let one process at a time make the tables of a PostgreSQL database, where it may fail."""
    if address.get_backend_name() != "postgresql":
        yield
        return
    engine = create_engine(address, poolclass=NullPool)
    with engine.connect() as connection:  # which releases the lock when it is closed
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _TABLES_LOCK})
        yield


def patiently(call: Callable[[], Result], storage: str, *, seconds: float = PATIENCE) -> Result:
    """Repeat a call while the database is away, for so many seconds.

    Raises
    ------
    StorageUnavailable
        It does not answer for so long.
    """
    deadline, warned = time.monotonic() + seconds, False
    while True:
        try:
            return call()
        except (OperationalError, StorageInternalError) as error:
            if time.monotonic() >= deadline:
                raise StorageUnavailable(_unavailable(storage, error)) from error
            if not warned:
                log.warning("%s; trying again for %.0f s", _unavailable(storage, error), seconds)
            warned = True
            time.sleep(_PAUSE)


def _unavailable(storage: str, error: Exception) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    reason = (str(cause).splitlines() or [type(cause).__name__])[0]
    return (
        f"the database of studies {storage} does not answer: {reason}; start it, or give another "
        "storage"
    )


def _queue_again_once(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial whose process was lost, unless it was lost before."""
    stops = int(trial.user_attrs.get(_STOPS, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        RetryHeartbeatStaleTrialCallback(max_retry=1 + stops)(study, trial)
    log.warning("trial %d was lost with its process", trial.number)


class SharedStudy:
    """One study in a database, as one process sees it.

    Parameters
    ----------
    conditions
        What all its trials have in common, as texts by name; see ``open``.
    sampler
        From an integer seed, the sampler of one trial: with a seed of its own for each trial no
        two processes draw the same, and the study does not depend on who runs which.
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

    def ask_storage(self, call: Callable[[], Result]) -> Result:
        """Repeat a call while the database is away; see ``patiently``."""
        return patiently(call, self._url)

    def _attributes(self) -> dict[str, Any]:
        return self.ask_storage(lambda: self.study.user_attrs)

    def _set(self, name: str, value: object) -> None:
        self.ask_storage(lambda: self.study.set_user_attr(name, value))

    def trials(self) -> list[FrozenTrial]:
        """Return all trials that count: those that were queued again do so in their last form."""
        # By the study, whose cache must have every trial that one of its samplers is asked for.
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
        existing = len(self.trials())
        for number in range(existing, total):
            values = dict(first) if number == 0 else {}
            self.ask_storage(lambda values=values: self.study.enqueue_trial(values))  # type: ignore[misc]

    def claim(self, total: int) -> optuna.Trial | None:
        """Take the next waiting trial among the first ``total``; None if no trial waits."""
        self.fail_lost_trials()
        for waiting in self.trials()[:total]:
            if waiting.state != TrialState.WAITING:
                continue
            if self.ask_storage(lambda number=waiting.number: self._take(number)):  # type: ignore[misc]
                seed = integer_seed(self._seed, Stream.SEARCH, waiting.number)
                self.study.sampler = self._sampler(seed)
                return optuna.Trial(self.study, self._trial_id(waiting.number))
        return None

    def _take(self, number: int) -> bool:
        trial_id = self._trial_id(number)
        # First, as a running trial without any sign of life is never noticed to be lost.
        self.storage.record_heartbeat(trial_id)
        with suppress(UpdateFinishedTrialError):
            return self.storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        return False

    def _trial_id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def fail_lost_trials(self) -> None:
        """Fail the trials whose processes were lost, and queue each once more."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.ask_storage(lambda: fail_stale_trials(self.study))

    def is_busy(self, total: int) -> bool:
        """Return whether a trial among the first ``total`` waits or runs."""
        return any(trial.state not in FINISHED for trial in self.trials()[:total])

    def is_waiting(self, total: int) -> bool:
        """Return whether a trial among the first ``total`` waits."""
        return any(trial.state == TrialState.WAITING for trial in self.trials()[:total])

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
            if self._frozen(trial).state == TrialState.RUNNING:
                raise
            log.warning("trial %d is not counted: %s", trial.number, error)
            return False
        return True

    def stop(self, trial: optuna.Trial) -> None:
        """Fail a trial that Ctrl-C stopped, and queue it again with the same values.

        One that was finished already stays as it is.
        """
        if self._frozen(trial).state.is_finished():
            return
        trial.set_user_attr(_STOPS, int(trial.user_attrs.get(_STOPS, 0)) + 1)
        if self.tell(trial, TrialState.FAIL):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                RetryHeartbeatStaleTrialCallback()(trial.study, self._frozen(trial))

    def is_complete(self, trial: optuna.Trial) -> bool:
        """Return whether a trial has its value."""
        return self._frozen(trial).state == TrialState.COMPLETE

    def _frozen(self, trial: optuna.Trial) -> FrozenTrial:
        return self.ask_storage(lambda: self.storage.get_trial(self._trial_id(trial.number)))

    def has_leader(self) -> bool:
        """Return whether another process that is alive leads the study."""
        leader = self._attributes().get(_LEADER) or {}
        if not leader or leader["id"] == self._me["id"]:
            return False
        if leader["host"] == self._me["host"] and not _is_process(int(leader["pid"])):
            return False
        return time.time() - float(leader["time"]) < 3 * float(leader["heartbeat"])

    def is_finishing(self) -> bool:
        """Return whether the leader has all trials, and trains with the best parameters."""
        return bool((self._attributes().get(_LEADER) or {}).get("finishing"))

    @contextmanager
    def lead(self) -> Iterator[Callable[[], None]]:
        """Lead the study, and say so all the time; give a function that says it is finishing."""
        about = {**self._me, "heartbeat": self.heartbeat, "finishing": False}

        def say() -> None:
            self.study.set_user_attr(_LEADER, {**about, "time": time.time()})

        def finishing() -> None:
            about["finishing"] = True
            self.ask_storage(say)

        self.ask_storage(say)
        try:
            with self._repeat(say):
                yield finishing
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


def sampler_of(
    name: str, *, several_objectives: bool
) -> Callable[[int], optuna.samplers.BaseSampler]:
    """Return a function from a seed to the sampler of that name."""
    startup = 10

    def make(seed: int) -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            if name == "random":
                return optuna.samplers.RandomSampler(seed=seed)
            if name == "cmaes":
                return optuna.samplers.CmaEsSampler(seed=seed, n_startup_trials=startup)
            if name == "gp":
                return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup)
            return optuna.samplers.TPESampler(
                seed=seed,
                n_startup_trials=startup,
                multivariate=True,
                group=True,
                constant_liar=True,
            )

    if name == "cmaes" and several_objectives:
        raise ConfigInvalid("sampler=cmaes has one objective; choose tpe, random or gp for two")
    return make


def pruner_of(name: str, *, epochs: int) -> optuna.pruners.BasePruner:
    """Return the pruner of that name, for trials of so many epochs.

    Nothing is pruned before five trials are complete, nor in their first epoch.
    """
    if name == "median":
        return optuna.pruners.MedianPruner(
            n_startup_trials=_UNPRUNED, n_warmup_steps=1, n_min_trials=3
        )
    if name == "hyperband":
        return _Hyperband(min_resource=1, max_resource=epochs, reduction_factor=3)
    return optuna.pruners.NopPruner()


class _Hyperband(optuna.pruners.HyperbandPruner):
    """Hyperband, which otherwise prunes from the second trial on."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether to stop a trial; never before enough trials are complete."""
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return len(complete) >= _UNPRUNED and super().prune(study, trial)
