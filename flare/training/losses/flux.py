"""Losses of log10 flux, in dex: of quantiles (B, Q) and labels (B,), a mean over the batch."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from flare.models.network import middle

#: Of log10 flux (B, Q) as forecast and (B,) as observed: one number.
FluxTerm = Callable[[Tensor, Tensor], Tensor]

#: Up to here in dex ``huber`` is a square: about what one class letter is.
HUBER_REACH = 1.0


def absolute(flux: Tensor, observed: Tensor) -> Tensor:
    """Return the mean of abs(f - y): 0 and up. Least for the median of what may happen."""
    return functional.l1_loss(middle(flux), observed)


def huber(flux: Tensor, observed: Tensor) -> Tensor:
    """Return the mean of e^2 / 2 for errors e up to 1 dex, of abs(e) - 1/2 beyond; 0 and up.

    Least between median and mean of what may happen. Source: Huber 1964,
    doi:10.1214/aoms/1177703732.
    """
    return functional.huber_loss(middle(flux), observed, delta=HUBER_REACH)


def pinball(level: float) -> FluxTerm:
    """Return twice the pinball loss, summed over three quantiles, as a mean over samples.

    2 max(q (y - f), (q - 1)(y - f)) for q of (1 - level) / 2, 1/2 and (1 + level) / 2; 0 and up.
    Each is least for that quantile of what may happen; the middle one costs what ``absolute``
    does, so that the weight of the events means the same. Of a network with one quantile only the
    middle one counts. Source: Koenker and Bassett 1978, doi:10.2307/1913643.

    Parameters
    ----------
    level
        Share of labels meant to lie between the outer two, 0..1.
    """
    levels = {1: (0.5,), 3: ((1 - level) / 2, 0.5, (1 + level) / 2)}

    def term(flux: Tensor, observed: Tensor) -> Tensor:
        quantiles = flux.new_tensor(levels[flux.shape[1]])  # (Q,)
        above = observed[:, None] - flux  # (B, Q)
        costs = torch.maximum(quantiles * above, (quantiles - 1) * above)
        return 2 * costs.sum(dim=1).mean()

    return term


def censored(limit: float) -> FluxTerm:
    """Return the absolute error for labels that say only "below ``limit``" when they are below.

    abs(f - y) where y >= limit, and max(f - limit, 0) where y < limit, as a mean over samples; 0
    and up. It is least for max(limit, median of what may happen), of which it asks nothing below
    the limit: what is sure to be quiet may be forecast anywhere there. Source: Powell 1984,
    doi:10.1016/0304-4076(84)90004-6, whose loss has the same minimum and no slope below the limit.

    Parameters
    ----------
    limit
        log10 of W m^-2.
    """

    def term(flux: Tensor, observed: Tensor) -> Tensor:
        forecast = middle(flux)
        too_high = (forecast - limit).clamp(min=0)
        return torch.where(observed < limit, too_high, (forecast - observed).abs()).mean()

    return term


def floored(term: FluxTerm, floor: float) -> FluxTerm:
    """Return the loss with labels below ``floor``, in log10 W m^-2, raised to it."""

    def raised(flux: Tensor, observed: Tensor) -> Tensor:
        return term(flux, observed.clamp(min=floor))

    return raised
