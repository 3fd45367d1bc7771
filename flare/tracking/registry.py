"""The model registry: versions, their tags and files, and fetching a forecaster."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from flare.errors import ModelNotFound, TrackingUnavailable
from flare.forecasters.storage import DESCRIPTION
from flare.tracking.mlflow_errors import absent_as_none, as_unavailable, is_absent, refusal, retry
from flare.tracking.store import check_model_location, connect, database_file
from flare.tracking.tags import FORECASTER_ARTIFACT, KIND_TAG, PRODUCTION

log = logging.getLogger("flare")

Result = TypeVar("Result")

__all__ = ["RegisteredVersion", "connect", "download_uri", "production_version", "versions"]


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model. ``run_id`` and ``kind`` are None where unknown.

    ``source`` is the address of the model's files: a number can come back after a registered model
    was deleted, and then means another one.
    """

    name: str
    version: int
    run_id: str | None
    kind: str | None
    source: str | None = None

    @classmethod
    def of_mlflow(cls, one: ModelVersion) -> "RegisteredVersion":
        """Return the version that MLflow describes."""
        kind = one.tags.get(KIND_TAG)
        return cls(one.name, int(one.version), one.run_id or None, kind, one.source or None)

    @property
    def model_id(self) -> str | None:
        """Return the id of MLflow's logged model, None where it was not made from one."""
        return model_id_in(self.source or "")

    @property
    def uri(self) -> str:
        """Return the address that MLflow loads it from."""
        return f"models:/{self.name}/{self.version}"


def check_there(name: str) -> None:
    """Raise ModelNotFound if the registry is a SQLite file that is not there.

    MLflow would make an empty one, whose journal damages a database that is put back.
    """
    path = database_file(str(mlflow.get_registry_uri()))
    if path is not None and not path.exists():
        raise ModelNotFound(
            f"no version of {name!r} is registered: there is no database {path}; train and promote "
            "one with `mlflow run . -e train` and `mlflow run . -e promote`"
        )


def production_version(name: str, alias: str = PRODUCTION) -> RegisteredVersion:
    """Return the version that an alias points to.

    Raises
    ------
    ModelNotFound
        Neither the model nor the alias exists.
    TrackingUnavailable
        The registry does not answer.
    """
    version = _ask(lambda: MlflowClient().get_model_version_by_alias(name, alias))
    if version is None:
        raise ModelNotFound(
            f"no version of {name!r} has the alias {alias!r} in {mlflow.get_registry_uri()}; "
            "promote one with `mlflow run . -e promote`"
        )
    return RegisteredVersion.of_mlflow(version)


def get_version(name: str, version: int) -> RegisteredVersion:
    """Return one version by its number, or raise ModelNotFound with those that there are."""
    by_number = {one.version: one for one in registered(name)}
    if version not in by_number:
        numbers = ", ".join(map(str, by_number))
        raise ModelNotFound(f"no version {version} of {name!r}; registered: {numbers}")
    return by_number[version]


def versions(name: str) -> list[RegisteredVersion]:
    """Return all versions of a model, newest first; an empty list where there is no such model."""
    with as_unavailable():
        result = map(
            RegisteredVersion.of_mlflow, MlflowClient().search_model_versions(f"name='{name}'")
        )
    return sorted(result, key=lambda one: one.version, reverse=True)


def registered(name: str) -> list[RegisteredVersion]:
    """Return what ``versions`` does, or raise ModelNotFound where there is none."""
    result = versions(name)
    if not result:
        raise ModelNotFound(
            f"no version of {name!r} is registered in {mlflow.get_registry_uri()}; "
            "run `mlflow run . -e train`"
        )
    return result


def version_of_run(name: str, run_id: str) -> RegisteredVersion:
    """Return the newest version that a run registered, or raise ModelNotFound."""
    for candidate in versions(name):
        if candidate.run_id == run_id:
            return candidate
    raise ModelNotFound(f"run {run_id} registered no version of {name!r}")


def version_tags(version: RegisteredVersion) -> dict[str, str]:
    """Return the tags of a version."""
    with as_unavailable():
        stored = MlflowClient().get_model_version(version.name, str(version.version))
    return dict(stored.tags)


