"""The state of a training: one record per epoch, the sums between two steps, and its checkpoint."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from flare.errors import CheckpointInvalid
from flare.files import atomic_file
from flare.goes import HEADLINE_EVENT

_FORMAT = 2

_NAN = float("nan")


@dataclass(frozen=True)
class EpochRecord:
    """Losses, scores and measurements of one epoch.

    ``cross_entropy`` on validation, the mean over samples and events in nats, chooses the epoch:
    ``best`` says that no earlier epoch had a lower one, counted from ``first_settled`` on.
    ``log10_flux_mae`` is in dex; the skill scores are of M1.0, NaN if validation has no event.
    Without validation all of these are NaN, and no epoch is best.

    ``gradient_norm`` is the mean over the steps, before clipping, ``head_gradient_norms`` those of
    the shared layer and each head; ``data_wait_share`` is the share of the training time that
    steps waited for images.

    ``active_units`` is the share of the shared layer's units that vary between validation samples,
    ``log10_flux_std`` in dex and ``probability_std`` the standard deviations of the forecast flux
    and probability of M1.0: all are 0 for a dead network.
    """

    epoch: int
    train_loss: float
    learning_rate: float
    samples_per_second: float
    seconds: float
    best: bool
    gradient_norm: float = _NAN
    data_wait_share: float = _NAN
    validation_loss: float = _NAN
    log10_flux_mae: float = _NAN
    brier_skill_score: float = _NAN
    roc_area: float = _NAN
    active_units: float = _NAN
    log10_flux_std: float = _NAN
    probability_std: float = _NAN
    cross_entropy: float = _NAN
    head_gradient_norms: dict[str, float] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """Return the record under MLflow's names, without undefined values.

        All begin with ``epoch/``: otherwise a name would be that of a run's final score, and MLflow
        shows only the last step of a name.
        """
        event = f"validation/{HEADLINE_EVENT}"
        named = {
            "train/loss": self.train_loss,
            "validation/loss": self.validation_loss,
            "validation/cross_entropy": self.cross_entropy,
            "validation/flux/log10_flux_mae": self.log10_flux_mae,
            f"{event}/brier_skill_score": self.brier_skill_score,
            f"{event}/roc_area": self.roc_area,
            "train/learning_rate": self.learning_rate,
            "train/samples_per_second": self.samples_per_second,
            "train/gradient_norm": self.gradient_norm,
            "train/data_wait_share": self.data_wait_share,
            "health/active_units": self.active_units,
            "health/log10_flux_std": self.log10_flux_std,
            f"health/{HEADLINE_EVENT}_probability_std": self.probability_std,
        }
        for name, norm in self.head_gradient_norms.items():
            named[f"health/gradient_norm/{name}"] = norm
        return {f"epoch/{name}": value for name, value in named.items() if np.isfinite(value)}


def first_settled(epochs: int) -> int:
    """Return the first epoch, from 0, of the last fifth, where the learning rate is below a tenth.

    Before it, scores vary between epochs by more than what is learned, and the lowest of them is a
    matter of luck; the best epoch is chosen from here on.
    """
    return epochs - math.ceil(epochs / 5)


def best_record(records: Sequence[EpochRecord]) -> EpochRecord:
    """Return the record of the epoch with the lowest cross-entropy."""
    return [record for record in records if record.best][-1]


@dataclass
class TrainingState:
    """Where a training is between two steps; only the training loop changes it.

    ``step`` steps of ``epoch`` are done. The sums are over these steps: of the loss over samples,
    of samples, of gradient norms (all parameters, and of each head), of time, and of time waiting
    for images; ``learning_rate`` is that of the first one. ``lowest`` is the lowest cross-entropy
    on validation so far. ``best_weights`` are the network's after the best epoch; without
    validation after the last one.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    samples: int = 0
    norm_sum: float = 0.0
    seconds: float = 0.0
    data_wait: float = 0.0
    learning_rate: float = 0.0
    lowest: float = float("inf")
    records: list[EpochRecord] = field(default_factory=list)
    best_weights: dict[str, Tensor] | None = None
    head_norm_sums: dict[str, float] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values and tensors."""
        return {**vars(self), "records": [asdict(record) for record in self.records]}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the state that ``state_dict`` described."""
        return cls(**{**state, "records": [EpochRecord(**one) for one in state["records"]]})

    def next_epoch(self, record: EpochRecord) -> None:
        """Add the record of the epoch, and reset the sums for the next one."""
        self.records.append(record)
        if record.best:
            self.lowest = record.cross_entropy
        self.epoch, self.step, self.samples = self.epoch + 1, 0, 0
        self.loss_sum = self.norm_sum = self.seconds = self.data_wait = 0.0
        self.head_norm_sums = {}


@dataclass(frozen=True)
class Checkpoint:
    """A file with the last state of one training, written atomically and read without unpickling.

    ``identity`` describes the training, as texts by name; a state of another one is refused.
    """

    path: Path
    identity: Mapping[str, str]

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state in the file."""
        with atomic_file(self.path, durable=True) as partial:
            torch.save({**state, "format": _FORMAT, "identity": dict(self.identity)}, partial)

    def load(self) -> dict[str, Any] | None:
        """Return the state in the file, None if there is no file.

        Raises CheckpointInvalid: the file is damaged, or of another training; the message names
        what differs.
        """
        if not self.path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            identity, version = state["identity"], state["format"]
        except Exception as error:  # the type depends on the damage
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise CheckpointInvalid(
                f"{self.path} cannot be read ({first}); delete it to train from the start"
            ) from error
        if version != _FORMAT:
            raise CheckpointInvalid(
                f"{self.path} has format {version}, this version reads {_FORMAT}; delete it to "
                "train from the start"
            )
        other = [name for name, value in self.identity.items() if identity.get(name) != value]
        if other:
            raise CheckpointInvalid(
                f"{self.path} is of a training with other {' and '.join(other)}; resume with the "
                "same parameters, or train from the start with resume left empty"
            )
        return state

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)
