"""MLflow runs: begin, describe, log, end. Whatever happens, no run stays RUNNING for ever.

What is logged goes to a folder on this disk, and from there to MLflow in the background: see
``flare.tracking.outbox``. Only beginning a run and registering a model need the server at once.
"""

import json
import logging
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from alembic.util import CommandError
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.tracking.context import registry as run_context
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS
from sqlalchemy.exc import SQLAlchemyError

from flare.config.groups import EntryConfig, text_of
from flare.errors import FlareError, TrackingUnavailable
from flare.tracking.asking import asked_once
from flare.tracking.local_copy import About, LocalCopy, runs_dir
from flare.tracking.locations import check_location
from flare.tracking.mlflow_errors import refusal
from flare.tracking.model_scores import DatasetName, ModelScores
from flare.tracking.outbox import Outbox, patience
from flare.tracking.resuming import already_logged, check_left, leave_empty, newest_unfinished
from flare.tracking.store import check_store, plain_address
from flare.tracking.system_metrics import PREFIX, watched
from flare.tracking.tags import ENTRY_TAG, ERROR_TAG

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

__all__ = ["Run", "answering", "connect", "git_tags", "newest_unfinished", "scratch", "start"]

log = logging.getLogger("flare")

_PATIENCE_WHEN_STOPPED = 10.0  # seconds: whoever pressed Ctrl-C wants to go


@dataclass
class Run:
    """An open run. What is logged is on this disk when a method returns, and in MLflow soon after.

    ``already`` has the highest step of every metric that was logged before the run was resumed,
    ``inputs`` the datasets that it has as inputs, by what they are used for.
    """

    id: str
    client: MlflowClient
    outbox: Outbox
    already: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    inputs: dict[str, DatasetName] = field(default_factory=dict)

    @property
    def local(self) -> Path:
        """The folder of the run on this disk, ``outputs/runs/RUN_ID``."""
        return self.outbox.copy.folder

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Log metrics of one step; those of steps that a resumed run has already are left out."""
        new = {name: float(v) for name, v in values.items() if not self._known(name, v, step)}
        if new:
            self.outbox.append({"time": now(), "step": step, "metrics": new})

    def _known(self, name: str, value: float, step: int) -> bool:
        before = self.already.get(name)
        # Step 0 is that of a run's final numbers, which may come out otherwise the second time.
        return before is not None and (0 < step <= before[0] or before == (step, value))

    def log_scores(self, scores: ModelScores, *, model_id: str | None = None) -> None:
        """Log final scores with the run, and with a logged model if one is given."""
        self.outbox.append({**scores.entry(), "model": model_id})

    def log_model_input(self, model_id: str) -> None:
        """Say that the run used a logged model."""
        self.outbox.append({"model_input": model_id})

    def flush(self) -> None:
        """Have what was logged sent now, without waiting for it."""
        self.outbox.hurry()

    def log_params(self, values: Mapping[str, object]) -> None:
        """Log parameters; one that `mlflow run` has logged already keeps the user's spelling."""
        self.outbox.append({"params": {key: text_of(value) for key, value in values.items()}})

    def log_config(self, config: EntryConfig, *, without: Collection[str] = ()) -> None:
        """Log what an entry point was given: parameters, and as tags what changes no result."""
        self.log_params(config.result_parameters(without))
        others = config.other_parameters().items()
        self.set_tags({f"flare.{name}": text_of(value) for name, value in others})

    def set_tags(self, values: Mapping[str, object]) -> None:
        """Set tags; an older value of the same key is replaced."""
        self.outbox.append({"tags": {key: str(value) for key, value in values.items()}})

    def log_input(self, dataset: Mapping[str, str], *, context: str) -> None:
        """Attach a dataset, given by the fields of MLflow's own class, and what it was used for."""
        self.inputs[context] = DatasetName(dataset["name"], dataset["digest"])
        self.outbox.append({"input": dict(dataset), "context": context})

    def log_figure(self, figure: "Figure", path: str) -> None:
        """Store a matplotlib figure as an artifact, such as ``figures/roc.png``."""
        with self._new_file(path) as place:
            figure.savefig(place)

    def log_json(self, values: Mapping[str, Any], path: str) -> None:
        """Store a JSON artifact."""
        self.log_text(json.dumps(dict(values), indent=2, default=str), path)

    def log_text(self, text: str, path: str) -> None:
        """Store a text artifact."""
        with self._new_file(path) as place:
            place.write_text(text, encoding="utf-8")

    def log_table(self, table: "DataFrame", path: str) -> None:
        """Store a table as a JSON artifact, for MLflow's pages and ``mlflow.load_table``."""
        rows = table.astype(object).where(table.notna(), None).to_dict("split", index=False)
        self.log_json(rows, path)  # pandas would round to ten digits
        self.set_tags({MLFLOW_LOGGED_ARTIFACTS: json.dumps([{"path": path, "type": "table"}])})

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Store a file, in a folder of the artifacts if given."""
        with self._new_file(path.name if folder is None else f"{folder}/{path.name}") as place:
            shutil.copyfile(path, place)

    def describe(self, markdown: str) -> None:
        """Set the description that the UI shows on the run's page."""
        self.set_tags({"mlflow.note.content": markdown})

    def describe_version(self, name: str, version: int, markdown: str) -> None:
        """Set the description of a version that this run has registered."""
        self.outbox.append({"version": [name, str(version)], "description": markdown})

    @contextmanager
    def _new_file(self, path: str) -> Iterator[Path]:
        """Give a place to write an artifact to, and have it sent from there."""
        folder, _, name = path.rpartition("/")
        place = self.outbox.copy.place(name)
        yield place
        self.outbox.append({"file": str(place.relative_to(self.local)), "to": folder or None})


