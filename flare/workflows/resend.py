"""Entry point ``resend``: send MLflow what it lacks of runs on this disk."""

import logging
from contextlib import closing
from dataclasses import dataclass

from flare.config import ResendConfig
from flare.errors import ModelNotFound, TrackingUnavailable
from flare.tracking.packaging import register_stored_model
from flare.tracking.registry import RegisteredVersion, connect
from flare.tracking.resume import resend, unsent_runs
from flare.tracking.run_log import RunInfo
from flare.workflows.fitting.model_card import put_card
from flare.workflows.fitting.validation_forecasts import read_scores

log = logging.getLogger("flare")


@dataclass(frozen=True)
class Resent:
    """A run that MLflow now has whole, and the version of its model if one was registered."""

    run_id: str
    entry: str
    version: RegisteredVersion | None


def run(config: ResendConfig) -> list[Resent]:
    """Send the logs of all unsent runs that have ended, and register their models.

    Raises
    ------
    ModelNotFound
        MLflow lacks nothing of the given run, or the folder is not one of a run.
    TrackingUnavailable
        The server is still away, or belongs to none of the runs.
    """
    connect()
    infos = unsent_runs()
    if config.folder is not None:
        infos = [info for info in infos if info.folder.resolve() == config.folder.resolve()]
        if not infos:
            raise ModelNotFound(
                f"folder={config.folder} is not the folder of an ended run with unsynced entries; "
                "leave it empty to send all such runs"
            )
    sent, errors = [], []
    for info in infos:
        try:
            sent.append(_resend(info))
        except TrackingUnavailable as error:
            errors.append(error)
            log.warning("%s", error)
    if errors and not sent:
        raise errors[0]
    return sent


def _resend(info: RunInfo) -> Resent:
    """Send a run; its model gets the model card that others have."""
    with closing(resend(info)) as run_log:
        registered = register_stored_model(run_log)
    if registered is None:
        return Resent(info.run_id, info.entry, None)
    version, forecaster = registered
    put_card(version, forecaster, validation=read_scores(version))
    return Resent(info.run_id, info.entry, version)
