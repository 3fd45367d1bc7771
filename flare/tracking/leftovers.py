"""Runs on this disk that MLflow does not have whole, and sending what is missing."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from flare.errors import TrackingUnavailable
from flare.forecasters.base import Forecaster
from flare.forecasters.storage import load
from flare.tracking.kept_model import KEPT, is_kept
from flare.tracking.local_copy import (
    LocalCopy,
    is_behind,
    is_held,
    last_status,
    read_about,
    runs_dir,
)
from flare.tracking.outbox import Outbox, patience
from flare.tracking.packaging import register_kept
from flare.tracking.registry import RegisteredVersion
from flare.tracking.runs import answering, connect, now
from flare.tracking.store import database_file
from flare.tracking.tags import ERROR_TAG, FORECASTER_ARTIFACT

log = logging.getLogger("flare")


@dataclass(frozen=True)
class Resent:
    """A run that MLflow now has whole, and the version of its model if one was waiting."""

    run_id: str
    entry: str
    version: RegisteredVersion | None
    forecaster: Forecaster | None


def leftovers() -> list[Path]:
    """Return the folders of runs that are over, and of which MLflow does not have everything."""
    connect()
    folders = sorted(path for path in runs_dir().glob("*") if read_about(path) is not None)
    return [one for one in folders if _is_left(one) and not is_held(one)]


def _is_left(folder: Path) -> bool:
    # A process that was killed has not even said that it ended.
    return is_behind(folder) or is_kept(folder) or last_status(folder) in (None, "RUNNING")


def resend(folder: Path) -> Resent:
    """Send what MLflow lacks of a run, and register its model if that is still to be done.

    A run whose process was killed is KILLED then, and no longer RUNNING.

    Raises
    ------
    TrackingUnavailable
        The server does not answer, or it is not the one that the run was logged to.
    """
    about = read_about(folder)
    assert about is not None
    database = database_file(about.tracking_uri)
    if database is not None and not database.exists():
        raise TrackingUnavailable(
            f"{folder} belongs to {database}, which is not there: if this project was copied or "
            "renamed, run `python -m entrypoints.relocate`"
        )
    if about.tracking_uri != mlflow.get_tracking_uri():
        raise TrackingUnavailable(
            f"{folder} belongs to {about.tracking_uri} and this is {mlflow.get_tracking_uri()}; "
            f"set MLFLOW_TRACKING_URI={about.tracking_uri} and try again"
        )
    client, copy = MlflowClient(), LocalCopy(folder)
    if last_status(folder) in (None, "RUNNING"):
        copy.append({"status": "KILLED", "time": now()})
    outbox = Outbox(client, about.run_id, copy)
    if not outbox.close(patience()):
        raise TrackingUnavailable(
            f"MLflow at {about.tracking_uri} does not answer: {outbox.failing}; {folder} is kept"
        )
    if not is_kept(folder):
        return Resent(about.run_id, about.entry, None, None)
    forecaster = load(folder / KEPT / FORECASTER_ARTIFACT)
    return Resent(
        about.run_id, about.entry, _registered(client, about.run_id, folder, forecaster), forecaster
    )


def _registered(
    client: MlflowClient, run_id: str, folder: Path, forecaster: Forecaster
) -> RegisteredVersion:
    """Register a kept model of a run, which then has finished after all."""
    version = register_kept(client, run_id, folder / KEPT, forecaster)
    with answering():
        client.set_terminated(run_id, "FINISHED")
    with suppress(MlflowException):  # the tag may not be there
        client.delete_tag(run_id, ERROR_TAG)
    return version
