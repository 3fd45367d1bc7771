"""Going on with a run that was stopped: which one, and what it has logged already."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run
from mlflow.exceptions import MlflowException

from flare.errors import ConfigInvalid, ModelNotFound, TrackingUnavailable
from flare.tracking.local_copy import LOG, is_held, last_logged, params_of, runs_dir
from flare.tracking.mlflow_errors import refusal
from flare.tracking.sending import is_refused
from flare.tracking.tags import ENTRY_TAG, RESUMED_TAG

_LOOKED_AT = 200  # runs: the newest


def newest_unfinished(
    entry: str, params: Mapping[str, object], *, ignoring: Collection[str] = ()
) -> str | None:
    """Return the id of the newest run to go on with; None where there is none.

    It is one of the same entry point and experiment, with the same parameters, that did not
    finish: it failed, was stopped, or its process was killed, which leaves it RUNNING for ever. One
    whose process is alive does not count, nor one that is RUNNING and left nothing on this disk: it
    may be alive on another machine.

    Parameters
    ----------
    params
        As they would be logged; another spelling of the same value is the same.
    ignoring
        Names of parameters that may differ.
    """
    wanted = {name: value for name, value in params.items() if name not in ignoring}
    client = MlflowClient()
    experiment = experiment_of_new_runs(client)
    if experiment is None:
        return None
    try:
        found = client.search_runs(
            [experiment],
            f"tags.`{ENTRY_TAG}` = '{entry}' and attributes.status != 'FINISHED'",
            order_by=["attributes.start_time DESC"],
            max_results=_LOOKED_AT,
        )
    except MlflowException as error:
        raise _unavailable(error) from error
    fitting = (run for run in found if _fits(run, wanted) and _is_left(run))
    return next((str(run.info.run_id) for run in fitting), None)


def check_left(run_id: str, entry: str) -> None:
    """Raise unless a run of an entry point is there, unfinished, and nobody is working on it.

    Raises
    ------
    ModelNotFound
        There is no such run, or it was deleted.
    ConfigInvalid
        Its process is still alive, it is finished, or it is of another entry point.
    """
    try:
        found = MlflowClient().get_run(run_id)
    except MlflowException as error:
        if is_refused(error):
            raise ModelNotFound(
                f"no run {run_id} to resume in {mlflow.get_tracking_uri()}; look in the UI for its "
                "id, or start a new one"
            ) from error
        raise _unavailable(error) from error
    if found.info.lifecycle_stage == LifecycleStage.DELETED:
        raise ModelNotFound(
            f"run {run_id} was deleted; restore it with `mlflow runs restore`, or start a new one"
        )
    kind = found.data.tags.get(ENTRY_TAG)
    if kind != entry:
        raise ConfigInvalid(
            f"run {run_id} is one of {kind or 'something else'}, not of {entry}; look in the UI "
            "for the run to resume"
        )
    if found.info.status == "FINISHED":
        raise ConfigInvalid(
            f"run {run_id} is finished: there is nothing to go on with; start a new one"
        )
    if is_held(runs_dir() / run_id):
        raise ConfigInvalid(
            f"run {run_id} is still going on in another process; wait for it, or stop it first"
        )


def leave_empty(made: str | None, resume: str) -> None:
    """Name the run that `mlflow run` made, and that nothing will be logged to."""
    if made is not None and made != resume:
        client = MlflowClient()
        client.set_tag(made, "mlflow.runName", f"resumed {resume}")
        client.set_tag(made, RESUMED_TAG, resume)


def already_logged(client: MlflowClient, run_id: str, folder: Path) -> dict[str, tuple[int, float]]:
    """Return the last step and value of every metric of a run: from this disk, else from MLflow."""
    if (folder / LOG).is_file() and (folder / LOG).stat().st_size:
        return last_logged(folder)
    try:
        names = client.get_run(run_id).data.metrics
        histories = {name: client.get_metric_history(run_id, name) for name in names}
    except MlflowException as error:
        raise _unavailable(error) from error
    latest = {
        name: max(history, key=lambda one: (one.step, one.timestamp))
        for name, history in histories.items()
        if history
    }
    return {name: (one.step, one.value) for name, one in latest.items()}


def experiment_of_new_runs(client: MlflowClient) -> str | None:
    """Return the experiment that a new run would go to, as MLflow chooses it."""
    given = os.environ.get("MLFLOW_EXPERIMENT_ID")
    if given:
        return given
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME")
    if not name:
        return "0"
    try:
        found = client.get_experiment_by_name(name)
    except MlflowException as error:
        raise _unavailable(error) from error
    return None if found is None else str(found.experiment_id)


def _is_left(run: Run) -> bool:
    """Whether nobody is working on an unfinished run any more."""
    active = mlflow.active_run()
    if run.info.run_id in (active and active.info.run_id, os.environ.get("MLFLOW_RUN_ID")):
        return False
    folder = runs_dir() / run.info.run_id
    return (
        (folder / LOG).is_file() or run.info.status != "RUNNING" if not is_held(folder) else False
    )


def _fits(run: Run, wanted: Mapping[str, object]) -> bool:
    # MLflow may not have them yet: a killed process sent what it could.
    logged = run.data.params | params_of(runs_dir() / run.info.run_id)
    return all(name in logged and _same(logged[name], value) for name, value in wanted.items())


def _same(text: str, value: object) -> bool:
    """Whether a logged text means a value: `mlflow run` logs what the user typed."""
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


def _unavailable(error: MlflowException) -> TrackingUnavailable:
    return TrackingUnavailable(refusal(error, mlflow.get_tracking_uri()))
