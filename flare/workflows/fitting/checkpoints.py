"""What a stopped training has left, and whether it belongs to the one that is to go on."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from flare.files import atomic_file
from flare.forecast import Forecast
from flare.training.checkpoint import Checkpoint
from flare.training.reader import Rows
from flare.workflows.fitting.network_settings import NetworkSettings
from flare.workflows.fitting.training_data import TrainingData

#: Settings that do not change what comes out.
_FREE = ("checkpoint_steps",)


def identity(data: TrainingData, rows: Rows, settings: NetworkSettings) -> dict[str, str]:
    """Say what a training is of: every setting, the pack, and which samples of it."""
    parts = asdict(settings.network) | asdict(settings.fit) | asdict(settings.objective)
    told = {name: str(value) for name, value in parts.items() if name not in _FREE}
    labels = np.ascontiguousarray(data.peak_flux[rows])
    samples = hashlib.sha256(np.asarray(rows, dtype=np.int64).tobytes() + labels.tobytes())
    return {
        **told,
        "features": str(settings.features),
        "seed": str(settings.seed),
        "data": data.pack.pack_fingerprint,
        "samples": samples.hexdigest(),
    }


#: The state of a network: its tensors by name.
Weights = dict[str, Tensor]

#: The arrays of a forecast in a file.
_ARRAYS = ("log10_flux", "lower", "upper", "probability")
_WEIGHT = "weight/"  # before the names of tensors in a file


@dataclass(frozen=True)
class Fold:
    """What a fold that is done has left: forecasts of the rows left out, and its network."""

    forecast: Forecast
    weights: Weights


@dataclass(frozen=True)
class FoldsKept:
    """Folds that are done, each in a file beside the fold's checkpoint."""

    folder: Path | None

    def find(self, checkpoint: Checkpoint | None) -> Fold | None:
        """Return what the fold that has this checkpoint has left, None if it is not done."""
        path = _path(checkpoint)
        if checkpoint is None or path is None or not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["identity"]) != str(sorted(checkpoint.identity.items())):
                return None
            events = tuple(str(event) for event in kept["events"])
            forecast = Forecast(**{name: kept[name] for name in _ARRAYS}, events=events)
            weights = {
                name.removeprefix(_WEIGHT): torch.from_numpy(kept[name])
                for name in kept.files
                if name.startswith(_WEIGHT)
            }
            return Fold(forecast, weights)

    def keep(self, checkpoint: Checkpoint | None, fold: Fold) -> None:
        """Write what a fold has left, whose checkpoint is needed no more."""
        path = _path(checkpoint)
        if checkpoint is None or path is None:
            return
        with atomic_file(path, durable=True) as partial, partial.open("wb") as file:
            about = str(sorted(checkpoint.identity.items()))
            arrays = {name: getattr(fold.forecast, name) for name in (*_ARRAYS, "events")}
            arrays["identity"] = about
            arrays |= {f"{_WEIGHT}{name}": value for name, value in fold.weights.items()}
            np.savez(file, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays.items()})
        checkpoint.remove()


def _path(checkpoint: Checkpoint | None) -> Path | None:
    return None if checkpoint is None else checkpoint.path.with_suffix(".npz")
