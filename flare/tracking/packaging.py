"""A forecaster as a registered MLflow model, and what it needs to run elsewhere."""

import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS
from requests.exceptions import RequestException

import flare
from flare.errors import TrackingUnavailable
from flare.forecasters.base import Forecaster
from flare.forecasters.ensemble import EnsembleForecaster
from flare.forecasters.storage import read_description
from flare.sample import N_CHANNELS, N_STEPS, Cube
from flare.tracking import pyfunc_path
from flare.tracking.asking import asked_again
from flare.tracking.kept_model import Wanted, keep_model, read_wanted
from flare.tracking.model_scores import ModelScores
from flare.tracking.registry import RegisteredVersion
from flare.tracking.runs import Run, answering, scratch
from flare.tracking.sending import metrics_of
from flare.tracking.tags import EXAMPLE_FILE, FORECASTER_ARTIFACT, MODEL_DIGEST_TAG

_NEEDED_BY_ALL = ("mlflow", "numpy", "pandas", "pillow", "pydantic", "scikit-learn", "skops")
#: Tags of a run that say who made it from what; a logged model has them too.
_SOURCE = ("mlflow.source.", "mlflow.user")

_NEEDED_BY = {"neural": ("torch", "safetensors", "onnx", "onnxruntime")}


def package(
    run: Run,
    forecaster: Forecaster,
    *,
    example: Cube,
    family: str,
    model_name: str,
    tags: Mapping[str, object],
    scores: ModelScores | None = None,
) -> RegisteredVersion:
    """Log a forecaster with a run as a pyfunc, and register it as a new version.

    Networks are exported first, so that ONNX Runtime serves them.

    Parameters
    ----------
    example
        One cube (T, C, S, S), stored as ``example.npy`` among the model's artifacts: MLflow's own
        input example would be JSON, 14 MB of it.
    family
        What people call it, such as ``forest`` or ``cnn``.
    model_name
        The registered model that gets the new version.
    tags
        What people should see beside the version.
    scores
        What MLflow shows as the scores of the logged model.
    """
    texts = {key: str(value) for key, value in tags.items()}
    wanted = Wanted(family, model_name, texts, {} if scores is None else scores.entry())
    forecaster = forecaster.exported()
    kept = keep_model(run.local, forecaster, example=example, wanted=wanted)
    run.flush()
    try:
        return register_kept(run.client, run.id, kept, forecaster)
    except TrackingUnavailable as error:
        raise TrackingUnavailable(
            f"{error}; the trained model is kept in {kept}: register it with "
            "`python -m entrypoints.resend` when the server is back"
        ) from error


def register_kept(
    client: MlflowClient, run_id: str, kept: Path, forecaster: Forecaster
) -> RegisteredVersion:
    """Log a kept forecaster with a run, register it, and remove what was kept.

    A server that is away is asked again for a while. What an earlier attempt, which was stopped
    halfway, has logged and registered of the same forecaster is used.
    """
    wanted = read_wanted(kept)
    digest = str(read_description(kept / FORECASTER_ARTIFACT)["digest"])
    with answering(RequestException):
        before = asked_again(lambda: _logged_before(client, run_id, digest))
        with _quiet():
            logged = before or asked_again(
                lambda: _log_model(client, run_id, kept, forecaster, digest)
            )
        asked_again(lambda: _ensure_model(client, wanted.model_name))
        found = asked_again(lambda: _version_of(client, run_id, logged, wanted))
        there = json.dumps([{"name": wanted.model_name, "version": int(found.version)}])
        tags = {MLFLOW_MODEL_VERSIONS: there}  # its page links to the version
        asked_again(lambda: client.set_logged_model_tags(logged.model_id, tags))
    shutil.rmtree(kept, ignore_errors=True)
    return RegisteredVersion(
        wanted.model_name,
        int(found.version),
        run_id,
        wanted.family,
        found.source or None,
    )


def _logged_before(client: MlflowClient, run_id: str, digest: str) -> LoggedModel | None:
    """Return the whole logged model that a run has of a forecaster; remove half-made ones."""
    experiment = client.get_run(run_id).info.experiment_id
    whole = None
    for one in client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
        if one.status == LoggedModelStatus.PENDING:
            client.delete_logged_model(one.model_id)
        elif one.tags.get(MODEL_DIGEST_TAG) == digest:
            whole = one
    return whole


