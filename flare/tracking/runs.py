"""MLflow runs: begin, describe, buffer, end. Whatever happens, no run stays RUNNING for ever."""

import logging
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking.context import registry as run_context
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID as PARENT_RUN
from sqlalchemy.exc import SQLAlchemyError

from flare.errors import FlareError, TrackingUnavailable
from flare.tracking.names import ENTRY_TAG

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCH = 500  # metrics that one request carries


@dataclass
class Run:
    """An open run. Metrics wait here and go out in batches; everything else goes out at once."""

    id: str
    client: MlflowClient
    waiting: list[Metric] = field(default_factory=list)

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Take metrics for one step; they are sent with the next flush."""
        now = int(time.time() * 1000)
        self.waiting += [Metric(name, float(value), now, step) for name, value in values.items()]

    def flush(self) -> None:
        """Send what waits."""
        while self.waiting:
            self.client.log_batch(self.id, metrics=self.waiting[:_BATCH])
            del self.waiting[:_BATCH]

    def log_params(self, values: Mapping[str, object]) -> None:
        """Log parameters; one that `mlflow run` has logged already keeps the user's spelling."""
        known = self.client.get_run(self.id).data.params
        new = [Param(key, str(value)) for key, value in values.items() if key not in known]
        if new:
            self.client.log_batch(self.id, params=new)

    def set_tags(self, values: Mapping[str, object]) -> None:
        """Set tags; an older value of the same key is replaced."""
        self.client.log_batch(self.id, tags=[RunTag(key, str(v)) for key, v in values.items()])

    def log_figure(self, figure: "Figure", path: str) -> None:
        """Store a matplotlib figure as an artifact, such as ``figures/roc.png``."""
        self.client.log_figure(self.id, figure, path)

    def log_json(self, values: Mapping[str, Any], path: str) -> None:
        """Store a JSON artifact."""
        self.client.log_dict(self.id, dict(values), path)

    def log_text(self, text: str, path: str) -> None:
        """Store a text artifact."""
        self.client.log_text(self.id, text, path)

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Store a file, in a folder of the artifacts if given."""
        self.client.log_artifact(self.id, str(path), folder)

    def describe(self, markdown: str) -> None:
        """Set the description that the UI shows on the run's page."""
        self.set_tags({"mlflow.note.content": markdown})


def connect(tracking_uri: str | None = None) -> None:
    """Choose the tracking server; None is MLFLOW_TRACKING_URI, or ``sqlite:///mlflow.db`` here.

    Raises
    ------
    TrackingUnavailable
        The address is not one that MLflow understands.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    # An unreachable server is retried for minutes by default; people want to know sooner.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    if tracking_uri is not None:
        mlflow.set_tracking_uri(tracking_uri)


@contextmanager
def answering(*kinds: type[Exception]) -> Iterator[None]:
    """Turn MLflow's failure to reach or use its store, or one of ``kinds``, into one line."""
    expected: tuple[type[Exception], ...] = (MlflowException, SQLAlchemyError, *kinds)
    try:
        yield
    except expected as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrackingUnavailable(
            f"MLflow at {mlflow.get_tracking_uri()} refused: {first}; "
            "check MLFLOW_TRACKING_URI and that its server runs"
        ) from error


@contextmanager
def start(entry: str, *, name: str, tags: Mapping[str, object] | None = None) -> Iterator[Run]:
    """Open a run for an entry point; one that is opened inside another stands beside it.

    Under `mlflow run` the outermost one joins the run that MLflow made. It ends FINISHED, FAILED
    when anything is raised (the tag ``flare.error`` then says what), KILLED on Ctrl-C or SIGTERM.
    """
    connect()
    # OSError: a SQLite file in a folder that cannot be made.
    with answering(OSError), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nested = mlflow.active_run() is not None
        opened = mlflow.start_run(run_name=name, nested=nested)
    run = Run(opened.info.run_id, MlflowClient())
    if nested:
        # Side by side, not one inside the other: the UI folds children away, and these are what
        # people come to compare.
        with answering():
            run.client.delete_tag(run.id, PARENT_RUN)
    status, told = "FINISHED", ""
    try:
        with answering():
            run.set_tags({"mlflow.runName": name, ENTRY_TAG: entry, **git_tags(), **(tags or {})})
            yield run
            run.flush()
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        status = "KILLED" if stopped else "FAILED"
        told = str(error) if isinstance(error, FlareError) else type(error).__name__
        raise
    finally:
        # A server that has gone away must not hide the error that brought us here.
        with suppress(MlflowException):
            if told:
                run.flush()
                run.set_tags({"flare.error": told[:5000]})
        with suppress(MlflowException):
            mlflow.end_run(status)


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
