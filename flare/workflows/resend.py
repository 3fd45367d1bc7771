"""Entry point ``resend``: what the tracking server missed of runs on this disk."""

import logging

from flare.config import ResendConfig
from flare.errors import ModelNotFound, TrackingUnavailable
from flare.tracking.leftovers import Resent, leftovers, resend
from flare.workflows.evaluation.model_card import put_card
from flare.workflows.evaluation.validation_forecasts import read_scores

log = logging.getLogger("flare")


def run(config: ResendConfig) -> list[Resent]:
    """Send everything that is left, one run after the other; register models that were waiting.

    Raises
    ------
    ModelNotFound
        The folder that was asked for lacks nothing, or is no run's.
    TrackingUnavailable
        The server is still away, or belongs to none of the runs.
    """
    folders = leftovers()
    if config.folder is not None:
        wanted = config.folder.resolve()
        folders = [folder for folder in folders if folder.resolve() == wanted]
        if not folders:
            raise ModelNotFound(
                f"folder={config.folder} is no folder of a run that is over and lacks something "
                "in MLflow; leave it empty for all that do"
            )
    sent, failed = [], []
    for folder in folders:
        try:
            sent.append(resend(folder))
        except TrackingUnavailable as error:
            failed.append(error)
            log.warning("%s", error)
            continue
        _add_card(sent[-1])
    if failed and not sent:
        raise failed[0]
    return sent


def _add_card(resent: Resent) -> None:
    """Give a version that was registered late the model card that the others have."""
    version, forecaster = resent.version, resent.forecaster
    if version is not None and forecaster is not None:
        put_card(version, forecaster, validation=read_scores(version))
