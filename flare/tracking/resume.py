"""Runs that no process works on any more: send their logs, resume one, or end those of trials."""

import os
from collections.abc import Mapping
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from flare.errors import ConfigInvalid, ModelNotFound, PlaceInUse, TrackingUnavailable
from flare.tracking.mlflow_errors import absent_as_none, as_unavailable, patience
from flare.tracking.run_log import RunInfo, RunLog, is_running, read_info, runs_dir
from flare.tracking.store import database_file, experiment_of_new_runs
from flare.tracking.tags import ENTRY_TAG, ERROR_TAG, RESUMED_TAG, STATE_TAG, TRIAL_TAG

_NEWEST = 200  # runs that are searched


def unsent_runs() -> list[RunInfo]:
    """Return the ended runs on this disk whose log MLflow lacks in part."""
    folders = sorted(runs_dir().glob("*"))
    infos = [(folder, read_info(folder)) for folder in folders]
    return [info for folder, info in infos if info is not None and not is_running(folder)]


def resend(info: RunInfo) -> RunLog:
    """Send the log of a run that no process works on; return it, to be closed.

    A run whose process was killed becomes KILLED instead of RUNNING.

    Raises TrackingUnavailable: the server does not answer, or is not the one that the run was
    logged to.
    """
    folder, uri = info.folder, mlflow.get_tracking_uri()
    database = database_file(info.tracking_uri)
    if database is not None and not database.exists():
        raise TrackingUnavailable(
            f"{folder} belongs to {database}, which is not there: if this project was copied or "
            "renamed, run `python -m entrypoints.relocate`"
        )
    if info.tracking_uri != uri:
        raise TrackingUnavailable(
            f"{folder} belongs to {info.tracking_uri} and this is {uri}; "
            f"set MLFLOW_TRACKING_URI={info.tracking_uri} and try again"
        )
    run_log, client = RunLog(info), MlflowClient()
    if not run_log.flush(patience()):
        run_log.close()
        raise TrackingUnavailable(f"{run_log.failure}; {folder} stays on this disk")
    if client.get_run(info.run_id).info.status == "RUNNING":
        client.set_terminated(info.run_id, "KILLED")
    return run_log


def newest_unfinished(entry: str, params: Mapping[str, object]) -> str | None:
    """Return the id of the newest run to resume; None where there is none.

    It is one of the same entry point and experiment, with the same parameters, that did not
    finish: it failed, was stopped, or its process was killed, which leaves it RUNNING for ever. One
    whose process is alive does not count, nor one that is RUNNING and left nothing on this disk: it
    may be alive on another machine.

    ``params`` are as they would be logged, where another spelling of the same value is the same.
    """
    with as_unavailable():
        experiment = experiment_of_new_runs()
        if experiment is None:
            return None
        for info in unsent_runs():  # a killed process may not have sent its parameters
            if info.entry == entry and info.tracking_uri == mlflow.get_tracking_uri():
                resend(info).close()
        runs = MlflowClient().search_runs(
            [experiment],
            f"tags.`{ENTRY_TAG}` = '{entry}' and attributes.status != 'FINISHED'",
            order_by=["attributes.start_time DESC"],
            max_results=_NEWEST,
        )
    matching = (run for run in runs if _has_params(run, params) and _is_dead(run))
    return next((str(run.info.run_id) for run in matching), None)


def check_resumable(run_id: str, entry: str, *, finished: bool = False) -> None:
    """Raise unless a run of an entry point exists, is unfinished, and no process works on it.

    With ``finished`` it may be finished.

    Raises
    ------
    ModelNotFound
        There is no such run, or it was deleted.
    ConfigInvalid
        It is finished, or of another entry point.
    PlaceInUse
        Its process is still alive.
    """
    run = absent_as_none(lambda: MlflowClient().get_run(run_id))
    if run is None:
        raise ModelNotFound(
            f"no run {run_id} to resume in {mlflow.get_tracking_uri()}; look in the UI for its "
            "id, or start a new one"
        )
    if run.info.lifecycle_stage == LifecycleStage.DELETED:
        raise ModelNotFound(
            f"run {run_id} was deleted; restore it with `mlflow runs restore`, or start a new one"
        )
    kind = run.data.tags.get(ENTRY_TAG)
    if kind != entry:
        raise ConfigInvalid(
            f"run {run_id} is one of {kind or 'something else'}, not of {entry}; look in the UI "
            "for the run to resume"
        )
    if run.info.status == "FINISHED" and not finished:
        raise ConfigInvalid(f"run {run_id} is finished: nothing is left to do; start a new one")
    if is_running(runs_dir() / run_id):
        raise PlaceInUse(
            f"run {run_id} is still running in another process; wait for it, or stop it first"
        )


def is_known(run_id: str) -> bool:
    """Return whether MLflow has a run, and it is not deleted."""
    run = absent_as_none(lambda: MlflowClient().get_run(run_id))
    return run is not None and run.info.lifecycle_stage == LifecycleStage.ACTIVE


def mark_unused(made: str | None, resume: str) -> None:
    """Name the run that `mlflow run` made, and that nothing will be logged to."""
    if made is not None and made != resume:
        client = MlflowClient()
        client.set_tag(made, "mlflow.runName", f"resumed {resume}")
        client.set_tag(made, RESUMED_TAG, resume)


def already_logged(client: MlflowClient, run_id: str) -> dict[str, tuple[int, float]]:
    """Return the last step of every metric of a run, and its value."""
    last = {}
    with as_unavailable():
        for name in client.get_run(run_id).data.metrics:
            history = client.get_metric_history(run_id, name)
            newest = max(history, key=lambda one: (one.step, one.timestamp))
            last[name] = (newest.step, newest.value)
    return last


def end_lost_children(parent_id: str, states: Mapping[int, str]) -> None:
    """End the runs below a search whose processes were lost, and correct the states of trials.

    ``states`` maps the numbers of finished trials to their states, as Optuna names them; the runs
    of other trials are left alone.
    """
    client = MlflowClient()
    of_state = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    below = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent_id}'"
    with as_unavailable():
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
                    status = of_state.get(state or "", "KILLED")
                    if status != "FINISHED":  # else its process may be ending it at this moment
                        client.set_tag(run.info.run_id, ERROR_TAG, "its process was lost")
                    client.set_terminated(run.info.run_id, status)


def _is_dead(run: Run) -> bool:
    """Return True for an unfinished run whose process has ended."""
    active = mlflow.active_run()
    if run.info.run_id in (active and active.info.run_id, os.environ.get("MLFLOW_RUN_ID")):
        return False
    folder = runs_dir() / run.info.run_id
    here = run.info.status != "RUNNING" or read_info(folder) is not None
    return here and not is_running(folder)


def _has_params(run: Run, wanted: Mapping[str, object]) -> bool:
    logged = run.data.params
    return all(name in logged and _same(logged[name], value) for name, value in wanted.items())


def _same(text: str, value: object) -> bool:
    """Compare a logged text with a value: `mlflow run` logs what the user typed."""
    if text == str(value) or (value is None and text == ""):
        return True
    if isinstance(value, bool):
        return text.lower() in (("true", "1") if value else ("false", "0"))
    if isinstance(value, int | float):
        try:
            return float(text) == float(value)
        except ValueError:
            return False
    return isinstance(value, Path) and Path(text) == value
