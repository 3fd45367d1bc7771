"""Scores of the network as it stands, over the validation rows of all processes."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from flare.flux_curve import flux_quantiles
from flare.goes import EVENTS, HEADLINE_EVENT
from flare.models.network import middle
from flare.training.batches import Batches
from flare.training.health import active_share, watched_units
from flare.training.losses import Loss
from flare.training.reader import in_pieces
from flare.verification.probabilistic import brier_skill_score, roc_area

_NAN = float("nan")
_LEAST = 1e-7  # probability of what happened, so that certainty in vain costs a finite number


@dataclass(frozen=True)
class ValidationScores:
    """Scores of validation rows, and the network's health; see ``EpochRecord``. NaN: not known."""

    loss: float = _NAN
    cross_entropy: float = _NAN
    log10_flux_mae: float = _NAN
    brier_skill_score: float = _NAN
    roc_area: float = _NAN
    active_units: float = _NAN
    log10_flux_std: float = _NAN
    probability_std: float = _NAN


@torch.inference_mode()
def validate(
    network: nn.Module,
    model: nn.Module,
    normalise: Callable[[Tensor, Tensor], Tensor],
    batches: Batches,
    loss: Loss,
    fabric: Fabric,
    *,
    stop: Callable[[], bool],
) -> ValidationScores | None:
    """Score a network on the rows of ``batches``; None if ``stop`` said so in any process.

    ``model`` is the network as Fabric calls it. Batches are distributed round-robin over ranks, and
    the results are put together in the order of the rows, so that the number of processes changes
    nothing. ``stop`` is asked after every round in which each process had a batch.
    """
    model.eval()
    parts = in_pieces(batches.rows, batches.batch_size)
    mine = range(fabric.global_rank, len(parts), fabric.world_size)
    whole_rounds = len(parts) // fabric.world_size
    losses = torch.zeros(len(parts), dtype=torch.float64)
    # Label and forecast of log10 flux, outcome and probability of each event.
    columns = torch.zeros(len(batches.rows), 2 + 2 * len(EVENTS), dtype=torch.float64)
    pinned = fabric.device.type == "cuda"
    reader = batches.read([parts[number] for number in mine], pinned=pinned)
    with closing(reader) as reading, watched_units(network) as units:
        for number, host in zip(mine, reading, strict=True):
            batch = host.to(fabric.to_device)
            inputs = normalise(batch.cubes, batch.present), batch.present, *batch.extra
            flux, logits = model(*inputs)
            losses[number] = loss(flux, logits, batch).item() * len(host.rows)
            forecast = (
                middle(flux)[:, None] if flux.shape[1] else flux.new_full((len(flux), 1), _NAN)
            )
            parts_of = batch.log10_flux[:, None], forecast, batch.events, logits.float().sigmoid()
            start = number * batches.batch_size
            columns[start : start + len(host.rows)] = torch.cat(parts_of, dim=1).double().cpu()
            # Not in the last round, where some processes have no batch: they would not answer.
            if number < whole_rounds * fabric.world_size and any_process(stop(), fabric):
                return None
    # Where one process has something, the others have zeros.
    active = active_share(summed(units.sums, fabric))
    return _scores(summed(losses, fabric), summed(columns, fabric), active)


def summed(values: Tensor, fabric: Fabric) -> Tensor:
    """Return the sum of what all processes have, on the device where ``values`` are."""
    if fabric.world_size == 1:
        return values
    total = fabric.all_reduce(values.to(fabric.device), reduce_op="sum")
    assert isinstance(total, Tensor)
    return total.to(values.device)


def any_process(mine: bool, fabric: Fabric) -> bool:
    """Return whether it is so in any process; all of them have to ask."""
    return bool(summed(torch.tensor(float(mine)), fabric))


def _scores(losses: Tensor, columns: Tensor, active: float) -> ValidationScores:
    loss = float(losses.sum()) / len(columns)
    if not np.isfinite(loss):
        return ValidationScores(loss)  # nothing that could be scored
    label, flux = columns[:, :2].numpy().T
    happened, probability = np.split(columns[:, 2:].numpy(), 2, axis=1)
    if np.isnan(flux).all():
        flux = flux_quantiles(probability, EVENTS, [0.5])[:, 0]
    headline = EVENTS.index(HEADLINE_EVENT)
    event, issued = happened[:, headline] > 0, probability[:, headline]
    return ValidationScores(
        loss,
        _cross_entropy(happened, probability),
        float(np.abs(flux - label).mean()),
        float(brier_skill_score(event, issued)),
        float(roc_area(event, issued)),
        active,
        float(flux.std()),
        float(issued.std()),
    )


def _cross_entropy(happened: NDArray[np.float64], probability: NDArray[np.float64]) -> float:
    """Return the mean of -log of the probability of what happened, over samples and events."""
    inside = np.clip(np.where(happened > 0, probability, 1 - probability), _LEAST, 1)
    return float(-np.log(inside).mean())
