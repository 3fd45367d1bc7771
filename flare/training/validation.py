"""Scores of the network on the validation rows, and whether it is alive.

A network with a dead shared layer has a loss like any other's and forecasts the same for every
sample; the share of active units and the gradients of the heads show it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from flare.flux_curve import flux_quantiles
from flare.goes import EVENTS, HEADLINE_EVENT
from flare.models import middle
from flare.training.batches import Batches, in_pieces
from flare.training.losses import Loss
from flare.training.processes import all_sum, any_process
from flare.verification.probabilistic import brier_skill_score, roc_area

_NAN = float("nan")
_LOWEST = 1e-7  # probability of an outcome, so that a certain and wrong forecast costs finitely

#: A unit whose output has a smaller standard deviation over the samples is inactive. The layer's
#: inputs are normalised, so a useful unit varies by some tenths.
SMALLEST_ACTIVITY = 1e-3


@torch.inference_mode()
def validate(
    network: nn.Module,
    normalise: Callable[[Tensor, Tensor], Tensor],
    batches: Batches,
    loss: Loss,
    fabric: Fabric,
    *,
    stop: Callable[[], bool],
) -> dict[str, float] | None:
    """Score a network on the rows of ``batches``; None if ``stop`` is true in any process.

    Returns the fields of ``EpochRecord`` that validation measures, the loss alone if it diverged.

    Batches are distributed round-robin over ranks, and the results are combined in the order of
    the rows, so that the number of processes changes nothing. ``stop`` is called after every round
    in which each process had a batch.
    """
    network.eval()
    parts = in_pieces(batches.rows, batches.batch_size)
    mine = range(fabric.global_rank, len(parts), fabric.world_size)
    whole_rounds = len(parts) // fabric.world_size
    losses = torch.zeros(len(parts), dtype=torch.float64)
    # Label and forecast of log10 flux, outcome and probability of each event.
    columns = torch.zeros(len(batches.rows), 2 + 2 * len(EVENTS), dtype=torch.float64)
    pinned = fabric.device.type == "cuda"
    reader = batches.read([parts[number] for number in mine], pinned=pinned)
    with closing(reader) as reading, _measure_activity(network) as activity:
        for number, host in zip(mine, reading, strict=True):
            batch = host.to(fabric.to_device)
            inputs = normalise(batch.cubes, batch.present), batch.present, *batch.extra_inputs
            with fabric.autocast():
                flux, logits = (output.float() for output in network(*inputs))
            losses[number] = loss(flux, logits, batch).item() * len(host.rows)
            forecast = (
                middle(flux)[:, None] if flux.shape[1] else flux.new_full((len(flux), 1), _NAN)
            )
            parts_of = batch.log10_flux[:, None], forecast, batch.events, logits.sigmoid()
            start = number * batches.batch_size
            columns[start : start + len(host.rows)] = torch.cat(parts_of, dim=1).double().cpu()
            # Not in the last round, where some processes have no batch and would not answer.
            if number < whole_rounds * fabric.world_size and any_process(stop(), fabric):
                return None
    # Each process has zeros where another one has values.
    active = active_share(all_sum(activity, fabric))
    return _scores(all_sum(losses, fabric), all_sum(columns, fabric), active)


def _scores(losses: Tensor, columns: Tensor, active: float) -> dict[str, float]:
    loss = float(losses.sum()) / len(columns)
    if not np.isfinite(loss):
        return {"validation_loss": loss}
    label, flux = columns[:, :2].numpy().T
    outcomes, probabilities = np.split(columns[:, 2:].numpy(), 2, axis=1)
    if np.isnan(flux).all():
        flux = flux_quantiles(probabilities, EVENTS, [0.5])[:, 0]
    headline = EVENTS.index(HEADLINE_EVENT)
    event, probability = outcomes[:, headline] > 0, probabilities[:, headline]
    of_outcome = np.where(outcomes > 0, probabilities, 1 - probabilities)
    return {
        "validation_loss": loss,
        "cross_entropy": float(-np.log(np.clip(of_outcome, _LOWEST, 1)).mean()),
        "log10_flux_mae": float(np.abs(flux - label).mean()),
        "brier_skill_score": float(brier_skill_score(event, probability)),
        "roc_area": float(roc_area(event, probability)),
        "active_units": active,
        "log10_flux_std": float(flux.std()),
        "probability_std": float(probability.std()),
    }


@contextmanager
def _measure_activity(network: nn.Module) -> Iterator[Tensor]:
    """Sum outputs, squared outputs and ones of the shared layer's units, (3, hidden)."""
    shared = heads_of(network).get("shared")
    if shared is None:
        yield torch.zeros(3, 0, dtype=torch.float64)
        return
    layers = [one for one in shared.modules() if isinstance(one, nn.Linear)]
    sums = torch.zeros(3, layers[-1].out_features, dtype=torch.float64)

    def add(_module: nn.Module, _inputs: object, outputs: Tensor) -> None:
        wide = outputs.detach().double()
        powers = torch.stack([wide, wide.square(), torch.ones_like(wide)])
        sums.add_(powers.sum(dim=1).cpu())

    hook = shared.register_forward_hook(add)
    try:
        yield sums
    finally:
        hook.remove()


def active_share(sums: Tensor) -> float:
    """Return the share of units, 0..1, whose output varies; NaN without units or samples.

    ``sums`` (3, hidden) are over the samples of all processes: outputs, their squares, and ones.
    """
    if sums.numel() == 0 or sums[2, 0] == 0:
        return float("nan")
    mean, square = sums[:2] / sums[2]
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    return float((deviation > SMALLEST_ACTIVITY).double().mean())


def heads_of(network: nn.Module) -> dict[str, nn.Module]:
    """Return the trained layers of a network's ``Heads`` by name; empty without heads."""
    heads = dict(network.named_children()).get("heads")
    parts = {} if heads is None else dict(heads.named_children())
    return {
        name: part
        for name, part in parts.items()
        if any(one.requires_grad for one in part.parameters())
    }


def gradient_norms(heads: Mapping[str, nn.Module], device: torch.device) -> Tensor:
    """Return the Euclidean norm of the gradient of each part, (len(heads),)."""
    norms = [
        nn.utils.get_total_norm(
            [one.grad for one in part.parameters() if one.grad is not None]
        ).float().to(device)
        for part in heads.values()
    ]  # fmt: skip
    return torch.stack(norms) if norms else torch.zeros(0, device=device)
