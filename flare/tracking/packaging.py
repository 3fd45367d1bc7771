"""A forecaster as a registered MLflow model, and what it needs to run elsewhere.

The forecaster is first written to the folder of its run on this disk, and removed when the version
is registered: a server that stays away costs no training.
"""

import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS
from requests.exceptions import RequestException

import flare
from flare.errors import ForecasterInvalid, TrackingUnavailable
from flare.files import write_atomically
from flare.forecasters.base import Forecaster
from flare.forecasters.ensemble import EnsembleForecaster
from flare.forecasters.storage import load, read_description, save
from flare.sample import N_CHANNELS, N_STEPS, Cube
from flare.tracking.mlflow_errors import as_unavailable, retry
from flare.tracking.registry import RegisteredVersion
from flare.tracking.run import ModelScores, Run
from flare.tracking.run_log import MODEL, RunLog, metrics_of
from flare.tracking.tags import ERROR_TAG, EXAMPLE_FILE, FORECASTER_ARTIFACT, MODEL_DIGEST_TAG

#: In the folder of a forecaster that is to be registered: its ``Registration``.
_REGISTRATION = "registration.json"
#: Tags of a run that say who made it from what; a logged model has them too.
_SOURCE = ("mlflow.source.", "mlflow.user")

_NEEDED_BY_ALL = ("mlflow", "numpy", "pandas", "pillow", "pydantic", "scikit-learn", "skops")
_NEEDED_BY = {"neural": ("torch", "safetensors", "onnx", "onnxruntime")}


