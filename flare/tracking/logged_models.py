"""MLflow's logged models behind registered versions: their ids, and the page of a version."""

from contextlib import suppress

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from flare.tracking.runs import answering


def model_id_in(uri: str) -> str | None:
    """Return the id in an address ``models:/ID``; None for all other addresses."""
    name = uri.removeprefix("models:/")
    return name if uri.startswith("models:/") and "/" not in name and "@" not in name else None


def logged_model_id(uri: str) -> str | None:
    """Return the id of the logged model that a ``models:/`` address means; None for others."""
    name, _, version = uri.removeprefix("models:/").partition("/")
    if not uri.startswith("models:/") or model_id_in(uri):
        return model_id_in(uri)
    client = MlflowClient()
    with suppress(MlflowException):
        if version:
            found = client.get_model_version(name, version)
        else:
            found = client.get_model_version_by_alias(*name.split("@", 1))
        return model_id_in(found.source or "")
    return None


def describe_version(name: str, version: int, markdown: str) -> None:
    """Set the description that the registry shows on the page of a version."""
    with answering():
        MlflowClient().update_model_version(name, str(version), markdown)
