"""Fit the distribution of the peak flux that event logits describe: its likelihood, a linear fit.

A label is in the bin between two edges; below the first edge it is quiet. With rates lambda_k of
flares above edge k, and none above the last,

    P(between k and k + 1) = exp(-lambda_{k+1}) - exp(-lambda_k).

Between the events log lambda is linear in log F, as in ``flare.flux_curve``.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold
from torch import Tensor
from torch.nn import functional

from flare.goes import EVENTS, flux_of_class
from flare.models.heads import RateCurve, log_rates_of
from flare.training.batches import Batch

#: Edges of the bins, three per decade, including those of the events.
EDGES = (*(f"{letter}{digit}.0" for letter in "BCM" for digit in (1, 2, 5)), "X1.0")

#: Penalties on the squares of the coefficients to choose from; they are added to the sum of -log P.
PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)

_LOWEST = 1e-7  # probability of an outcome, so that an impossible label has a finite loss
_FOLDS, _STEPS = 3, 100
#: What changes the steepness of the curve has this times the penalty of what moves it: on
#: synthetic regions 30 had the best noise-free score of M1.0, on real ones it makes no difference.
_STEEPNESS = 30.0

_LOG10_EVENTS, _LOG10_EDGES = (
    np.log10([flux_of_class(name) for name in names]) for names in (EVENTS, EDGES)
)
#: Weights of the events' log rates in the log rate of each edge, (K, E).
_INTERPOLATION = np.stack(
    [np.interp(_LOG10_EDGES, _LOG10_EVENTS, unit) for unit in np.eye(len(EVENTS))], axis=1
)


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
    # A label of exactly C1.0 counts as C1.0 although float32 rounds its logarithm.
    edges = log10_flux.new_tensor(_LOG10_EDGES - 1e-6)
    bins = torch.bucketize(log10_flux, edges, right=True)[:, None]  # (B, 1) of 0..K
    above = functional.pad(rates, (0, 1)).gather(1, bins)  # upper edge; 0 above the last
    # Lower edge; the rate above zero flux is infinite.
    below = functional.pad(rates, (1, 0), value=float("inf")).gather(1, bins)
    probability = torch.exp(-above) * -torch.expm1(above - below)
    return -probability.clamp(min=_LOWEST).log()[:, 0]


def fit_linear_curve(
    curve: RateCurve,
    features: NDArray[np.float32],
    log10_flux: NDArray[np.float64],
    groups: NDArray[np.integer],
    *,
    rates: Sequence[float],
) -> None:
    """Fit a curve that is linear in the features, with a ridge penalty, in place.

    It takes seconds, cannot die, and is what a network has to be better than. The penalty is that
    of the highest likelihood on groups left out.

    ``features`` are standardised, (n, D), ``log10_flux`` labels in log10 of W m^-2 and ``groups``
    those of the cross-validation, such as active regions, (n,). The curve begins at the ``rates``
    of the events.
    """
    table, labels = torch.from_numpy(features).double(), torch.from_numpy(log10_flux)
    penalty = PENALTIES[-1]
    if len(np.unique(groups)) >= _FOLDS:
        folds = [
            tuple(map(torch.from_numpy, fold))
            for fold in GroupKFold(_FOLDS).split(features, groups=groups)
        ]

        def cost(penalty: float) -> float:
            total = 0.0
            for known, left in folds:
                made = _fitted(table[known], labels[known], rates, penalty)
                with torch.no_grad():
                    total += float(surprise(made(table[left]), labels[left]).sum())
            return total

        penalty = min(PENALTIES, key=cost)
    curve.load_state_dict(_fitted(table, labels, rates, penalty).float().state_dict())


def _fitted(table: Tensor, labels: Tensor, rates: Sequence[float], penalty: float) -> RateCurve:
    """Return a curve of double precision, fitted by L-BFGS from climatology."""
    curve = RateCurve(table.shape[1], len(rates)).double()
    curve.start_at(rates)
    weights = curve.location.weight, curve.steepness.weight
    for weight in weights:
        torch.nn.init.zeros_(weight)
    optimizer = torch.optim.LBFGS(
        curve.parameters(), max_iter=_STEPS, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        ridge = weights[0].square().sum() + _STEEPNESS * weights[1].square().sum()
        cost: Tensor = (surprise(curve(table), labels).sum() + penalty * ridge) / len(labels)
        cost.backward()  # type: ignore[no-untyped-call]
        return cost

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return curve
