"""A forecaster on its way into the registry, as a folder beside the run's journal.

It is written before anybody is asked, and removed when the version is registered: a server that
stays away costs no training.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flare.errors import ForecasterInvalid
from flare.forecasters.base import Forecaster
from flare.forecasters.storage import save
from flare.sample import Cube
from flare.tracking.tags import EXAMPLE_FILE, FORECASTER_ARTIFACT

KEPT = "model"
_WANTED = "registration.json"


@dataclass(frozen=True)
class Wanted:
    """How a forecaster is to be registered: its family, the model's name, the version's tags.

    ``scores`` is what ``ModelScores.entry`` makes of those that the logged model gets.
    """

    family: str
    model_name: str
    tags: dict[str, str]
    scores: dict[str, Any] = field(default_factory=dict)


def keep_model(local: Path, forecaster: Forecaster, *, example: Cube, wanted: Wanted) -> Path:
    """Write a forecaster and how it is to be registered below a run's folder; return the place."""
    folder = local / KEPT
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was gone on with
    save(forecaster, folder / FORECASTER_ARTIFACT)
    np.save(folder / EXAMPLE_FILE, example)
    text = json.dumps(asdict(wanted), indent=2)
    partial = folder / f".{_WANTED}.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(folder / _WANTED)  # last: without it there is nothing to register
    return folder


def is_kept(local: Path) -> bool:
    """Whether a whole forecaster waits below a run's folder to be registered."""
    return (local / KEPT / _WANTED).is_file()


def read_wanted(folder: Path) -> Wanted:
    """Return how a kept forecaster is to be registered."""
    try:
        fields: Mapping[str, object] = json.loads((folder / _WANTED).read_text(encoding="utf-8"))
        return Wanted(**fields)  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError) as error:
        raise ForecasterInvalid(
            f"{folder} is damaged ({error}); its {FORECASTER_ARTIFACT} folder may still be usable: "
            "`mlflow run . -e evaluate -P model=FOLDER`"
        ) from error
