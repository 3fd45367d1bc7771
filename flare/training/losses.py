"""What the network is asked to make small."""

from torch import Tensor
from torch.nn import functional


def multitask_loss(
    log10_flux: Tensor,
    logits: Tensor,
    *,
    true_log10_flux: Tensor,
    true_events: Tensor,
    event_weight: float,
) -> Tensor:
    """Mean absolute error of log10 flux in dex, plus weighted binary cross-entropy of the events.

    Parameters
    ----------
    log10_flux, true_log10_flux
        log10 of W m^-2, shape (B,).
    logits, true_events
        Event logits and outcomes 0 or 1, shape (B, E); the cross-entropy is in nats, averaged.
    event_weight
        Dex that one nat is worth.
    """
    flux = functional.l1_loss(log10_flux, true_log10_flux)
    events = functional.binary_cross_entropy_with_logits(logits, true_events)
    return flux + event_weight * events
