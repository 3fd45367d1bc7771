"""What the network is asked to make small."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from flare.models.network import middle
from flare.training.batches import Batch

#: Of log10 flux (B, Q) and event logits (B, E) for a batch: one number, a mean over its samples.
Loss = Callable[[Tensor, Tensor, Batch], Tensor]


def multitask(event_weight: float) -> Loss:
    """Return mean absolute error of log10 flux in dex plus weighted cross-entropy of the events.

    Parameters
    ----------
    event_weight
        Dex that one nat is worth; the cross-entropy is averaged over events.
    """

    def loss(log10_flux: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        flux = functional.l1_loss(middle(log10_flux), batch.log10_flux)
        events = functional.binary_cross_entropy_with_logits(logits, batch.events)
        return flux + event_weight * events

    return loss
