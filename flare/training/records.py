"""What a training has come to: a record an epoch, and where it stands between two steps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from torch import Tensor

from flare.goes import HEADLINE_EVENT


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch came to.

    Losses as the loss gives them; ``log10_flux_mae`` in dex; the skill scores are M1.0's
    on the validation regions, NaN where those hold no event. ``cross_entropy`` there, the mean over
    samples and events in nats, is what epochs are chosen by: ``best`` says that no earlier one had
    a lower one, counted anew from ``first_settled`` on. Without validation all of that is NaN, and
    no epoch is best.
    ``gradient_norm`` is the mean over the steps, before clipping, ``head_gradient_norms`` those of
    the shared layer and each head; ``waiting`` is the share of the training time that was spent
    waiting for images.

    ``active_units`` is the share of the shared layer's units that differ between validation
    samples, ``log10_flux_std`` in dex and ``probability_std`` the standard deviations of the flux
    and of the probability of M1.0 that are forecast for them: all are 0 for a dead network.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    log10_flux_mae: float
    brier_skill_score: float
    roc_area: float
    learning_rate: float
    samples_per_second: float
    seconds: float
    best: bool
    gradient_norm: float = float("nan")
    waiting: float = float("nan")
    active_units: float = float("nan")
    log10_flux_std: float = float("nan")
    probability_std: float = float("nan")
    cross_entropy: float = float("nan")
    head_gradient_norms: dict[str, float] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """Return the record under MLflow's names, without what is undefined.

        All begin with ``epoch/``: without it a name is that of a run's final score, and MLflow
        shows of one name the last step only.
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
            "train/data_wait_share": self.waiting,
            "health/active_units": self.active_units,
            "health/log10_flux_std": self.log10_flux_std,
            f"health/{HEADLINE_EVENT}_probability_std": self.probability_std,
        }
        for name, norm in self.head_gradient_norms.items():
            named[f"health/gradient_norm/{name}"] = norm
        return {f"epoch/{name}": value for name, value in named.items() if np.isfinite(value)}


@dataclass
class TrainingState:
    """Where a training stands between two steps.

    Parameters
    ----------
    epoch, step
        The epoch that is being trained, and how many of its steps are done.
    loss_sum, seen, norm_sum, head_norm_sums, seconds, waited
        Sums over these steps: of the loss over samples, of samples, of gradient norms, of all
        parameters and of each head's, of time.
    learning_rate
        At the epoch's first step.
    lowest
        The cross-entropy on validation of the best epoch so far.
    records
        Of all epochs that are done.
    kept_weights
        The network's state after the best epoch; without validation after the last one.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seen: int = 0
    norm_sum: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0
    learning_rate: float = 0.0
    lowest: float = float("inf")
    records: list[EpochRecord] = field(default_factory=list)
    kept_weights: dict[str, Tensor] | None = None
    head_norm_sums: dict[str, float] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, of plain values and tensors."""
        return {**vars(self), "records": [asdict(record) for record in self.records]}

    @classmethod
    def of(cls, state: Mapping[str, Any] | None) -> Self:
        """Return what a checkpoint kept, or the beginning."""
        if state is None:
            return cls()
        return cls(**{**state, "records": [EpochRecord(**one) for one in state["records"]]})

    def since_best(self) -> int:
        """Return how many epochs have passed since the best one."""
        return len(self.records) - max(
            (record.epoch + 1 for record in self.records if record.best), default=0
        )

    def next_epoch(self, record: EpochRecord) -> None:
        """Close the epoch with its record, and stand at the beginning of the next."""
        self.records.append(record)
        if record.best:
            self.lowest = record.cross_entropy
        self.epoch, self.step, self.seen = self.epoch + 1, 0, 0
        self.loss_sum = self.norm_sum = self.seconds = self.waited = 0.0
        self.head_norm_sums = {}