@dataclass(frozen=True)
class Registration:
    """How a forecaster is to be registered: its family, the model's name, the version's tags.

    ``scores`` is the ``ModelScores.entry`` of those that the logged model gets.
    """

    family: str
    model_name: str
    tags: dict[str, str]
    scores: dict[str, Any] = field(default_factory=dict)


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

    ``example`` is one cube (T, C, S, S), stored as ``example.npy`` among the model's artifacts:
    MLflow's own input example would be JSON, 14 MB of it. ``tags`` are those of the version,
    ``scores`` those of the logged model.
    """
    texts = {key: str(value) for key, value in tags.items()}
    registration = Registration(family, model_name, texts, {} if scores is None else scores.entry())
    forecaster, folder = forecaster.exported(), run.local / MODEL
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that is resumed
    save(forecaster, folder / FORECASTER_ARTIFACT)
    np.save(folder / EXAMPLE_FILE, example)
    # Last: without it there is nothing to register.
    write_atomically(folder / _REGISTRATION, json.dumps(asdict(registration), indent=2))
    run.flush()
    try:
        return _register(run.client, run.id, folder, registration, forecaster)
    except TrackingUnavailable as error:
        raise TrackingUnavailable(
            f"{error}; the trained model is in {folder}: register it with "
            "`python -m entrypoints.resend` when the server is back"
        ) from error


def register_stored_model(run_log: RunLog) -> tuple[RegisteredVersion, Forecaster] | None:
    """Register the forecaster that a run has left on this disk; None where there is none.

    The run has finished then.
    """
    folder, run_id = run_log.folder / MODEL, run_log.info.run_id
    if not (folder / _REGISTRATION).is_file():
        return None
    try:
        text = (folder / _REGISTRATION).read_text(encoding="utf-8")
        registration = Registration(**json.loads(text))
    except (OSError, ValueError, TypeError) as error:
        raise ForecasterInvalid(
            f"{folder} is damaged ({error}); its {FORECASTER_ARTIFACT} folder may still be usable: "
            "`mlflow run . -e evaluate -P model=FOLDER`"
        ) from error
    forecaster, client = load(folder / FORECASTER_ARTIFACT), MlflowClient()
    registered = _register(client, run_id, folder, registration, forecaster)
    with as_unavailable():
        client.set_terminated(run_id, "FINISHED")
    with suppress(MlflowException):  # the tag may not be there
        client.delete_tag(run_id, ERROR_TAG)
    return registered, forecaster


def _register(
    client: MlflowClient,
    run_id: str,
    folder: Path,
    registration: Registration,
    forecaster: Forecaster,
) -> RegisteredVersion:
    """Log a saved forecaster with a run, register it, and remove its folder.

    What an interrupted attempt has logged and registered of the same forecaster is used.
    """
    digest = str(read_description(folder / FORECASTER_ARTIFACT)["digest"])
    with as_unavailable(RequestException), _quiet():
        logged = retry(lambda: _logged_before(client, run_id, digest)) or retry(
            lambda: _log_model(client, run_id, folder, registration, forecaster, digest)
        )
        retry(lambda: _ensure_model(client, registration.model_name))
        created = retry(lambda: _version_of(client, run_id, logged, registration))
        versions = json.dumps([{"name": registration.model_name, "version": int(created.version)}])
        tags = {MLFLOW_MODEL_VERSIONS: versions}  # its page links to the version
        retry(lambda: client.set_logged_model_tags(logged.model_id, tags))
    shutil.rmtree(folder, ignore_errors=True)
    name, source = registration.model_name, created.source or None
    return RegisteredVersion(name, int(created.version), run_id, registration.family, source)


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
    client: MlflowClient,
    run_id: str,
    folder: Path,
    registration: Registration,
    forecaster: Forecaster,
    digest: str,
) -> LoggedModel:
    """Log a saved forecaster as a pyfunc model, with its scores.

    ``mlflow.pyfunc.log_model`` would give the model every metric of the run that is of its step,
    the machine's load too, without a dataset.
    """
    run = client.get_run(run_id)
    source = {key: text for key, text in run.data.tags.items() if key.startswith(_SOURCE)}
    model = client.create_logged_model(
        run.info.experiment_id,
        name=registration.family,
        source_run_id=run_id,
        tags={**source, **registration.tags, MODEL_DIGEST_TAG: digest},
    )
    with TemporaryDirectory(prefix="flare-") as scratch:
        path = str(Path(scratch) / "model")
        mlflow.pyfunc.save_model(
            path=path,
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={
                FORECASTER_ARTIFACT: str(folder / FORECASTER_ARTIFACT),
                EXAMPLE_FILE.split(".")[0]: str(folder / EXAMPLE_FILE),
            },
            code_paths=[str(Path(flare.__file__).parent)],
            pip_requirements=requirements(*kinds_of(forecaster)),
            signature=signature(forecaster),
            metadata={"kind": forecaster.kind, "synthetic": forecaster.origin.synthetic},
            mlflow_model=Model(run_id=run_id, model_id=model.model_id),
        )
        client.log_model_artifacts(model.model_id, path)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    if registration.scores:
        entry = {**registration.scores, "model": model.model_id}
        client.log_batch(run_id, metrics=metrics_of(entry))
    return client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def _version_of(
    client: MlflowClient, run_id: str, logged: LoggedModel, registration: Registration
) -> ModelVersion:
    """Register a logged model, unless that was done already and only the answer was lost."""
    source = f"models:/{logged.model_id}"
    for one in client.search_model_versions(f"name='{registration.model_name}'"):
        if one.source == source:  # a search may leave out its model_id
            return one
    return client.create_model_version(
        registration.model_name,
        source,
        run_id=run_id,
        tags=registration.tags,
        model_id=logged.model_id,
    )


def _ensure_model(client: MlflowClient, model_name: str) -> None:
    try:
        client.create_registered_model(
            model_name, description="Forecasts of the peak GOES flux of the next 24 hours."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def signature(forecaster: Forecaster) -> ModelSignature:
    """Return the types of a model's input and output, which MLflow enforces."""
    texts = ("flare_class", "goes_class")
    booleans = ("is_mx_flare", "alert", "synthetic")
    numbers = (
        *("peak_flux_w_m2", "log_flux", "mx_probability", "flux_low_w_m2", "flux_high_w_m2"),
        *("interval_level", "alert_threshold"),
        *(f"probability_{event}" for event in forecaster.spec.events),
    )
    columns: list[ColSpec | TensorSpec] = [ColSpec(DataType.double, name) for name in numbers]
    columns += [ColSpec(DataType.string, name) for name in texts]
    columns += [ColSpec(DataType.boolean, name) for name in booleans]
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
    """Silence MLflow's messages about the files that it copies."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
