"""Resolve the parameter ``model`` to a forecaster."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from flare.errors import ModelNotFound
from flare.forecasters.base import Forecaster
from flare.forecasters.storage import DESCRIPTION, load, read_description
from flare.tracking.registry import (
    RegisteredVersion,
    download_uri,
    get_version,
    logged_model_id,
    production_version,
    registered,
    version_of_run,
)
from flare.tracking.run import Run
from flare.tracking.runs import scratch
from flare.tracking.tags import (
    KIND_TAG,
    MODEL_DIGEST_TAG,
    MODEL_SYNTHETIC_TAG,
    MODEL_TAG,
    MODEL_VERSION_TAG,
)

_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Resolved:
    """A loaded forecaster with its label, and its registered version if it has one.

    ``digest`` is that of the forecaster's folder: equal digests give equal forecasts. Stated base
    rates change it. ``model_id`` is that of MLflow's logged model, None for a folder.
    """

    forecaster: Forecaster
    label: str
    digest: str
    version: RegisteredVersion | None = None
    model_id: str | None = None

    @property
    def name(self) -> str:
        """The name of the registered model, or what else the model was called by."""
        return self.label if self.version is None else self.version.name

    @property
    def number(self) -> str:
        """The number of the version, or the beginning of the digest of a model without one."""
        return self.digest[:12] if self.version is None else str(self.version.version)

    def at_rates(self, stated: Mapping[str, float]) -> "Resolved":
        """Return the model at stated base rates, which its label then names."""
        if not stated:
            return self
        rates = ", ".join(f"{event} {rate:g}" for event, rate in stated.items())
        return replace(
            self,
            forecaster=self.forecaster.with_postprocessing(
                self.forecaster.postprocessing.at_rates(stated)
            ),
            label=f"{self.label} at stated rates {rates}",
            digest=hashlib.sha256(f"{self.digest} {rates}".encode()).hexdigest(),
        )

    def log_use(self, run: Run) -> None:
        """Log to a run that it used this model: as an input and in tags."""
        run.set_tags(self.tags())
        if self.model_id is not None:
            run.log_model_input(self.model_id)

    def tags(self) -> dict[str, str]:
        """Return the tags of a run that uses the model."""
        kind = self.forecaster.kind
        tags = {
            KIND_TAG: (self.version.kind if self.version else None) or kind,
            MODEL_TAG: self.label,
            MODEL_DIGEST_TAG: self.digest,
            MODEL_SYNTHETIC_TAG: str(self.forecaster.origin.synthetic).lower(),
        }
        if self.version is not None:
            tags[MODEL_VERSION_TAG] = str(self.version.version)
        return tags


def resolve(model: str, model_name: str) -> Resolved:
    """Load a forecaster.

    ``model`` is a folder, a ``models:/`` or ``runs:/`` address, a version number, a run id, or an
    alias of ``model_name``; empty for its newest version.

    Raises ModelNotFound: no such model exists; the message says what was searched.
    """
    if model and (Path(model) / DESCRIPTION).is_file():
        return _of_folder(Path(model), f"folder {model}")
    if ":/" in model:
        return replace(_fetch(model, model), model_id=logged_model_id(model))
    if _RUN_ID.fullmatch(model):
        return of_version(version_of_run(model_name, model))
    if "/" in model:
        raise ModelNotFound(
            f"model={model} is no folder with a {DESCRIPTION}; give the folder that holds it, such "
            "as artifacts/forecaster of an MLflow model"
        )
    if model.isdecimal():
        return of_version(get_version(model_name, int(model)))
    if model:
        return of_version(production_version(model_name, model))
    return of_version(registered(model_name)[0])


def of_version(version: RegisteredVersion) -> Resolved:
    """Load the forecaster of a registered version."""
    return _fetch(version.uri, f"{version.kind} v{version.version}", version)


def _fetch(uri: str, label: str, version: RegisteredVersion | None = None) -> Resolved:
    with scratch() as folder:
        return _of_folder(download_uri(uri, folder), label, version)


def _of_folder(folder: Path, label: str, version: RegisteredVersion | None = None) -> Resolved:
    digest = str(read_description(folder)["digest"])
    return Resolved(
        load(folder), label, digest, version, model_id=version.model_id if version else None
    )
