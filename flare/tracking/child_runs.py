"""Runs below another run that may be open in another process, such as the trials of a search."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from flare.tracking.mlflow_errors import answering, is_absent, retry
from flare.tracking.run_log import RunInfo, RunLog
from flare.tracking.runs import Run, end_run, now, status_after, texts
from flare.tracking.store import connect
from flare.tracking.tags import ENTRY_TAG, ERROR_TAG


@contextmanager
def start_child(
    parent_id: str, *, name: str, params: Mapping[str, object], tags: Mapping[str, object]
) -> Iterator[Run]:
    """Open a run below another one, which may be open in another process.

    It has its parameters and tags from its start. It ends as ``start`` says; the error is raised.
    """
    connect()
    with answering():
        client = MlflowClient()
        experiment = retry(lambda: client.get_run(parent_id)).info.experiment_id
        all_tags = texts({MLFLOW_PARENT_RUN_ID: parent_id, **tags})
        opened = retry(lambda: client.create_run(experiment, now(), all_tags, name))
    info = RunInfo(opened.info.run_id, str(tags[ENTRY_TAG]), mlflow.get_tracking_uri())
    run, reason = Run(info.run_id, client, RunLog(info)), ""
    try:
        with answering():
            run.log_params(params)
            yield run
    except BaseException as error:
        run.status, reason = status_after(error)
        raise
    finally:
        end_run(run, reason)


def end_lost_children(parent_id: str, status_of: Mapping[str, tuple[str, str]]) -> None:
    """End runs below another one whose processes were lost.

    ``status_of`` maps run ids to a status and its reason; other runs are left alone.
    """
    client = MlflowClient()
    with answering():
        experiment = client.get_run(parent_id).info.experiment_id
        children = client.search_runs(
            [experiment],
            f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent_id}' and attributes.status = 'RUNNING'",
            max_results=1000,
        )
        for run_id in {child.info.run_id for child in children} & status_of.keys():
            status, reason = status_of[run_id]
            client.set_tag(run_id, ERROR_TAG, reason)
            client.set_terminated(run_id, status)


def read_text(run_id: str, path: str) -> str | None:
    """Return a text artifact of a run; None where the run or the artifact is gone."""
    try:
        return str(mlflow.artifacts.load_text(f"runs:/{run_id}/{path}"))
    except (MlflowException, OSError):
        return None


def is_known(run_id: str) -> bool:
    """Return whether MLflow has a run, and it is not deleted."""
    with answering():
        try:
            info = MlflowClient().get_run(run_id).info
        except MlflowException as error:
            if not is_absent(error):
                raise
            return False
    return bool(info.lifecycle_stage == "active")
