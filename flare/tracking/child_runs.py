"""Runs below another run that may be open in another process, such as the trials of a search."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from flare.tracking.mlflow_errors import answering, is_absent, retry
from flare.tracking.run_log import RunInfo, RunLog
from flare.tracking.runs import Run, end_run, now, status_after, texts
from flare.tracking.store import connect
from flare.tracking.tags import ENTRY_TAG, ERROR_TAG, STATE_TAG, TRIAL_TAG

#: Status of a run, by the state of its trial.
_STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}


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
        experiment = _experiment_of(parent_id)
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


@lru_cache(maxsize=1)
def _experiment_of(run_id: str) -> str:
    return str(retry(lambda: MlflowClient().get_run(run_id)).info.experiment_id)


def end_lost_children(parent_id: str, states: Mapping[int, str]) -> None:
    """End the runs below a search whose processes were lost, and correct the states of trials.

    ``states`` maps the numbers of finished trials to their states, as Optuna names them; the runs
    of other trials are left alone.
    """
    client = MlflowClient()
    below = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent_id}'"
    with answering():
        experiment = client.get_run(parent_id).info.experiment_id
        for unfinished in ("attributes.status = 'RUNNING'", f"tags.`{STATE_TAG}` = 'RUNNING'"):
            words = f"{below} and {unfinished}"
            for run in client.search_runs([experiment], words, max_results=1000):
                state = states.get(int(run.data.tags.get(TRIAL_TAG, -1)))
                if state is not None:
                    client.set_tag(run.info.run_id, STATE_TAG, state)
                elif TRIAL_TAG in run.data.tags:
                    continue
                if run.info.status == "RUNNING":
                    status = _STATUS.get(state or "", "KILLED")
                    if status != "FINISHED":  # else its process may be ending it at this moment
                        client.set_tag(run.info.run_id, ERROR_TAG, "its process was lost")
                    client.set_terminated(run.info.run_id, status)


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
