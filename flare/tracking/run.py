"""An open MLflow run: what can be logged to it, and the data that it used as dataset inputs.

MLflow's own digests of data look at the first 10,000 rows of a table and collide; ours begins with
the fingerprint of the labels and of every image. MLflow identifies a dataset by name and digest
alone: it drops a second input of a run that has both, and shows the first profile for ever. So the
digest depends on the part and its use too.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mlflow import MlflowClient
from mlflow.types import Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS

from flare.config.groups import EntryConfig, text_of
from flare.sample import N_CHANNELS, N_STEPS
from flare.tracking.run_log import RunLog
from flare.tracking.tags import DATA_TAG, FINGERPRINT_TAG, SYNTHETIC_TAG, UNKNOWN

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class DatasetName(NamedTuple):
    """What identifies a dataset in MLflow."""

    name: str
    digest: str


@dataclass(frozen=True)
class ModelScores:
    """Metrics of a model on one dataset; ``time`` is in milliseconds since 1970."""

    metrics: Mapping[str, float]
    dataset: DatasetName
    time: int

    def entry(self) -> dict[str, Any]:
        """Return them as an entry of a run log."""
        about = {"dataset": list(self.dataset), "time": self.time, "step": 0}
        return {"metrics": dict(self.metrics), **about}


@dataclass
class Run:
    """An open run. When a method returns, MLflow or this disk has what was logged.

    ``already`` has the last step and value of every metric that was logged before the run was
    resumed, ``inputs`` the datasets that it has as inputs, by what they are used for. ``status``
    is the one that it ends with if nothing is raised.
    """

    id: str
    client: MlflowClient
    log: RunLog
    already: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    inputs: dict[str, DatasetName] = field(default_factory=dict)
    status: str = "FINISHED"

    @property
    def local(self) -> Path:
        """The folder of the run on this disk, ``outputs/runs/RUN_ID``."""
        return self.log.folder

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Log metrics of one step; those of steps that a resumed run has already are left out."""
        new = {name: float(v) for name, v in values.items() if not self._has(name, v, step)}
        if new:
            self.log.append({"time": now(), "step": step, "metrics": new})

    def _has(self, name: str, value: float, step: int) -> bool:
        before = self.already.get(name)
        # Step 0 is that of final numbers, which may come out differently the second time.
        return before is not None and (0 < step <= before[0] or before == (step, value))

    def log_scores(self, scores: ModelScores, *, model_id: str | None = None) -> None:
        """Log final scores with the run, and with a logged model if one is given."""
        self.log.append({**scores.entry(), "model": model_id})

    def log_model_input(self, model_id: str) -> None:
        """Log that the run used a logged model."""
        self.log.append({"model_input": model_id})

    def flush(self) -> None:
        """Have everything sent now, without waiting for it."""
        self.log.flush()

    def log_params(self, values: Mapping[str, object]) -> None:
        """Log parameters; one that `mlflow run` has logged already keeps the user's spelling."""
        self.log.append({"params": {key: text_of(value) for key, value in values.items()}})

    def log_config(self, config: EntryConfig, *, without: Collection[str] = ()) -> None:
        """Log what an entry point was given: parameters, and as tags what changes no result."""
        self.log_params(config.result_parameters(without))
        others = config.other_parameters().items()
        self.set_tags({f"flare.{name}": text_of(value) for name, value in others})

    def set_tags(self, values: Mapping[str, object]) -> None:
        """Set tags; an older value of the same key is replaced."""
        self.log.append({"tags": texts(values)})

    def log_input(self, dataset: Mapping[str, str], *, context: str) -> None:
        """Attach a dataset, given by the fields of MLflow's own class, and what it was used for."""
        self.inputs[context] = DatasetName(dataset["name"], dataset["digest"])
        self.log.append({"input": dict(dataset), "context": context})

    def log_figure(self, figure: "Figure", path: str) -> None:
        """Store a matplotlib figure as an artifact, such as ``figures/roc.png``."""
        with self._new_artifact(path) as file:
            figure.savefig(file)

    def log_json(self, values: Mapping[str, Any], path: str) -> None:
        """Store a JSON artifact."""
        self.log_text(json.dumps(dict(values), indent=2, default=str), path)

    def log_text(self, text: str, path: str) -> None:
        """Store a text artifact."""
        with self._new_artifact(path) as file:
            file.write_text(text, encoding="utf-8")

    def log_table(self, table: "DataFrame", path: str) -> None:
        """Store a table as a JSON artifact, for MLflow's pages and ``mlflow.load_table``."""
        rows = table.astype(object).where(table.notna(), None).to_dict("split", index=False)
        self.log_json(rows, path)  # pandas would round to ten digits
        self.set_tags({MLFLOW_LOGGED_ARTIFACTS: json.dumps([{"path": path, "type": "table"}])})

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Store a file, in a folder of the artifacts if given."""
        with self._new_artifact(path.name if folder is None else f"{folder}/{path.name}") as file:
            shutil.copyfile(path, file)

    def describe(self, markdown: str) -> None:
        """Set the description that the UI shows on the run's page."""
        self.set_tags({"mlflow.note.content": markdown})

    @contextmanager
    def _new_artifact(self, path: str) -> Iterator[Path]:
        """Give a path to write an artifact to; it is logged when the block ends."""
        folder, _, name = path.rpartition("/")
        file = self.log.new_file(name)
        yield file
        self.log.append({"file": str(file.relative_to(self.local)), "to": folder or None})


