"""Loss terms of the flux and of the events, each a mean over the batch.

Flux terms, in dex, take quantiles f of log10 flux (B, Q) and labels y (B,). Event terms take
logits z (B, E) and outcomes y (B, E) of 0 or 1; sigma is the logistic function and
p = sigma(z) the forecast probability. All events have the same weight.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from flare.models import middle

#: Of quantiles of log10 flux (B, Q) and labels (B,): one number.
FluxTerm = Callable[[Tensor, Tensor], Tensor]

#: Of event logits (B, E) and outcomes (B, E): one number.
EventTerm = Callable[[Tensor, Tensor], Tensor]

#: Errors in dex up to which ``huber`` is quadratic: about one class letter.
HUBER_DELTA = 1.0


def absolute(flux: Tensor, observed: Tensor) -> Tensor:
    """Return the mean of abs(f - y), 0 and up; minimal for the median of the label."""
    return functional.l1_loss(middle(flux), observed)


def huber(flux: Tensor, observed: Tensor) -> Tensor:
    """Return the mean of e^2 / 2 for errors e up to 1 dex, of abs(e) - 1/2 beyond; 0 and up.

    Minimal between median and mean of the label. Source: Huber 1964,
    doi:10.1214/aoms/1177703732.
    """
    return functional.huber_loss(middle(flux), observed, delta=HUBER_DELTA)


def pinball(level: float) -> FluxTerm:
    """Return twice the pinball loss, summed over three quantiles, as a mean over samples.

    2 max(q (y - f), (q - 1)(y - f)) for q of (1 - level) / 2, 1/2 and (1 + level) / 2; 0 and up.
    Each term is minimal for that quantile of the label; the middle one equals ``absolute``, so that
    the weight of the events means the same. For a network with one quantile only the middle one
    counts. Source: Koenker and Bassett 1978, doi:10.2307/1913643.

    ``level`` is the share of labels intended between the outer two quantiles, 0..1.
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
    and up. Minimal for max(limit, median of the label); below the limit any forecast of a quiet
    sample costs nothing. Source: Powell 1984, doi:10.1016/0304-4076(84)90004-6, whose loss has the
    same minimum and no slope below the limit.

    ``limit`` is log10 of W m^-2.
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


def cross_entropy(logits: Tensor, events: Tensor) -> Tensor:
    """Return the mean of -y ln p - (1 - y) ln(1 - p), in nats: 0 and up.

    Minimal for the true probability; ln 2 for a constant forecast of 1/2.
    """
    return functional.binary_cross_entropy_with_logits(logits, events)


def weighted_cross_entropy(rates: Sequence[float], balance: float) -> EventTerm:
    """Return the cross-entropy with weight w for events and logits shifted by ln w.

    -[w y ln q + (1 - y) ln(1 - q)] / (1 + r (w - 1)) with w = ((1 - r) / r)^balance, r the rate of
    the event, and q = sigma(z + ln w); 0 and up. Balance 0 is the cross-entropy; 1 weights as if
    events made up half of the samples, which gives X1.0 a weight in the hundreds; 1/2 is the
    square root of that.

    Weights alone would multiply the forecast odds by w. The shift by ln w removes exactly that, so
    the loss is minimal for the true probability, like the cross-entropy, and needs no correction;
    but errors around r cost most instead of those around 1/2. The shift is that of Menon et al.
    2021, arXiv:2007.07314.

    ``rates`` are those of the events among the sampled rows, (E,), 0 < r < 1; ``balance`` is in
    0..1.
    """
    rate = np.asarray(rates)
    weight = ((1 - rate) / rate) ** balance
    scale = 1 / (1 + rate * (weight - 1))

    def term(logits: Tensor, events: Tensor) -> Tensor:
        w = logits.new_tensor(weight)
        costs = functional.binary_cross_entropy_with_logits(
            logits + w.log(), events, pos_weight=w, reduction="none"
        )
        return (costs * logits.new_tensor(scale)).mean()

    return term


def focal(gamma: float) -> EventTerm:
    """Return the focal loss: the cross-entropy with less weight for good forecasts.

    -(1 - p_y)^gamma ln p_y, where p_y is the forecast probability of the outcome; 0 and up, and the
    cross-entropy at gamma 0. Both outcomes have the same weight (alpha of the source is left
    out). For gamma > 0 its minimum is closer to 1/2 than the true probability: rare events come
    out too likely, which calibration corrects. Source: Lin et al. 2017,
    doi:10.1109/ICCV.2017.324.

    ``gamma`` is 0 and up, 2 in the source.
    """

    def term(logits: Tensor, events: Tensor) -> Tensor:
        margin = logits * (2 * events - 1)  # p_y = sigma(margin)
        left = (gamma * functional.logsigmoid(-margin)).exp()  # (1 - p_y)^gamma
        return (left * -functional.logsigmoid(margin)).mean()

    return term


def score_oriented(rates: Sequence[float]) -> EventTerm:
    """Return 1 - the true skill statistic expected for a threshold that is uniform on 0..1.

    A probability p exceeds a uniform threshold with probability p. So the expected contingency
    table has misses sum y (1 - p) and false alarms sum (1 - y) p, and

        1 - TSS = misses / (r B) + false alarms / ((1 - r) B).

    0 for a perfect forecast, 1 for no skill (a constant), 2 for the opposite of the outcomes. It
    is minimal for p = 1 wherever the event is more likely than r, and for p = 0 elsewhere: the
    forecast is an alarm, not a probability, until it is calibrated. Source: Marchetti et al. 2022,
    doi:10.1016/j.patcog.2022.108913.

    The source divides by the counts of each batch. Here the rates of the training samples replace
    them: a batch without an event needs no special case, it only has false alarms, and the mean
    over batches is the loss of all samples whatever the batch size.

    ``rates`` are r of each event among the samples that are drawn, (E,), 0 < r < 1.
    """
    rate = np.asarray(rates)

    def term(logits: Tensor, events: Tensor) -> Tensor:
        missed = events * (-logits).sigmoid() / logits.new_tensor(rate)
        false_alarms = (1 - events) * logits.sigmoid() / logits.new_tensor(1 - rate)
        return (missed + false_alarms).mean()

    return term
