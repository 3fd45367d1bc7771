"""MLflow runs: start, log, end. Whatever happens, no run stays RUNNING for ever.

See ``flare.tracking.run_log`` for what happens while a tracking server is away: starting a run and
registering a model are all that needs it at once.
"""

import json
import logging
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS, MLFLOW_PARENT_RUN_ID
from sqlalchemy.exc import SQLAlchemyError

from flare.config.groups import EntryConfig, text_of
from flare.errors import FlareError, TrackingUnavailable
from flare.tracking.git import git_tags
from flare.tracking.mlflow_errors import answering, patience, refusal, retry
from flare.tracking.resume import already_logged, check_resumable, mark_unused
from flare.tracking.run_log import RunInfo, RunLog
from flare.tracking.store import check_location, connect
from flare.tracking.tags import ENTRY_TAG, ERROR_TAG

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

log = logging.getLogger("flare")

_PATIENCE_AT_END = 10.0  # seconds: after Ctrl-C people want the program to end


class DatasetName(NamedTuple):
    """What identifies a dataset in MLflow."""

    name: str
    digest: str


@dataclass(frozen=True)
class ModelScores:
    """Metrics of a model on one dataset; ``time`` is in milliseconds since 1970."""

    metrics: Mapping[str, float]
    dataset: DatasetName
    time: int

    def entry(self) -> dict[str, Any]:
        """Return them as an entry of a run log."""
        about = {"dataset": list(self.dataset), "time": self.time, "step": 0}
        return {"metrics": dict(self.metrics), **about}


@dataclass
class Run:
    """An open run. When a method returns, MLflow or this disk has what was logged.

    ``already`` has the last step and value of every metric that was logged before the run was
    resumed, ``inputs`` the datasets that it has as inputs, by what they are used for. ``status``
    is the one that it ends with if nothing is raised.
    """

    id: str
    client: MlflowClient
    log: RunLog
    already: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    inputs: dict[str, DatasetName] = field(default_factory=dict)
    status: str = "FINISHED"

    @property
    def local(self) -> Path:
        """The folder of the run on this disk, ``outputs/runs/RUN_ID``."""
        return self.log.folder

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Log metrics of one step; those of steps that a resumed run has already are left out."""
        new = {name: float(v) for name, v in values.items() if not self._has(name, v, step)}
        if new:
            self.log.append({"time": now(), "step": step, "metrics": new})

    def _has(self, name: str, value: float, step: int) -> bool:
        before = self.already.get(name)
        # Step 0 is that of final numbers, which may come out differently the second time.
        return before is not None and (0 < step <= before[0] or before == (step, value))

    def log_scores(self, scores: ModelScores, *, model_id: str | None = None) -> None:
        """Log final scores with the run, and with a logged model if one is given."""
        self.log.append({**scores.entry(), "model": model_id})

    def log_model_input(self, model_id: str) -> None:
        """Log that the run used a logged model."""
        self.log.append({"model_input": model_id})

    def flush(self) -> None:
        """Have everything sent now, without waiting for it."""
        self.log.flush()

    def log_params(self, values: Mapping[str, object]) -> None:
        """Log parameters; one that `mlflow run` has logged already keeps the user's spelling."""
        self.log.append({"params": {key: text_of(value) for key, value in values.items()}})

    def log_config(self, config: EntryConfig, *, without: Collection[str] = ()) -> None:
        """Log what an entry point was given: parameters, and as tags what changes no result."""
        self.log_params(config.result_parameters(without))
        others = config.other_parameters().items()
        self.set_tags({f"flare.{name}": text_of(value) for name, value in others})

    def set_tags(self, values: Mapping[str, object]) -> None:
        """Set tags; an older value of the same key is replaced."""
        self.log.append({"tags": _texts(values)})

    def log_input(self, dataset: Mapping[str, str], *, context: str) -> None:
        """Attach a dataset, given by the fields of MLflow's own class, and what it was used for."""
        self.inputs[context] = DatasetName(dataset["name"], dataset["digest"])
        self.log.append({"input": dict(dataset), "context": context})

    def log_figure(self, figure: "Figure", path: str) -> None:
        """Store a matplotlib figure as an artifact, such as ``figures/roc.png``."""
        with self._new_artifact(path) as file:
            figure.savefig(file)

    def log_json(self, values: Mapping[str, Any], path: str) -> None:
        """Store a JSON artifact."""
        self.log_text(json.dumps(dict(values), indent=2, default=str), path)

    def log_text(self, text: str, path: str) -> None:
        """Store a text artifact."""
        with self._new_artifact(path) as file:
            file.write_text(text, encoding="utf-8")

    def log_table(self, table: "DataFrame", path: str) -> None:
        """Store a table as a JSON artifact, for MLflow's pages and ``mlflow.load_table``."""
        rows = table.astype(object).where(table.notna(), None).to_dict("split", index=False)
        self.log_json(rows, path)  # pandas would round to ten digits
        self.set_tags({MLFLOW_LOGGED_ARTIFACTS: json.dumps([{"path": path, "type": "table"}])})

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Store a file, in a folder of the artifacts if given."""
        with self._new_artifact(path.name if folder is None else f"{folder}/{path.name}") as file:
            shutil.copyfile(path, file)

    def describe(self, markdown: str) -> None:
        """Set the description that the UI shows on the run's page."""
        self.set_tags({"mlflow.note.content": markdown})

    @contextmanager
    def _new_artifact(self, path: str) -> Iterator[Path]:
        """Give a path to write an artifact to; it is logged when the block ends."""
        folder, _, name = path.rpartition("/")
        file = self.log.new_file(name)
        yield file
        self.log.append({"file": str(file.relative_to(self.local)), "to": folder or None})


def now() -> int:
    """Return the time as MLflow writes it, in milliseconds since 1970."""
    return int(time.time() * 1000)


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}


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
        with answering():
            mark_unused(os.environ.pop("MLFLOW_RUN_ID", None), resume)
    run = _open(entry, name, {ENTRY_TAG: entry, **git_tags(), **(tags or {})}, resume, watch)
    try:
        with _until_end(run):
            yield run
            run.log.flush(patience())
            if run.log.rejected:
                raise TrackingUnavailable(run.log.rejected[0])
    finally:
        with suppress(MlflowException), _asking_once(run.log.unsent):
            mlflow.end_run(run.status)


@contextmanager
def start_child(
    parent_id: str, *, name: str, params: Mapping[str, object], tags: Mapping[str, object]
) -> Iterator[Run]:
    """Open a run below another one, which may be open in another process, as a search is.

    It has its parameters and tags from its start. It ends as ``start`` says; the error is raised.
    """
    connect()
    with answering():
        client = MlflowClient()
        experiment = _experiment_of(parent_id)
        all_tags = _texts({MLFLOW_PARENT_RUN_ID: parent_id, **tags})
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
    with answering(OSError), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        opened = mlflow.start_run(
            run_id=resume,
            run_name=name,
            nested=mlflow.active_run() is not None,
            tags={"mlflow.runName": name, **_texts(tags)},
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
        with answering():
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
            *(mlflow.get_tracking_uri(), run.local),
        )


@contextmanager
def _asking_once(away: bool) -> Iterator[None]:
    """Let MLflow try only once, and not for long, if the server is away."""
    names = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT")
    before = {name: os.environ[name] for name in names if away and name in os.environ}
    os.environ.update(zip(before, ("0", "2"), strict=False))
    try:
        yield
    finally:
        os.environ.update(before)


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a temporary folder for files on their way into a run."""
    with tempfile.TemporaryDirectory(prefix="flare-") as folder:
        yield Path(folder)
