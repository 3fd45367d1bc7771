"""The training loop: all of it, in one place, and one record an epoch for whoever drives it.

Nothing is logged and nothing is stopped in here. The workflow logs each record, the search reports
it to Optuna, and stopping early is a ``break`` in the loop that takes the records.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from flare.errors import TrainingDiverged
from flare.goes import EVENTS, HEADLINE_EVENT
from flare.models.network import middle
from flare.training.batches import Batch, Batches
from flare.training.losses import Loss
from flare.verification.probabilistic import brier_skill_score, roc_area

Normalise = Callable[[Tensor, Tensor], Tensor]
Progress = Callable[[Iterable[Batch], int, int], Iterable[Batch]]


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch came to.

    Losses as the loss gives them; ``log10_flux_mae`` in dex; the skill scores are M1.0's
    on the validation regions, NaN where those hold no event. ``best`` says that no earlier epoch
    had a lower validation loss. Without validation all of that is NaN, and no epoch is best.
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

    def metrics(self) -> dict[str, float]:
        """Return the record under MLflow's names, without what is undefined."""
        event = f"validation/{HEADLINE_EVENT}"
        named = {
            "train/loss": self.train_loss,
            "validation/loss": self.validation_loss,
            "validation/flux/log10_mae": self.log10_flux_mae,
            f"{event}/brier_skill_score": self.brier_skill_score,
            f"{event}/roc_area": self.roc_area,
            "train/learning_rate": self.learning_rate,
            "train/samples_per_second": self.samples_per_second,
        }
        return {name: value for name, value in named.items() if np.isfinite(value)}


def fit(
    network: nn.Module,
    normalise: Normalise,
    *,
    train: Batches,
    validation: Batches | None,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    loss: Loss,
    fabric: Fabric,
    progress: Progress = lambda batches, _epoch, _total: batches,
) -> Iterator[EpochRecord]:
    """Train a network in place, and yield a record after every epoch.

    The learning rate falls from ``learning_rate`` along half a cosine, once over all batches, after
    a rise over the first twentieth of them. When a record is yielded the network holds the weights
    of that epoch: who wants the best ones copies them when ``best`` is set.

    Parameters
    ----------
    normalise
        uint8 cubes and mask to network input.
    validation
        What each epoch is scored on; None for a training that nothing is chosen by.
    progress
        Wraps the batches of an epoch, given its number and how many batches it has.

    Raises
    ------
    TrainingDiverged
        The loss of a batch is NaN or infinite; names epoch and batch. Or the validation loss is.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    model, optimizer = fabric.setup(network, optimizer)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_cosine(epochs * len(train)))
    lowest = float("inf")
    for epoch in range(epochs):
        started = time.perf_counter()
        rate = float(schedule.get_last_lr()[0])
        model.train()
        total, seen = 0.0, 0
        for number, host in enumerate(progress(train.shuffled(epoch), epoch, len(train))):
            batch = _on_device(host, fabric)
            log10_flux, logits = model(normalise(batch.cubes, batch.present), batch.present)
            batch_loss = loss(log10_flux, logits, batch)
            value = batch_loss.item()
            if not np.isfinite(value):
                raise TrainingDiverged(
                    f"the loss became {value} in epoch {epoch + 1}, batch {number + 1} of "
                    f"{len(train)}; try a lower learning rate than {learning_rate}"
                )
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(batch_loss)
            fabric.clip_gradients(model, optimizer, max_norm=1.0)
            optimizer.step()
            schedule.step()
            total += value * len(batch.cubes)
            seen += len(batch.cubes)
        seconds = time.perf_counter() - started
        validation_loss, log10_mae, bss, area = (
            _validate(model, normalise, validation, loss, fabric)
            if validation is not None
            else (float("nan"),) * 4
        )
        if validation is not None and not np.isfinite(validation_loss):
            raise TrainingDiverged(
                f"the validation loss became {validation_loss} in epoch {epoch + 1}; "
                f"try a lower learning rate than {learning_rate}"
            )
        best = validation_loss < lowest
        lowest = min(lowest, validation_loss)
        yield EpochRecord(
            epoch=epoch,
            train_loss=total / max(seen, 1),
            validation_loss=validation_loss,
            log10_flux_mae=log10_mae,
            brier_skill_score=bss,
            roc_area=area,
            learning_rate=rate,
            samples_per_second=seen / seconds,
            seconds=time.perf_counter() - started,
            best=best,
        )


@torch.inference_mode()
def _validate(
    model: nn.Module, normalise: Normalise, batches: Batches, loss: Loss, fabric: Fabric
) -> tuple[float, float, float, float]:
    model.eval()
    total, seen = 0.0, 0
    flux_errors: list[NDArray[np.float32]] = []
    probability: list[NDArray[np.float32]] = []
    events: list[NDArray[np.float32]] = []
    for host in batches.in_order():
        batch = _on_device(host, fabric)
        log10_flux, logits = model(normalise(batch.cubes, batch.present), batch.present)
        total += loss(log10_flux, logits, batch).item() * len(batch.cubes)
        seen += len(batch.cubes)
        flux_errors.append((middle(log10_flux) - batch.log10_flux).abs().float().cpu().numpy())
        probability.append(logits.sigmoid().float().cpu().numpy())
        events.append(batch.events.cpu().numpy())
    if not np.isfinite(total):
        return total, float("nan"), float("nan"), float("nan")  # nothing that could be scored
    headline = EVENTS.index(HEADLINE_EVENT)
    happened = np.concatenate(events)[:, headline] > 0
    issued = np.concatenate(probability)[:, headline].astype(np.float64)
    return (
        total / seen,
        float(np.concatenate(flux_errors).mean()),
        float(brier_skill_score(happened, issued)),
        float(roc_area(happened, issued)),
    )


def _on_device(batch: Batch, fabric: Fabric) -> Batch:
    moved = (batch.cubes, batch.present, batch.log10_flux, batch.events)
    return Batch(*(fabric.to_device(tensor) for tensor in moved))


def _warm_cosine(steps: int) -> Callable[[int], float]:
    warm = max(1, steps // 20)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + float(np.cos(np.pi * (step - warm) / max(1, steps - warm))))

    return factor
