"""Entries of a run's journal as requests to MLflow; all of them can be sent twice without harm.

MLflow keeps one row of a metric with the same step, time and value, takes a tag and a file over an
older one of the same name, and parameters that it has already are not sent at all.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelInput,
    Metric,
    Param,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID as PARENT_RUN

from flare.tracking.local_copy import Entry
from flare.tracking.tags import CHILD_TAG, ERROR_TAG

Item = TypeVar("Item")

#: What MLflow takes of each in one request.
METRICS_A_REQUEST = 1000
_PARAMS_A_REQUEST = _TAGS_A_REQUEST = 100

#: Answers that will not change by asking again. A missing right may: tokens run out.
_FINAL = {
    ErrorCode.Name(code)
    for code in (
        INVALID_PARAMETER_VALUE,
        RESOURCE_ALREADY_EXISTS,
        RESOURCE_DOES_NOT_EXIST,
    )
}


def is_refused(error: Exception) -> bool:
    """Whether an error is MLflow's last word, and not that of a server that is away or busy."""
    return isinstance(error, MlflowException) and error.error_code in _FINAL


def send(client: MlflowClient, run_id: str, folder: Path, entries: Sequence[Entry]) -> None:
    """Send entries in their order, with as few requests as they need."""
    for kind, group in groupby(entries, key=_kind):
        some = list(group)
        if kind == "values":
            _send_values(client, run_id, some)
            continue
        for entry in some:
            if kind == "file":
                _send_file(client, run_id, folder, entry)
            elif kind == "input":
                _send_input(client, run_id, entry)
            elif kind == "model_input":
                client.log_inputs(run_id, models=[LoggedModelInput(entry["model_input"])])
            elif kind == "version":
                name, number = entry["version"]
                client.update_model_version(name, number, entry["description"])
            elif kind == "child":
                _send_child(client, run_id, entry["child"])
            elif kind == "status":
                _send_status(client, run_id, entry)


def _kind(entry: Entry) -> str:
    for kind in ("file", "input", "model_input", "version", "child", "status"):
        if kind in entry:
            return kind
    return "values"


def _send_values(client: MlflowClient, run_id: str, entries: Sequence[Entry]) -> None:
    metrics = [metric for entry in entries for metric in metrics_of(entry)]
    texts: dict[str, str] = {}
    tags: dict[str, str] = {}
    for entry in entries:
        texts = entry.get("params", {}) | texts  # the first spelling of a parameter stays
        tags |= entry.get("tags", {})
    known = client.get_run(run_id).data.params if texts else {}
    params = [Param(name, text) for name, text in texts.items() if name not in known]
    labels = [RunTag(name, text) for name, text in tags.items()]
    for some in _pieces(labels, _TAGS_A_REQUEST):
        client.log_batch(run_id, tags=some)
    for few in _pieces(params, _PARAMS_A_REQUEST):
        client.log_batch(run_id, params=few)
    for many in _pieces(metrics, METRICS_A_REQUEST):
        client.log_batch(run_id, metrics=many)


def metrics_of(entry: Entry) -> list[Metric]:
    """Return the metrics of an entry, with the model and the dataset that they are of."""
    name, digest = entry.get("dataset", (None, None))
    about = {"model_id": entry.get("model"), "dataset_name": name, "dataset_digest": digest}
    return [
        Metric(key, value, entry["time"], entry["step"], **about)
        for key, value in entry.get("metrics", {}).items()
    ]


def _pieces(items: list[Item], size: int) -> Iterator[list[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _send_file(client: MlflowClient, run_id: str, folder: Path, entry: Entry) -> None:
    path = folder / entry["file"]
    if path.is_file():  # else it was sent before, and only the note of it was lost
        client.log_artifact(run_id, str(path), entry["to"])
        path.unlink()


def _send_input(client: MlflowClient, run_id: str, entry: Entry) -> None:
    dataset = Dataset(**entry["input"])
    tags = [InputTag(key="mlflow.data.context", value=entry["context"])]
    client.log_inputs(run_id, [DatasetInput(dataset=dataset, tags=tags)])


def _send_child(client: MlflowClient, parent_id: str, child: Entry) -> None:
    """Make a whole run below another, or what is missing of one that was made half."""
    experiment = client.get_run(parent_id).info.experiment_id
    made = client.search_runs([experiment], f"tags.`{CHILD_TAG}` = '{child['key']}'")
    tags = {PARENT_RUN: parent_id, CHILD_TAG: child["key"], **child["tags"]}
    run = (
        made[0]
        if made
        else client.create_run(
            experiment, start_time=child["started"], run_name=child["name"], tags=tags
        )
    )
    _send_values(client, run.info.run_id, [{"params": child["params"]}, *child["metrics"]])
    client.set_terminated(run.info.run_id, child["status"], child["ended"])


def _send_status(client: MlflowClient, run_id: str, entry: Entry) -> None:
    if entry["status"] != "RUNNING":
        client.set_terminated(run_id, entry["status"], entry["time"])
        return
    client.update_run(run_id, status="RUNNING")  # resumed: what had ended it is over
    if ERROR_TAG in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, ERROR_TAG)
