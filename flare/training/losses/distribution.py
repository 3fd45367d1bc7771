"""The likelihood of the peak flux under the distribution that event logits describe.

A label is in the bin between two edges; below the first edge it is quiet. With rates lambda_k of
flares above edge k, and none above the last,

    P(between k and k + 1) = exp(-lambda_{k+1}) - exp(-lambda_k).

Between the events log lambda is linear in log F, as in ``flare.flux_curve``.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flare.goes import EVENTS, flux_of_class
from flare.models.heads import log_rates_of
from flare.training.batches import Batch

#: Edges of the bins, three per decade, including those of the events.
EDGES = (*(f"{letter}{digit}.0" for letter in "BCM" for digit in (1, 2, 5)), "X1.0")

_LOWEST = 1e-7  # probability of an outcome, so that an impossible label has a finite loss


def interval_likelihood(log10_flux: Tensor, logits: Tensor, batch: Batch) -> Tensor:  # noqa: ARG001
    """Return the mean of -ln P(bin of the label), in nats: 0 and up, minimal for the true rates.

    ``logits`` are of ``EVENTS``, (B, 4), not rising from an event to a stronger one; of ``batch``
    only the labels are used.
    """
    return surprise(log_rates_of(logits.float()), batch.log10_flux).mean()


def surprise(log_rates: Tensor, log10_flux: Tensor) -> Tensor:
    """Return -ln P(bin of the label), (B,), given log lambda of the events (B, 4)."""
    weights = log_rates.new_tensor(_INTERPOLATION)  # (K, E)
    rates = (log_rates @ weights.T).exp()  # (B, K)
    edges = log10_flux.new_tensor(_LOG10_EDGES)
    bins = torch.bucketize(log10_flux, edges, right=True)[:, None]  # (B, 1) of 0..K
    above = functional.pad(rates, (0, 1)).gather(1, bins)  # upper edge; 0 above the last
    # Lower edge; the rate above zero flux is infinite.
    below = functional.pad(rates, (1, 0), value=float("inf")).gather(1, bins)
    probability = torch.exp(-above) * -torch.expm1(above - below)
    return -probability.clamp(min=_LOWEST).log()[:, 0]


def _interpolation() -> NDArray[np.float64]:
    """Return the weights of the events' log rates in the log rate of each edge, (K, E)."""
    events = np.log10([flux_of_class(event) for event in EVENTS])
    edges = np.log10([flux_of_class(edge) for edge in EDGES])
    columns = [np.interp(edges, events, unit) for unit in np.eye(len(EVENTS))]
    return np.stack(columns, axis=1)


_INTERPOLATION = _interpolation()
#: A label of exactly C1.0 counts as C1.0 although float32 rounds its logarithm.
_LOG10_EDGES = np.log10([flux_of_class(edge) for edge in EDGES]) - 1e-6
