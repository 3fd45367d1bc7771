"""The training loss: likelihood of a distribution, or a flux loss plus a weighted event loss."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flare.config.network_groups import ObjectiveOptions
from flare.goes import event_outcomes, flux_of_class
from flare.training.batches import Batch
from flare.training.losses.distribution import interval_likelihood
from flare.training.losses.terms import (
    EventTerm,
    FluxTerm,
    absolute,
    censored,
    cross_entropy,
    floored,
    focal,
    huber,
    pinball,
    score_oriented,
    weighted_cross_entropy,
)
from flare.training.sampling import class_weights

#: Share of labels between the outer two of three quantiles; ``ForecasterSpec`` has the same.
INTERVAL_LEVEL = 0.9

#: Of log10 flux (B, Q) and event logits (B, E) for a batch: one number, a mean over its samples.
Loss = Callable[[Tensor, Tensor, Batch], Tensor]


def multitask(
    event_weight: float, *, flux: FluxTerm = absolute, events: EventTerm = cross_entropy
) -> Loss:
    """Return the sum of a flux loss and a weighted event loss.

    ``event_weight`` is that of the event loss, in dex per unit of it (per nat for a cross-entropy).
    """

    def loss(log10_flux: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        return flux(log10_flux, batch.log10_flux) + event_weight * events(logits, batch.events)

    return loss


def build_loss(objective: ObjectiveOptions, peak_flux: NDArray[np.float64]) -> Loss:
    """Return the loss of an objective: of one distribution, or of the flux and the events.

    ``peak_flux`` are labels of the training rows in W m^-2, (n,): event rates are those of these
    rows as ``sampling`` draws them.
    """
    if objective.head == "distribution":
        return interval_likelihood
    return multitask(
        objective.event_weight, flux=_flux_term(objective), events=_event_term(objective, peak_flux)
    )


def _flux_term(objective: ObjectiveOptions) -> FluxTerm:
    floor = float(np.log10(objective.label_floor))
    limit = max(floor, float(np.log10(flux_of_class("B1.0"))))
    terms: dict[str, FluxTerm] = {
        "l1": absolute,
        "huber": huber,
        "pinball": pinball(INTERVAL_LEVEL),
        "censored": censored(limit),
    }
    return floored(terms[objective.flux_loss], floor)


def _event_term(objective: ObjectiveOptions, peak_flux: NDArray[np.float64]) -> EventTerm:
    rates = event_rates(objective, peak_flux)
    terms: dict[str, Callable[[], EventTerm]] = {
        "bce": lambda: cross_entropy,
        "weighted_bce": lambda: weighted_cross_entropy(rates, objective.event_balance),
        "focal": lambda: focal(objective.focal_gamma),
        "score_oriented": lambda: score_oriented(rates),
    }
    return terms[objective.event_loss]()


def event_rates(objective: ObjectiveOptions, peak_flux: NDArray[np.float64]) -> list[float]:
    """Return the rate of each event among the sampled rows, (E,), at least half an event."""
    outcomes = event_outcomes(peak_flux)  # (n, E)
    of_class = class_weights(objective, peak_flux)
    # The row sums of the outcomes are the class of a sample: 0 below B1.0 up to E above X1.0.
    weights = np.asarray(of_class)[outcomes.sum(axis=1)] if of_class else np.ones(len(peak_flux))
    rates = (weights[:, None] * outcomes).sum(axis=0) / weights.sum()
    lowest = 0.5 / len(peak_flux)
    return [float(rate) for rate in np.clip(rates, lowest, 1 - lowest)]
