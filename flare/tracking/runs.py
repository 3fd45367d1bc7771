"""MLflow runs: start and end them. Whatever happens, no run stays RUNNING for ever.

See ``flare.tracking.run_log`` for what happens while a tracking server is away: starting a run and
registering a model are all that needs it at once.
"""

import logging
import os
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.tracking.context import registry as run_context
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy.exc import SQLAlchemyError

from flare.errors import FlareError, TrackingUnavailable
from flare.tracking.mlflow_errors import as_unavailable, patience, refusal, retry
from flare.tracking.resume import already_logged, check_resumable, mark_unused
from flare.tracking.run import Run, now, texts
from flare.tracking.run_log import RunInfo, RunLog
from flare.tracking.store import check_location, connect
from flare.tracking.tags import ENTRY_TAG, ERROR_TAG

log = logging.getLogger("flare")

_PATIENCE_AT_END = 10.0  # seconds: after Ctrl-C people want the program to end


@contextmanager
def start(
    entry: str,
    *,
    name: str,
    tags: Mapping[str, object] | None = None,
    resume: str | None = None,
    reopen: bool = False,
    watch: bool = False,
) -> Iterator[Run]:
    """Open a run for an entry point; one that is opened inside another is its child.

    Under `mlflow run` the outermost one joins the run that MLflow made. It ends FINISHED, FAILED
    when anything is raised (the tag ``flare.error`` then says what), KILLED on Ctrl-C or SIGTERM.

    Parameters
    ----------
    resume
        The id of a run to continue instead: it is RUNNING again, and metrics of steps that it
        has already are not logged twice.
    reopen
        Whether the run to continue may be finished.
    watch
        Whether MLflow logs its system metrics.

    Raises
    ------
    ModelNotFound
        There is no run to resume under that id.
    PlaceInUse
        The run to resume is still running in another process.
    TrackingUnavailable
        MLflow does not answer at the start, or has rejected something by the end; or this project
        was copied or renamed, and its artifacts would go to the old place.
    """
    connect(make=True)
    if resume is not None:
        check_resumable(resume, entry, finished=reopen)
        with as_unavailable():
            mark_unused(os.environ.pop("MLFLOW_RUN_ID", None), resume)
    run = _open(entry, name, {ENTRY_TAG: entry, **git_tags(), **(tags or {})}, resume, watch)
    try:
        with _until_end(run):
            yield run
            run.log.flush(patience())
            if run.log.rejected:
                raise TrackingUnavailable(run.log.rejected[0])
    finally:
        with suppress(MlflowException), _without_retries(run.log.unsent):
            mlflow.end_run(run.status)


@contextmanager
def start_child(
    parent_id: str, *, name: str, params: Mapping[str, object], tags: Mapping[str, object]
) -> Iterator[Run]:
    """Open a run below another one, which may be open in another process, as a search is.

    It has its parameters and tags from its start. It ends as ``start`` says; the error is raised.
    """
    connect()
    with as_unavailable():
        client = MlflowClient()
        experiment = _experiment_of(parent_id)
        all_tags = texts({MLFLOW_PARENT_RUN_ID: parent_id, **tags})
        opened = retry(lambda: client.create_run(experiment, now(), all_tags, name))
    info = RunInfo(opened.info.run_id, str(tags[ENTRY_TAG]), mlflow.get_tracking_uri())
    run = Run(info.run_id, client, RunLog(info))
    with _until_end(run):
        run.log_params(params)
        yield run


@lru_cache(maxsize=1)
def _experiment_of(run_id: str) -> str:
    return str(retry(lambda: MlflowClient().get_run(run_id)).info.experiment_id)


def _open(
    entry: str, name: str, tags: Mapping[str, object], resume: str | None, watch: bool
) -> Run:
    # OSError: a SQLite file in a folder that cannot be made.
    with as_unavailable(OSError), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        opened = mlflow.start_run(
            run_id=resume,
            run_name=name,
            nested=mlflow.active_run() is not None,
            tags={"mlflow.runName": name, **texts(tags)},
            log_system_metrics=watch,
        )
    run_id, client = opened.info.run_id, MlflowClient()
    try:
        check_location(opened.info.artifact_uri)
        run = Run(run_id, client, RunLog(RunInfo(run_id, entry, mlflow.get_tracking_uri())))
        if resume is not None:
            if not run.log.flush(patience()):  # what the interrupted process left
                raise TrackingUnavailable(f"run {run_id} cannot be resumed: {run.log.failure}")
            run.already = already_logged(client, run_id)
            run.log.append({"status": "RUNNING", "time": now()})
    except BaseException:
        with suppress(MlflowException):
            mlflow.end_run("FAILED")
        raise
    return run


@contextmanager
def _until_end(run: Run) -> Iterator[None]:
    """End a run after the block: FINISHED, FAILED or KILLED, with the reason as a tag."""
    reason = ""
    try:
        with as_unavailable():
            yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        run.status = "KILLED" if stopped else "FAILED"
        reason = str(error) if isinstance(error, FlareError) else type(error).__name__
        raise
    finally:
        _end(run, reason)


def _end(run: Run, reason: str) -> None:
    """Log the end of a run, and report what MLflow lacks of it; raise nothing.

    No error of the run may be hidden by one here.
    """
    ended = False
    try:
        if reason:
            run.set_tags({ERROR_TAG: reason[:5000]})
        run.log.append({"status": run.status, "time": now()})
        ended = True
    except (MlflowException, SQLAlchemyError, OSError) as error:
        log.warning("%s", refusal(error, mlflow.get_tracking_uri()))
    if not (run.log.close(min(_PATIENCE_AT_END, patience()), ended=ended) and ended):
        log.warning(
            "MLflow at %s lacks a part of this run, which is stored in %s; send it with "
            "`python -m entrypoints.resend`",
            mlflow.get_tracking_uri(),
            run.local,
        )


@contextmanager
def _without_retries(away: bool) -> Iterator[None]:
    """Let MLflow try only once, and not for long, if the server is away."""
    names = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT")
    before = {name: os.environ[name] for name in names if away and name in os.environ}
    os.environ.update(zip(before, ("0", "2"), strict=False))
    try:
        yield
    finally:
        os.environ.update(before)


def git_tags() -> dict[str, str]:
    """Return the commit of the working folder, and whether it has changes; empty outside git."""
    known = run_context.resolve_tags()
    commit = known.get("mlflow.source.git.commit") or _git("rev-parse", "HEAD").strip()
    if not commit:
        return {}
    changed = str(bool(_git("status", "--porcelain"))).lower()
    return {"mlflow.source.git.commit": commit, "flare.git_dirty": changed}


def _git(*arguments: str) -> str:
    with suppress(OSError, subprocess.SubprocessError):  # uses the git of PATH on purpose
        command = ["git", *arguments]
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL, timeout=10)
    return ""


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a temporary folder for files on their way into a run."""
    with tempfile.TemporaryDirectory(prefix="flare-") as folder:
        yield Path(folder)