def now() -> int:
    """Return the time as MLflow writes it, in milliseconds since 1970."""
    return int(time.time() * 1000)


def connect(tracking_uri: str | None = None, *, make: bool = False) -> None:
    """Choose the tracking server; None is MLFLOW_TRACKING_URI, or ``sqlite:///mlflow.db`` here.

    Parameters
    ----------
    make
        Whether to set up the database of a SQLite address that has none.

    Raises
    ------
    TrackingUnavailable
        The database is half made or of an older MLflow, or its folder cannot be made.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It prints a traceback where SQLite is locked for a moment; we ask again. So does urllib3.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    # An unreachable server is retried for minutes by default; people want to know sooner.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    if tracking_uri is not None:
        mlflow.set_tracking_uri(tracking_uri)
    address = mlflow.get_tracking_uri()
    if (plain := plain_address(address)) != address:
        mlflow.set_tracking_uri(plain)
    with answering(OSError):
        check_store(plain, make=make)


@contextmanager
def answering(*kinds: type[Exception]) -> Iterator[None]:
    """Turn MLflow's failure to reach or use its store, or one of ``kinds``, into one line."""
    expected: tuple[type[Exception], ...] = (
        *(MlflowException, SQLAlchemyError, CommandError),
        *kinds,
    )
    try:
        yield
    except expected as error:
        raise TrackingUnavailable(refusal(error, mlflow.get_tracking_uri())) from error


