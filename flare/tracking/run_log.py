"""The log of a run, which reaches MLflow without making a training wait for a remote server.

With SQLite on this disk each entry is logged at once. With a server, entries are appended to
``outputs/runs/RUN_ID/log.jsonl``; one background thread sends them in order, and again while the
server is away. An entry can be sent twice without harm, so a log that an interrupted process left
is sent from its start. (MLflow's own asynchronous logging keeps its queue in memory, and drops what
could not be sent.)
"""

import json
import logging
import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from flare.errors import PlaceInUse
from flare.files import lock_file, write_atomically
from flare.tracking.mlflow_errors import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    is_rejected,
    is_temporary,
    refusal,
    retry,
)
from flare.tracking.store import database_file
from flare.tracking.tags import ERROR_TAG

log = logging.getLogger("flare")

Entry = dict[str, Any]

#: In the folder of a run: ``run.json`` until MLflow has the whole run, artifacts in ``pending``
#: until they are sent, a trained forecaster in ``model`` until it is registered.
LOG, INFO, LOCK, PENDING, MODEL = "log.jsonl", "run.json", "lock", "pending", "model"

_INTERVAL = 1.0  # seconds between looks for new entries


@dataclass(frozen=True)
class RunInfo:
    """Which run a folder belongs to, and to which server its log is sent."""

    run_id: str
    entry: str
    tracking_uri: str

    @property
    def folder(self) -> Path:
        """The folder of the run on this disk."""
        return runs_dir() / self.run_id

    def write(self) -> None:
        """Write it to the folder, which is made."""
        write_atomically(self.folder / INFO, json.dumps(vars(self), indent=2))


def runs_dir() -> Path:
    """Return the folder of all runs on this disk: ``outputs/runs``, or ``FLARE_RUNS_DIR``."""
    return Path(os.environ.get("FLARE_RUNS_DIR") or "outputs/runs").absolute()


def read_info(folder: Path) -> RunInfo | None:
    """Return whose folder it is; None where MLflow has the whole run, or it is not a run's."""
    with suppress(OSError, ValueError, TypeError):
        return RunInfo(**json.loads((folder / INFO).read_text(encoding="utf-8")))
    return None


def is_running(folder: Path) -> bool:
    """Return whether a process writes the log in a folder."""
    with suppress(FileNotFoundError), (folder / LOCK).open("a") as file:
        try:
            lock_file(file, busy="locked")
        except PlaceInUse:
            return True
    return False


