"""What a stopped training has left, and whether it belongs to the one that is to go on."""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from flare.forecasters.base import Forecast
from flare.training.checkpoint import Checkpoint
from flare.training.reader import Rows
from flare.workflows.data import TrainingData
from flare.workflows.network_settings import NetworkSettings

#: Settings that do not change what comes out.
_FREE = ("checkpoint_steps",)


def identity(data: TrainingData, rows: Rows, settings: NetworkSettings) -> dict[str, str]:
    """Say what a training is of: every setting, the pack, and which samples of it."""
    parts = asdict(settings.network) | asdict(settings.fit) | asdict(settings.aims)
    told = {name: str(value) for name, value in parts.items() if name not in _FREE}
    labels = np.ascontiguousarray(data.peak_flux[rows])
    samples = hashlib.sha256(np.asarray(rows, dtype=np.int64).tobytes() + labels.tobytes())
    return {
        **told,
        "seed": str(settings.seed),
        "data": data.pack.pack_fingerprint,
        "samples": samples.hexdigest(),
    }


@dataclass(frozen=True)
class FoldsKept:
    """Forecasts of folds that are done, each in a file beside the fold's checkpoint."""

    folder: Path | None

    def find(self, checkpoint: Checkpoint | None) -> Forecast | None:
        """Return the forecasts of the fold that has this checkpoint, None if there are none."""
        path = _path(checkpoint)
        if checkpoint is None or path is None or not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["identity"]) != str(sorted(checkpoint.identity.items())):
                return None
            events = tuple(str(event) for event in kept["events"])
            return Forecast(
                kept["log10_flux"], kept["lower"], kept["upper"], kept["probability"], events
            )

    def keep(self, checkpoint: Checkpoint | None, forecast: Forecast) -> None:
        """Write the forecasts of a fold, whose checkpoint is needed no more."""
        path = _path(checkpoint)
        if checkpoint is None or path is None:
            return
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            about = str(sorted(checkpoint.identity.items()))
            arrays = vars(forecast) | {"events": forecast.events, "identity": about}
            np.savez(file, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays.items()})
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        checkpoint.remove()


def _path(checkpoint: Checkpoint | None) -> Path | None:
    return None if checkpoint is None else checkpoint.path.with_suffix(".npz")
