"""The likelihood of a peak flux under the distribution that event logits stand for.

A label says between which two edges the peak flux lies; below the first one is quiet. With rates
lambda_k of flares above edge k, and none above the last,

    P(between k and k + 1) = exp(-lambda_{k+1}) - exp(-lambda_k).

Between the events log lambda is linear in log F, as in ``flare.flux_curve``.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flare.goes import EVENTS, flux_of_class
from flare.models.distribution import log_rates_of
from flare.training.batches import Batch

#: Edges of the bins, three a decade; those of the events are among them.
EDGES = (*(f"{letter}{digit}.0" for letter in "BCM" for digit in (1, 2, 5)), "X1.0")

_LEAST = 1e-7  # probability of what happened: a label that cannot be has a finite loss


def interval_likelihood(log10_flux: Tensor, logits: Tensor, batch: Batch) -> Tensor:  # noqa: ARG001
    """Return the mean of -log P(the bin of the label), in nats: 0 and up, least for the truth.

    Parameters
    ----------
    log10_flux
        Not looked at.
    logits
        Of ``EVENTS``, (B, 4), not rising from an event to a stronger one.
    batch
        Its labels are used.
    """
    return surprise(log_rates_of(logits.float()), batch.log10_flux).mean()


def surprise(log_rates: Tensor, log10_flux: Tensor) -> Tensor:
    """Return -log P(the bin of the label), (B,), of log lambda of the events (B, 4)."""
    weights = log_rates.new_tensor(_INTERPOLATION)  # (K, E)
    rates = (log_rates @ weights.T).exp()  # (B, K)
    edges = log10_flux.new_tensor(_LOG10_EDGES)
    bins = torch.bucketize(log10_flux, edges, right=True)[:, None]  # (B, 1) of 0..K
    above = functional.pad(rates, (0, 1)).gather(1, bins)  # of the upper edge; above the last none
    # Of the lower edge; everything is above 0 flux.
    below = functional.pad(rates, (1, 0), value=float("inf")).gather(1, bins)
    probability = torch.exp(-above) * -torch.expm1(above - below)
    return -probability.clamp(min=_LEAST).log()[:, 0]


def _interpolation() -> NDArray[np.float64]:
    """Return the weights of the events' log rates in each edge's, (K, E)."""
    events = np.log10([flux_of_class(event) for event in EVENTS])
    edges = np.log10([flux_of_class(edge) for edge in EDGES])
    columns = [np.interp(edges, events, unit) for unit in np.eye(len(EVENTS))]
    return np.stack(columns, axis=1)


_INTERPOLATION = _interpolation()
#: A label of just C1.0 is one, whatever float32 makes of its logarithm.
_LOG10_EDGES = np.log10([flux_of_class(edge) for edge in EDGES]) - 1e-6