class RunLog:
    """The log of one run, locked for one process. ``append`` may be called from any thread.

    ``failure`` is why the last attempt to send failed, empty while the server answers; ``rejected``
    lists what MLflow rejected for good: these entries are left out. PlaceInUse is raised where
    another process writes the log.
    """

    def __init__(self, info: RunInfo) -> None:
        self.folder, self.info = info.folder, info
        if is_running(self.folder):
            raise PlaceInUse(
                f"the run in {self.folder} is still running in another process; wait for it, or "
                "stop it"
            )
        info.write()
        self._lock_file = (self.folder / LOCK).open("a")
        lock_file(self._lock_file)
        self._client, self._write_lock = MlflowClient(info.tracking_uri), threading.Lock()
        self.failure, self.rejected = "", list[str]()
        self._size, self._sent = 0, 0  # bytes of the log
        self._hopeless, self._closing, self._wake = False, False, threading.Event()
        self._thread: threading.Thread | None = None
        if database_file(info.tracking_uri) is None:
            self._file = (self.folder / LOG).open("a+b", buffering=0)
            self._size = self._file.tell()
            if self._size:
                self._file.seek(-1, os.SEEK_END)
                if self._file.read() != b"\n":
                    path = self._file.name
                    log.warning("the last line of %s was cut off: its values are lost", path)
                    self._write(b"\n")  # such a line is skipped
            self._thread = threading.Thread(target=self._work, name="MLflow sender", daemon=True)
            self._thread.start()

    def append(self, entry: Entry) -> None:
        """Log an entry with SQLite on this disk; for a server, write it to this disk."""
        with self._write_lock:
            if self._thread is None:
                retry(lambda: self._send(entry))
            else:
                self._write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")

    def new_file(self, name: str) -> Path:
        """Return a path to write an artifact to, which an entry ``{"file", "to"}`` then sends."""
        (self.folder / PENDING).mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="", dir=self.folder / PENDING)) / name

    @property
    def unsent(self) -> bool:
        """Whether MLflow lacks entries."""
        return self._sent < self._size

    def flush(self, seconds: float = 0.0) -> bool:
        """Send at once, and wait for it at most so long; return whether MLflow has everything.

        An error that trying again cannot mend is not waited for.
        """
        deadline, reported = time.monotonic() + seconds, False
        self._hopeless = False
        self._wake.set()
        while self.unsent and not self._hopeless and (left := deadline - time.monotonic()) > 0:
            if self.failure and not reported:
                reported = True
                log.warning("waiting up to %.0f s for MLflow at %s", left, self.info.tracking_uri)
            time.sleep(0.02)
        return not self.unsent

    def close(self, seconds: float = 0.0, *, ended: bool = True) -> bool:
        """Flush and unlock; return whether MLflow has everything.

        The files are removed then, if the run has ``ended`` and no model is to be registered.
        """
        try:
            complete = self.flush(seconds)
            if self._thread is not None:
                self._closing = True
                self._wake.set()
                self._thread.join(timeout=2.0)
                self._file.close()
            if complete and ended and not (self.folder / MODEL).exists():
                shutil.rmtree(self.folder / PENDING, ignore_errors=True)
                for name in (LOG, LOCK, INFO):
                    (self.folder / name).unlink(missing_ok=True)
                with suppress(OSError):  # checkpoints may be there
                    self.folder.rmdir()
            return complete
        finally:
            self._lock_file.close()

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:  # an unbuffered file may accept a part
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(self._size)  # a part of a line would spoil the next one
            raise
        self._size += len(line)

    def _work(self) -> None:
        """Send new entries until the log is closed, with growing pauses while that fails."""
        pause = _INTERVAL
        while not self._closing:
            self._wake.wait(pause)
            self._wake.clear()
            try:
                self._send_new()
            except BaseException as error:  # any error is reported, none ends the thread
                line = refusal(error, self.info.tracking_uri)
                if not self.failure:
                    log.warning("%s; the run continues, %s keeps its log", line, self.folder)
                pause = min(2 * pause, LONGEST_PAUSE) if self.failure else FIRST_PAUSE
                self.failure, self._hopeless = line, not is_temporary(error)
            else:
                if self.failure:
                    log.info("MLflow at %s answers again", self.info.tracking_uri)
                pause, self.failure = _INTERVAL, ""

    def _send_new(self) -> None:
        with (self.folder / LOG).open("rb") as file:
            file.seek(self._sent)
            while self.unsent and not self._closing:
                line, entry = file.readline(), {}
                if not line:
                    raise EOFError(f"{file.name} is shorter than what was written to it")
                with suppress(ValueError):
                    entry = json.loads(line)
                try:
                    self._send(entry)
                except Exception as error:
                    if not is_rejected(error):
                        raise
                    self.rejected.append(refusal(error, self.info.tracking_uri))
                    log.warning("an entry of the run is left out: %s", self.rejected[-1])
                self._sent += len(line)

    def _send(self, entry: Entry) -> None:
        client, run_id = self._client, self.info.run_id
        match entry:
            case {"file": name, "to": artifact_folder}:
                if (self.folder / name).is_file():  # else it was sent before
                    client.log_artifact(run_id, str(self.folder / name), artifact_folder)
                    (self.folder / name).unlink()
            case {"input": fields, "context": context}:
                tags = [InputTag(key="mlflow.data.context", value=context)]
                client.log_inputs(run_id, [DatasetInput(dataset=Dataset(**fields), tags=tags)])
            case {"model_input": model_id}:
                client.log_inputs(run_id, models=[LoggedModelInput(model_id)])
            case {"status": "RUNNING"}:  # of a run that is resumed
                client.update_run(run_id, status="RUNNING")
                if ERROR_TAG in client.get_run(run_id).data.tags:
                    client.delete_tag(run_id, ERROR_TAG)
            case {"status": status, "time": ended}:
                client.set_terminated(run_id, status, ended)
            case _:
                self._send_values(entry)

    def _send_values(self, entry: Entry) -> None:
        # MLflow keeps one row of a metric with the same step, time and value. It refuses another
        # spelling of a parameter, such as the one that `mlflow run` has logged: that one stays.
        client, run_id, metrics = self._client, self.info.run_id, metrics_of(entry)
        params = [Param(*one) for one in entry.get("params", {}).items()]
        tags = [RunTag(*one) for one in entry.get("tags", {}).items()]
        try:
            client.log_batch(run_id, metrics, params, tags)
        except MlflowException as error:
            if not params or not is_rejected(error):
                raise
            known = client.get_run(run_id).data.params
            new = [one for one in params if one.key not in known]
            if len(new) == len(params):
                raise
            client.log_batch(run_id, metrics, new, tags)


def metrics_of(entry: Entry) -> list[Metric]:
    """Return the metrics of an entry, with their model and dataset."""
    name, digest = entry.get("dataset", (None, None))
    about = {"model_id": entry.get("model"), "dataset_name": name, "dataset_digest": digest}
    return [
        Metric(key, value, entry["time"], entry["step"], **about)
        for key, value in entry.get("metrics", {}).items()
    ]