def tag_version(version: RegisteredVersion, tags: dict[str, str]) -> None:
    """Set tags of a version; an older value of the same key is replaced."""
    with as_unavailable():
        for key, value in tags.items():
            MlflowClient().set_model_version_tag(version.name, str(version.version), key, value)


def describe_version(name: str, version: int, markdown: str) -> None:
    """Set the description that the registry shows on the page of a version."""
    with as_unavailable():
        retry(lambda: MlflowClient().update_model_version(name, str(version), markdown))


def run_commit(version: RegisteredVersion) -> str | None:
    """Return the git commit of the run that made a version, where it is known."""
    run_id = version.run_id
    run = None if run_id is None else absent_as_none(lambda: MlflowClient().get_run(run_id))
    return None if run is None else run.data.tags.get("mlflow.source.git.commit")


def run_text(run_id: str | None, name: str) -> str | None:
    """Return a text artifact of a run; None where there is no such run or artifact.

    Raises TrackingUnavailable: it could not be fetched.
    """
    if run_id is None:
        return None
    with TemporaryDirectory(prefix="flare-") as folder:
        try:
            path = _ask(
                lambda: mlflow.artifacts.download_artifacts(
                    run_id=run_id, artifact_path=name, dst_path=folder
                )
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TrackingUnavailable(f"{name} could not be fetched: {error}; try again") from error
        return None if path is None else Path(path).read_text(encoding="utf-8", errors="replace")


def put_run_text(version: RegisteredVersion, text: str, name: str) -> None:
    """Store a text artifact with the run that made a version, over an older one.

    If that run is gone, this only warns: the version can be used without it.
    """
    if version.run_id is None:
        return
    with as_unavailable(OSError):
        try:
            MlflowClient().log_text(version.run_id, text, name)
        except MlflowException as error:
            if not is_absent(error):
                raise
            log.warning(
                "run %s of version %d is gone (deleted, or purged by `mlflow gc`): %s is not "
                "stored with it",
                version.run_id,
                version.version,
                name,
            )


def download_uri(uri: str, dest: Path) -> Path:
    """Copy the forecaster folder of any MLflow model address below ``dest``; return the folder.

    Raises
    ------
    ModelNotFound
        The address names nothing, or a model without a forecaster of this project.
    TrackingUnavailable
        The store does not answer, the copy broke off, or the model's files are recorded in a
        folder that this project was copied or renamed from.
    """
    try:
        check_model_location(uri)
        fetched = Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=f"{uri}/artifacts/{FORECASTER_ARTIFACT}", dst_path=str(dest)
            )
        )
    except MlflowException as error:
        if is_absent(error):
            raise ModelNotFound(f"{uri} names no model: {error.message}") from error
        raise TrackingUnavailable(refusal(error, str(mlflow.get_registry_uri()))) from error
    except FileNotFoundError as error:
        raise ModelNotFound(f"{uri} holds no forecaster that can be fetched: {error}") from error
    except OSError as error:  # requests' errors too
        raise TrackingUnavailable(f"{uri} could not be fetched: {error}; try again") from error
    if not (fetched / DESCRIPTION).is_file():
        raise ModelNotFound(f"{uri} holds no {DESCRIPTION}; it was not made by this project")
    return fetched


def model_id_in(uri: str) -> str | None:
    """Return the id in an address ``models:/ID``; None for all other addresses."""
    name = uri.removeprefix("models:/")
    return name if uri.startswith("models:/") and "/" not in name and "@" not in name else None


def logged_model_id(uri: str) -> str | None:
    """Return the id of the logged model that a ``models:/`` address means; None for others."""
    name, _, number = uri.removeprefix("models:/").partition("/")
    if not uri.startswith("models:/") or model_id_in(uri):
        return model_id_in(uri)
    client = MlflowClient()
    with suppress(MlflowException):
        version = (
            client.get_model_version(name, number)
            if number
            else client.get_model_version_by_alias(*name.split("@", 1))
        )
        return model_id_in(version.source or "")
    return None


def _ask(call: Callable[[], Result]) -> Result | None:
    return absent_as_none(call, address=str(mlflow.get_registry_uri()))
