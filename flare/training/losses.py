"""The training loss: likelihood of a distribution, or a flux loss plus a weighted event loss.

Flux terms, in dex, take quantiles f of log10 flux (B, Q) and labels y (B,). Event terms take
logits z (B, E) and outcomes y (B, E) of 0 or 1; sigma is the logistic function and
p = sigma(z) the forecast probability. All events have the same weight. Each term is a mean over
the batch, 0 and up.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flare.config.network_groups import ObjectiveOptions
from flare.goes import event_outcomes, flux_of_class
from flare.models import middle
from flare.training.batches import Batch
from flare.training.distribution import interval_likelihood
from flare.training.sampling import class_weights

#: Share of labels between the outer two of three quantiles; ``ForecasterSpec`` has the same.
INTERVAL_LEVEL = 0.9

#: Errors in dex up to which ``huber`` is quadratic: about one class letter.
HUBER_DELTA = 1.0

#: Of forecasts (B, Q or E) and labels (B,) or (B, E): one number.
Term = Callable[[Tensor, Tensor], Tensor]

#: Of log10 flux (B, Q) and event logits (B, E) for a batch: one number, a mean over its samples.
Loss = Callable[[Tensor, Tensor, Batch], Tensor]


def absolute(flux: Tensor, observed: Tensor) -> Tensor:
    """Return the mean of abs(f - y); minimal for the median of the label."""
    return functional.l1_loss(middle(flux), observed)


def huber(flux: Tensor, observed: Tensor) -> Tensor:
    """Return the mean of e^2 / 2 for errors e up to 1 dex, of abs(e) - 1/2 beyond.

    Minimal between median and mean of the label. Source: Huber 1964,
    doi:10.1214/aoms/1177703732.
    """
    return functional.huber_loss(middle(flux), observed, delta=HUBER_DELTA)


def pinball(flux: Tensor, observed: Tensor) -> Tensor:
    """Return twice the pinball loss, summed over three quantiles.

    2 max(q (y - f), (q - 1)(y - f)) for q of (1 - L) / 2, 1/2 and (1 + L) / 2, with the L of
    ``INTERVAL_LEVEL``. Each is minimal for that quantile of the label; the middle one equals
    ``absolute``, so that the weight of the events means the same, and is the only one for a network
    with one quantile. Source: Koenker and Bassett 1978, doi:10.2307/1913643.
    """
    levels = {1: (0.5,), 3: ((1 - INTERVAL_LEVEL) / 2, 0.5, (1 + INTERVAL_LEVEL) / 2)}
    quantiles = flux.new_tensor(levels[flux.shape[1]])  # (Q,)
    above = observed[:, None] - flux  # (B, Q)
    costs = torch.maximum(quantiles * above, (quantiles - 1) * above)
    return 2 * costs.sum(dim=1).mean()


def censored(flux: Tensor, observed: Tensor, limit: float) -> Tensor:
    """Return the absolute error for labels that say only "below ``limit``" when they are below.

    abs(f - y) where y >= limit, in log10 W m^-2, and max(f - limit, 0) where y < limit. Minimal
    for max(limit, median of the label). Source: Powell 1984, doi:10.1016/0304-4076(84)90004-6,
    whose loss has the same minimum and no slope below the limit.
    """
    forecast = middle(flux)
    too_high = (forecast - limit).clamp(min=0)
    return torch.where(observed < limit, too_high, (forecast - observed).abs()).mean()


def cross_entropy(logits: Tensor, events: Tensor) -> Tensor:
    """Return the mean of -y ln p - (1 - y) ln(1 - p), in nats.

    Minimal for the true probability; ln 2 for a constant forecast of 1/2.
    """
    return functional.binary_cross_entropy_with_logits(logits, events)


def weighted_cross_entropy(
    logits: Tensor, events: Tensor, rates: Sequence[float], balance: float
) -> Tensor:
    """Return the cross-entropy with weight w for events and logits shifted by ln w.

    ``logits`` and ``events`` are (B, E), ``rates`` (E,).

    -[w y ln q + (1 - y) ln(1 - q)] / (1 + r (w - 1)) with w = ((1 - r) / r)^balance, r the rate of
    the event among the sampled rows, and q = sigma(z + ln w). Balance 0 is the cross-entropy; 1
    weights as if events made up half of the samples, which gives X1.0 a weight in the hundreds.

    Weights alone would multiply the forecast odds by w. The shift by ln w removes exactly that, so
    the loss is minimal for the true probability, like the cross-entropy, and needs no correction;
    but errors around r cost most instead of those around 1/2. The shift is that of Menon et al.
    2021, arXiv:2007.07314.
    """
    rate = np.asarray(rates)
    weight = ((1 - rate) / rate) ** balance
    w = logits.new_tensor(weight)
    costs = functional.binary_cross_entropy_with_logits(
        logits + w.log(), events, pos_weight=w, reduction="none"
    )
    return (costs * logits.new_tensor(1 / (1 + rate * (weight - 1)))).mean()


def focal(logits: Tensor, events: Tensor, gamma: float) -> Tensor:
    """Return the focal loss: the cross-entropy with less weight for good forecasts.

    -(1 - p_y)^gamma ln p_y, where p_y is the forecast probability of the outcome; the cross-entropy
    at gamma 0. For gamma > 0 its minimum is closer to 1/2 than the true probability: rare events
    come out too likely, which calibration corrects. Source: Lin et al. 2017,
    doi:10.1109/ICCV.2017.324, with gamma 2, and with alpha, which is left out here.
    """
    margin = logits * (2 * events - 1)  # p_y = sigma(margin)
    left = (gamma * functional.logsigmoid(-margin)).exp()  # (1 - p_y)^gamma
    return (left * -functional.logsigmoid(margin)).mean()


def score_oriented(logits: Tensor, events: Tensor, rates: Sequence[float]) -> Tensor:
    """Return 1 - the true skill statistic expected for a threshold that is uniform on 0..1.

    ``logits`` and ``events`` are (B, E), ``rates`` (E,).

    A probability p exceeds a uniform threshold with probability p. So the expected contingency
    table has misses sum y (1 - p) and false alarms sum (1 - y) p, and

        1 - TSS = misses / (r B) + false alarms / ((1 - r) B).

    0 for a perfect forecast, 1 for no skill (a constant), 2 for the opposite of the outcomes. It
    is minimal for p = 1 wherever the event is more likely than r, and for p = 0 elsewhere: the
    forecast is an alarm, not a probability, until it is calibrated. Source: Marchetti et al. 2022,
    doi:10.1016/j.patcog.2022.108913.

    The source divides by the counts of each batch. Here the ``rates`` of the sampled rows replace
    them, so that the mean over batches is the loss of all samples whatever the batch size.
    """
    rate = np.asarray(rates)
    missed = events * (-logits).sigmoid() / logits.new_tensor(rate)
    false_alarms = (1 - events) * logits.sigmoid() / logits.new_tensor(1 - rate)
    return (missed + false_alarms).mean()


def multitask(
    event_weight: float,
    *,
    flux: Term = absolute,
    events: Term = cross_entropy,
    floor: float = -float("inf"),
) -> Loss:
    """Return the sum of a flux loss and a weighted event loss.

    ``event_weight`` is that of the event loss, in dex per unit of it (per nat for a cross-entropy).
    Labels of the flux below ``floor``, in log10 W m^-2, are raised to it.
    """

    def loss(log10_flux: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        labels = batch.log10_flux.clamp(min=floor)
        return flux(log10_flux, labels) + event_weight * events(logits, batch.events)

    return loss


def build_loss(objective: ObjectiveOptions, peak_flux: NDArray[np.float64]) -> Loss:
    """Return the loss of an objective: of one distribution, or of the flux and the events.

    ``peak_flux`` are labels of the training rows in W m^-2, (n,): event rates are those of these
    rows as ``sampling`` draws them.
    """
    if objective.head == "distribution":
        return interval_likelihood
    floor = float(np.log10(objective.label_floor))
    limit = max(floor, float(np.log10(flux_of_class("B1.0"))))
    rates = event_rates(objective, peak_flux)
    flux: dict[str, Term] = {
        "l1": absolute,
        "huber": huber,
        "pinball": pinball,
        "censored": partial(censored, limit=limit),
    }
    events: dict[str, Term] = {
        "bce": cross_entropy,
        "weighted_bce": partial(
            weighted_cross_entropy, rates=rates, balance=objective.event_balance
        ),
        "focal": partial(focal, gamma=objective.focal_gamma),
        "score_oriented": partial(score_oriented, rates=rates),
    }
    return multitask(
        objective.event_weight,
        flux=flux[objective.flux_loss],
        events=events[objective.event_loss],
        floor=floor,
    )


def event_rates(objective: ObjectiveOptions, peak_flux: NDArray[np.float64]) -> list[float]:
    """Return the rate of each event among the sampled rows, (E,), at least half an event."""
    outcomes = event_outcomes(peak_flux)  # (n, E)
    of_class = class_weights(objective, peak_flux)
    # The row sums of the outcomes are the class of a sample: 0 below B1.0 up to E above X1.0.
    weights = np.asarray(of_class)[outcomes.sum(axis=1)] if of_class else np.ones(len(peak_flux))
    rates = (weights[:, None] * outcomes).sum(axis=0) / weights.sum()
    lowest = 0.5 / len(peak_flux)
    return [float(rate) for rate in np.clip(rates, lowest, 1 - lowest)]