def now() -> int:
    """Return the time as MLflow writes it, in milliseconds since 1970."""
    return int(time.time() * 1000)


def texts(values: Mapping[str, object]) -> dict[str, str]:
    """Return values as MLflow stores them in tags."""
    return {key: str(value) for key, value in values.items()}


def log_data(
    run: Run,
    *,
    name: str,
    fingerprint: str,
    source: str,
    synthetic: bool | None,
    context: str,
    profile: Mapping[str, int | str],
    part: str = "",
    image_size: int | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Attach a dataset to a run, with tags that say the same and ``tags``.

    Parameters
    ----------
    fingerprint
        SHA-256 over the source's labels and images; MLflow's digest begins with 16 digits of it.
    synthetic
        Whether the data are synthetic; None, tagged ``unknown``, where their origin is unknown.
    context
        What they were used for: ``training``, ``validation``, ``test``.
    part
        Which part of it was used, such as ``validation``: it is the end of MLflow's name.
    image_size
        Pixels of an edge of the images, where they are in a pack: for the schema.
    """
    described = json.dumps(dict(profile))
    used = hashlib.sha256(f"{context} {source} {described}".encode()).hexdigest()
    run.log_input(
        {
            "name": f"{name} {part}".strip(),
            "digest": f"{fingerprint[:16]}-{used[:8]}",
            "source_type": "local",
            "source": json.dumps({"uri": source}),
            "profile": described,
            **({} if image_size is None else {"schema": _schema(image_size)}),
        },
        context=context,
    )
    origin = UNKNOWN if synthetic is None else str(synthetic).lower()
    known = {DATA_TAG: name, FINGERPRINT_TAG: fingerprint, SYNTHETIC_TAG: origin}
    run.set_tags(known | dict(tags or {}))


def _schema(image_size: int) -> str:
    """Describe a sample and its label the way MLflow describes arrays."""
    images = TensorSpec(
        np.dtype(np.uint8), (-1, N_STEPS, N_CHANNELS, image_size, image_size), "images"
    )
    labels = TensorSpec(np.dtype(np.float64), (-1,), "peak_flux_w_m2")
    parts = {"features": Schema([images]).to_json(), "targets": Schema([labels]).to_json()}
    return json.dumps({"mlflow_tensorspec": parts})