@contextmanager
def start(
    entry: str,
    *,
    name: str,
    tags: Mapping[str, object] | None = None,
    resume: str | None = None,
    watch: bool = False,
) -> Iterator[Run]:
    """Open a run for an entry point; one that is opened inside another is its child.

    Under `mlflow run` the outermost one joins the run that MLflow made. It ends FINISHED, FAILED
    when anything is raised (the tag ``flare.error`` then says what), KILLED on Ctrl-C or SIGTERM.

    Parameters
    ----------
    resume
        The id of a run to go on with instead: it is RUNNING again, and metrics of steps that it
        has already are not logged twice.
    watch
        Whether to log the machine's load with it, as MLflow's system metrics.

    Raises
    ------
    ModelNotFound
        There is no run to resume under that id.
    ConfigInvalid
        The run to resume is still going on in another process.
    TrackingUnavailable
        MLflow does not answer at the start, or has refused something by the end; or this project
        was copied or renamed, and its artifacts would go to the old place.
    """
    connect(make=True)
    if resume is not None:
        check_left(resume, entry)
        with answering():
            leave_empty(os.environ.pop("MLFLOW_RUN_ID", None), resume)
    run = _open(entry, name, {ENTRY_TAG: entry, **git_tags(), **(tags or {})}, resume)
    status, told = "FINISHED", ""
    try:
        with answering(), _watched(run) if watch else nullcontext():
            yield run
        _settle(run)
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        status = "KILLED" if stopped else "FAILED"
        told = str(error) if isinstance(error, FlareError) else type(error).__name__
        raise
    finally:
        _end(run, status, told)


def _open(entry: str, name: str, tags: Mapping[str, object], resume: str | None) -> Run:
    # OSError: a SQLite file in a folder that cannot be made.
    with answering(OSError), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nested = mlflow.active_run() is not None
        texts = {"mlflow.runName": name, **{key: str(value) for key, value in tags.items()}}
        opened = mlflow.start_run(run_id=resume, run_name=name, nested=nested, tags=texts)
    run_id, client = opened.info.run_id, MlflowClient()
    try:
        check_location(opened.info.artifact_uri)
        copy = LocalCopy(runs_dir() / run_id)
        copy.describe(About(run_id, entry, mlflow.get_tracking_uri()))
        already = {}
        if resume is not None:
            already = already_logged(client, run_id, copy.folder)
            copy.append({"status": "RUNNING", "time": now()})  # after the end that it holds
        run = Run(run_id, client, Outbox(client, run_id, copy), already)
    except BaseException:
        with suppress(MlflowException):
            mlflow.end_run("FAILED")
        raise
    return run


def _watched(run: Run) -> AbstractContextManager[None]:
    steps = [step for name, (step, _) in run.already.items() if name.startswith(PREFIX)]
    return watched(
        lambda values, step: run.log_metrics(values, step=step),
        first_step=max(steps, default=-1) + 1,
    )


def _settle(run: Run) -> None:
    """Wait for what was logged to arrive; raise what MLflow has refused of it."""
    run.outbox.drain(patience())
    if run.outbox.refused:
        raise TrackingUnavailable(
            f"MLflow at {mlflow.get_tracking_uri()} refused: {run.outbox.refused[0]}; "
            f"what was logged is kept in {run.local}"
        )


def _end(run: Run, status: str, told: str) -> None:
    """End a run, and say where it is kept if the server is away: that must hide no other error."""
    if told:
        run.set_tags({ERROR_TAG: told[:5000]})
    run.outbox.append({"status": status, "time": now()})
    # What was not taken by now had its time in _settle.
    seconds = min(_PATIENCE_WHEN_STOPPED, patience())
    away = status == "FINISHED" and run.outbox.copy.behind and run.outbox.failing
    arrived = run.outbox.close(0.0 if away else seconds)
    with suppress(MlflowException), asked_once(not arrived):
        mlflow.end_run(status)
    if not arrived:
        log.warning(
            "MLflow at %s did not answer: what it lacks of run %s is kept in %s; send it with "
            "`python -m entrypoints.resend`",
            mlflow.get_tracking_uri(),
            run.id,
            run.local,
        )


def git_tags() -> dict[str, str]:
    """Return the commit of the working folder, and whether it has changes; empty outside git."""
    known = run_context.resolve_tags()
    tags = {}
    commit = known.get("mlflow.source.git.commit") or _git("rev-parse", "HEAD")
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["flare.git_dirty"] = str(bool(_git("status", "--porcelain"))).lower()
    return tags


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(  # git is found on PATH on purpose
            ["git", *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a temporary folder for things on their way into a run."""
    with tempfile.TemporaryDirectory(prefix="flare-") as folder:
        yield Path(folder)
