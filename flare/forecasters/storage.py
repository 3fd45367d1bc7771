"""Save a forecaster as a folder of ``forecaster.json`` and weights, and load it again.

The folder loads without MLflow, and nothing in it is unpickled or executed: JSON, safetensors,
ONNX and skops (whose loader builds only types on its list). The JSON has the SHA-256 of every file
and of itself, so a damaged or incomplete folder is refused.
"""

import importlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from flare import __version__
from flare.errors import ForecasterInvalid, ModelNotFound
from flare.files import atomic_folder, digest, digest_of_file
from flare.forecasters.base import Forecaster, ForecasterSpec, Origin
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.calibration import Calibration
from flare.forecasters.training_inputs import TrainingInputs

#: The format that is written. Format 1 had no calibrations and no rates.
#: The format keeps the names of its first version: ``tuning`` is the postprocessing, and the kind
#: ``neural`` a network.
FORMAT = 2
READABLE = (1, 2)
DESCRIPTION = "forecaster.json"

#: Module and class of each kind; imported when needed, so that a forest loads without torch.
KINDS: dict[str, tuple[str, str]] = {
    "climatology": ("flare.forecasters.references.climatology", "Climatology"),
    "constant": ("flare.forecasters.references.climatology", "Constant"),
    "ensemble": ("flare.forecasters.ensemble", "EnsembleForecaster"),
    "forest": ("flare.forecasters.forest", "ForestForecaster"),
    "logistic": ("flare.forecasters.references.logistic", "LogisticForecaster"),
    "neural": ("flare.forecasters.network", "NetworkForecaster"),
}


def save(forecaster: Forecaster, folder: Path) -> Path:
    """Write a forecaster into a new folder, whole or not at all.

    Raises ForecasterInvalid: the folder exists already: a forecaster is never overwritten.
    """
    if folder.exists():
        raise ForecasterInvalid(f"{folder} exists; give a new folder, or remove it first")
    with atomic_folder(folder) as draft:
        parts, inputs = forecaster.save_parts(draft), forecaster.training_inputs
        description = {
            "format": FORMAT,
            "flare_version": __version__,
            "kind": forecaster.kind,
            "spec": asdict(forecaster.spec),
            "tuning": asdict(forecaster.postprocessing),
            "origin": asdict(forecaster.origin),
            "training_inputs": None if inputs is None else asdict(inputs),
            "parts": parts,
            "sha256": {name: digest_of_file(draft / name) for name in _files(draft)},
        }
        description["digest"] = digest_of(description)
        text = json.dumps(description, indent=2, allow_nan=False)
        (draft / DESCRIPTION).write_text(text, encoding="utf-8")
    return folder


def load(folder: Path) -> Forecaster:
    """Read a forecaster folder.

    Raises ModelNotFound: there is no ``forecaster.json`` in it; ForecasterInvalid: it is damaged,
    incomplete, or of another format or kind than this version reads.
    """
    description = read_description(folder)
    files = _files(folder)
    for name, sha256 in description["sha256"].items():
        # A name that leads out of the folder is not followed.
        if name not in files or digest_of_file(folder / name) != sha256:
            raise ForecasterInvalid(
                f"{folder / name} is missing or not the file that was saved; fetch the forecaster "
                "again"
            )
    module, name = KINDS[description["kind"]]
    kind = getattr(importlib.import_module(module), name)
    spec, postprocessing, origin = description["spec"], description["tuning"], description["origin"]
    inputs = description.get("training_inputs")  # older folders have none
    try:
        return cast(
            Forecaster,
            kind(
                **kind.load_parts(folder, description["parts"]),
                spec=ForecasterSpec(**{key: _tupled(value) for key, value in spec.items()}),
                postprocessing=_postprocessing(postprocessing),
                origin=Origin(**{key: _tupled(value) for key, value in origin.items()}),
                training_inputs=inputs and TrainingInputs.of_dict(inputs),
            ),
        )
    except MemoryError:
        raise  # the machine's fault, not the folder's
    # For weights that fit no model every library has exceptions of its own.
    except Exception as error:
        raise ForecasterInvalid(f"{folder} does not hold a usable forecaster: {error}") from error


def read_description(folder: Path) -> dict[str, Any]:
    """Read and check ``forecaster.json`` without loading weights."""
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ModelNotFound(f"no {DESCRIPTION} in {folder}; give the folder of a saved forecaster")
    try:
        description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, kind = description["format"], str(description["kind"])
    except (ValueError, KeyError, TypeError) as error:
        raise ForecasterInvalid(f"{path} is damaged ({error}); fetch it again") from error
    if version not in READABLE or kind not in KINDS:
        raise ForecasterInvalid(
            f"{path} has format {version} and kind {kind!r}; this version reads the formats "
            f"{' and '.join(map(str, READABLE))} and the kinds {', '.join(KINDS)}"
        )
    if description.get("digest") != digest_of(description):
        raise ForecasterInvalid(f"{path} is damaged (its digest does not fit); fetch it again")
    for name in ("sha256", "spec", "tuning", "origin", "parts"):
        if not isinstance(description.get(name), dict):
            raise ForecasterInvalid(f"{path} is damaged ({name} is not a table); fetch it again")
    return description


def digest_of(description: dict[str, Any]) -> str:
    """Return the SHA-256 of a description without its digest."""
    content = {key: value for key, value in description.items() if key != "digest"}
    return digest(json.dumps(content, sort_keys=True).encode())


def _files(folder: Path) -> list[str]:
    """Return the paths of all files below a folder."""
    paths = sorted(folder.rglob("*"))
    return [path.relative_to(folder).as_posix() for path in paths if path.is_file()]


def _postprocessing(fields: dict[str, Any]) -> PostProcessing:
    calibrations = {
        event: Calibration(
            one["method"], {name: tuple(numbers) for name, numbers in one["parameters"].items()}
        )
        for event, one in fields.get("calibrations", {}).items()
    }
    return PostProcessing(**{**fields, "calibrations": calibrations})


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
