"""From what a user types for a model to a forecaster."""

import re
from dataclasses import dataclass
from pathlib import Path

from flare.errors import ModelNotFound
from flare.forecasters.base import Forecaster
from flare.forecasters.folder import DESCRIPTION, load
from flare.tracking.registry import (
    RegisteredVersion,
    download_uri,
    get_version,
    production_version,
    registered,
    versions,
)
from flare.tracking.runs import scratch

_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Resolved:
    """A loaded forecaster, what to call it, and its registered version where it has one."""

    forecaster: Forecaster
    label: str
    version: RegisteredVersion | None = None


def resolve(model: str, model_name: str) -> Resolved:
    """Load a forecaster.

    Parameters
    ----------
    model
        A folder, a ``models:/`` or ``runs:/`` address, a version number, a run id, or an alias of
        ``model_name``; empty for its newest version.

    Raises
    ------
    ModelNotFound
        Nothing is there under that name; says what was looked for.
    """
    if model and (Path(model) / DESCRIPTION).is_file():
        return Resolved(load(Path(model)), f"folder {model}")
    if ":/" in model:
        return Resolved(_fetch(model), model)
    if _RUN_ID.fullmatch(model):
        found = [one for one in versions(model_name) if one.run_id == model]
        if not found:
            raise ModelNotFound(f"run {model} registered no version of {model_name!r}")
        return of_version(found[0])
    if model.isdecimal():
        return of_version(get_version(model_name, int(model)))
    if model:
        return of_version(production_version(model_name, model))
    return of_version(registered(model_name)[0])


def of_version(version: RegisteredVersion) -> Resolved:
    """Load the forecaster of a registered version."""
    return Resolved(_fetch(version.uri), f"{version.kind} v{version.version}", version)


def _fetch(uri: str) -> Forecaster:
    with scratch() as folder:
        return load(download_uri(uri, folder))
