"""Losses of the events: of logits z (B, E) and outcomes y (B, E) of 0 or 1, a mean over both.

sigma is the logistic function, and p = sigma(z) the probability that is forecast. Every event has
the same weight.
"""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor
from torch.nn import functional

#: Of event logits (B, E) and outcomes (B, E): one number.
EventTerm = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, events: Tensor) -> Tensor:
    """Return the mean of -y ln p - (1 - y) ln(1 - p), in nats: 0 and up.

    Least for the true probability; log 2 for a half of everything.
    """
    return functional.binary_cross_entropy_with_logits(logits, events)


def weighted_cross_entropy(rates: Sequence[float], balance: float) -> EventTerm:
    """Return the cross-entropy that weights events w, where the forecast is asked at even rates.

    -[w y ln q + (1 - y) ln(1 - q)] / (1 + r (w - 1)) with w = ((1 - r) / r)^balance, r the rate of
    the event, and q = sigma(z + ln w); 0 and up. Balance 0 is the cross-entropy; 1 weights as if
    events made up half of the samples, and a weight of X1.0 is then in the hundreds; 1/2 is the
    square root of that.

    Weights alone would multiply the odds of what is forecast by w. The shift by ln w takes just
    that away, so it is least for the true probability, as the cross-entropy is, and nothing has
    to be corrected afterwards; what changes is that errors around r cost most instead of those
    around 1/2. The shift is that of Menon et al. 2021, arXiv:2007.07314.

    Parameters
    ----------
    rates
        Of each event among the samples that are drawn, (E,), 0 < r < 1.
    balance
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
    """Return the focal loss: the cross-entropy, but what is forecast well already counts less.

    -(1 - p_y)^gamma ln p_y, where p_y is the probability of what happened; 0 and up, and the
    cross-entropy at gamma 0. Both outcomes have the same weight (alpha of the source is left
    out). For gamma > 0 it is least nearer to 1/2 than the true probability is: rare events come
    out too likely, which calibration has to put right. Source: Lin et al. 2017,
    doi:10.1109/ICCV.2017.324.

    Parameters
    ----------
    gamma
        0 and up; 2 in the source.
    """

    def term(logits: Tensor, events: Tensor) -> Tensor:
        margin = logits * (2 * events - 1)  # p_y = sigma(margin)
        left = (gamma * functional.logsigmoid(-margin)).exp()  # (1 - p_y)^gamma
        return (left * -functional.logsigmoid(margin)).mean()

    return term


def score_oriented(rates: Sequence[float]) -> EventTerm:
    """Return 1 less the true skill statistic that is expected of a threshold drawn from 0..1.

    Above a uniform threshold a probability p lies with probability p. So the expected table of
    contingency has misses sum y (1 - p) and false alarms sum (1 - y) p, and

        1 - TSS = misses / (r B) + false alarms / ((1 - r) B).

    0 for a perfect forecast, 1 for no skill (a constant one), 2 for the opposite of what happens.
    It is least for 1 wherever the event is likelier than r, and 0 elsewhere: what comes out is an
    alarm and no probability, until it is calibrated. Source: Marchetti et al. 2022,
    doi:10.1016/j.patcog.2022.108913.

    The source divides by the counts of each batch. Here rates of the training samples stand in for
    them: a batch without an event is then no special case, it only has false alarms, and the mean
    over batches is the loss of all samples whatever their size.

    Parameters
    ----------
    rates
        r of each event among the samples that are drawn, (E,), 0 < r < 1.
    """
    rate = np.asarray(rates)

    def term(logits: Tensor, events: Tensor) -> Tensor:
        missed = events * (-logits).sigmoid() / logits.new_tensor(rate)
        false_alarms = (1 - events) * logits.sigmoid() / logits.new_tensor(1 - rate)
        return (missed + false_alarms).mean()

    return term