def _log_model(
    client: MlflowClient, run_id: str, kept: Path, forecaster: Forecaster, digest: str
) -> LoggedModel:
    """Log a kept forecaster as a pyfunc model, with its scores.

    ``mlflow.pyfunc.log_model`` would give the model every metric of the run that is of its step,
    the machine's load too, without a dataset.
    """
    wanted, run = read_wanted(kept), client.get_run(run_id)
    source = {key: text for key, text in run.data.tags.items() if key.startswith(_SOURCE)}
    model = client.create_logged_model(
        run.info.experiment_id,
        name=wanted.family,
        source_run_id=run_id,
        tags={**source, **wanted.tags, MODEL_DIGEST_TAG: digest},
        params=run.data.params,
    )
    with scratch() as folder:
        mlflow.pyfunc.save_model(
            path=str(folder / "model"),
            python_model=str(pyfunc_path),
            artifacts={
                FORECASTER_ARTIFACT: str(kept / FORECASTER_ARTIFACT),
                EXAMPLE_FILE.split(".")[0]: str(kept / EXAMPLE_FILE),
            },
            code_paths=[str(Path(flare.__file__).parent)],
            pip_requirements=requirements(*kinds_of(forecaster)),
            signature=signature(forecaster),
            metadata={"kind": forecaster.kind, "synthetic": forecaster.origin.synthetic},
            mlflow_model=Model(run_id=run_id, model_id=model.model_id),
        )
        client.log_model_artifacts(model.model_id, str(folder / "model"))
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    if wanted.scores:
        entry = {**wanted.scores, "model": model.model_id}
        client.log_batch(run_id, metrics=metrics_of(entry))
    return client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def _version_of(
    client: MlflowClient, run_id: str, logged: LoggedModel, wanted: Wanted
) -> ModelVersion:
    """Register a logged model, unless that was done already and only the answer was lost."""
    source = f"models:/{logged.model_id}"
    for one in client.search_model_versions(f"name='{wanted.model_name}'"):
        if one.source == source:  # a search may leave out its model_id
            return one
    return client.create_model_version(
        wanted.model_name,
        source,
        run_id=run_id,
        tags=wanted.tags,
        model_id=logged.model_id,
    )


def _ensure_model(client: MlflowClient, model_name: str) -> None:
    try:
        client.create_registered_model(
            model_name, description="Forecasts of the peak GOES flux of the next 24 hours."
        )
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def signature(forecaster: Forecaster) -> ModelSignature:
    """Describe cubes in and answers out, for MLflow to enforce."""
    texts = ("flare_class", "goes_class")
    truths = ("is_mx_flare", "alert", "synthetic")
    numbers = (
        *("peak_flux_w_m2", "log_flux", "mx_probability", "flux_low_w_m2", "flux_high_w_m2"),
        *("interval_level", "alert_threshold"),
        *(f"probability_{event}" for event in forecaster.spec.events),
    )
    columns: list[ColSpec | TensorSpec] = [ColSpec(DataType.double, name) for name in numbers]
    columns += [ColSpec(DataType.string, name) for name in texts]
    columns += [ColSpec(DataType.boolean, name) for name in truths]
    columns += [ColSpec(DataType.long, "window_hours")]
    cubes = TensorSpec(np.dtype("uint8"), (-1, N_STEPS, N_CHANNELS, -1, -1))
    return ModelSignature(inputs=Schema([cubes]), outputs=Schema(columns))


def kinds_of(forecaster: Forecaster) -> tuple[str, ...]:
    """Return the kind of a forecaster, and those of its members if it is an ensemble."""
    members = forecaster.members if isinstance(forecaster, EnsembleForecaster) else ()
    return tuple(dict.fromkeys([forecaster.kind, *(one.kind for one in members)]))


def requirements(*kinds: str) -> list[str]:
    """Pin what forecasters of some kinds need, at the versions that run here."""
    # A local version such as 2.13.0+cpu exists on one machine only.
    needed = [name for kind in kinds for name in _NEEDED_BY.get(kind, ())]
    names = dict.fromkeys([*_NEEDED_BY_ALL, *needed])
    return [f"{name}=={version(name).split('+')[0]}" for name in names]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's remarks on how it copies files off the user's terminal."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
