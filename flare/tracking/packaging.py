"""A forecaster as a registered MLflow model, and what it needs to run elsewhere."""

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
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.models.model import ModelInfo
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from requests.exceptions import RequestException

import flare
from flare.errors import TrackingUnavailable
from flare.forecasters.base import Forecaster
from flare.forecasters.engine import exported
from flare.forecasters.ensemble import EnsembleForecaster
from flare.sample import N_CHANNELS, N_STEPS, Cube
from flare.tracking import pyfunc_path
from flare.tracking.asking import asked_again
from flare.tracking.kept_model import Wanted, keep_model, read_wanted
from flare.tracking.names import FORECASTER_ARTIFACT
from flare.tracking.registry import RegisteredVersion
from flare.tracking.runs import Run, answering

_NEEDED_BY_ALL = ("mlflow", "numpy", "pandas", "pillow", "pydantic", "scikit-learn", "skops")
_NEEDED_BY = {"neural": ("torch", "safetensors", "onnx", "onnxruntime")}


def package(
    run: Run,
    forecaster: Forecaster,
    *,
    example: Cube,
    family: str,
    model_name: str,
    tags: Mapping[str, object],
) -> RegisteredVersion:
    """Log a forecaster with a run as a pyfunc, and register it as a new version.

    Networks are exported first, so that ONNX Runtime serves them.

    Parameters
    ----------
    example
        One cube (T, C, S, S), stored as the input example.
    family
        What people call it, such as ``forest`` or ``cnn``.
    model_name
        The registered model that gets the new version.
    tags
        What people should see beside the version.
    """
    texts = {key: str(value) for key, value in tags.items()}
    wanted = Wanted(family, model_name, texts)
    forecaster = exported(forecaster)
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
    """Log a kept forecaster with the active run, register it, and remove what was kept.

    A server that is away is asked again for a while.
    """
    wanted, example = read_wanted(kept)

    def log_model() -> ModelInfo:
        info: ModelInfo = mlflow.pyfunc.log_model(
            name=wanted.family,
            python_model=str(pyfunc_path),
            artifacts={FORECASTER_ARTIFACT: str(kept / FORECASTER_ARTIFACT)},
            code_paths=[str(Path(flare.__file__).parent)],
            pip_requirements=requirements(*kinds_of(forecaster)),
            signature=signature(forecaster),
            input_example=np.ascontiguousarray(example[None]),
            metadata={"kind": forecaster.kind, "synthetic": forecaster.origin.synthetic},
        )
        return info

    with answering(RequestException):
        with _quiet():
            logged = asked_again(log_model)
        asked_again(lambda: _ensure_model(client, wanted.model_name))
        found = asked_again(lambda: _version_of(client, run_id, logged, wanted))
    shutil.rmtree(kept, ignore_errors=True)
    return RegisteredVersion(wanted.model_name, int(found.version), run_id, wanted.family)


def _version_of(
    client: MlflowClient, run_id: str, logged: ModelInfo, wanted: Wanted
) -> ModelVersion:
    """Register a logged model, unless that was done already and only the answer was lost."""
    for one in client.search_model_versions(f"name='{wanted.model_name}'"):
        if one.model_id == logged.model_id:
            return one
    return client.create_model_version(
        wanted.model_name,
        logged.model_uri,
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
