"""Fit a distribution of the peak flux that is linear in the features, with a ridge penalty.

It takes seconds, cannot die, and is what a network has to be better than.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold
from torch import Tensor

from flare.models.heads import RateCurve
from flare.training.losses.distribution import surprise

#: Penalties on the squares of the coefficients to choose from; they are added to the sum of -log P.
PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_FOLDS = 3
#: What changes the steepness of the curve has this times the penalty of what moves it: on
#: synthetic regions 30 had the best noise-free score of M1.0, on real ones it makes no difference.
_STEEPNESS = 30.0
_STEPS = 100


def fit_linear_curve(
    curve: RateCurve,
    features: NDArray[np.float32],
    log10_flux: NDArray[np.float64],
    groups: NDArray[np.integer],
    *,
    rates: Sequence[float],
) -> None:
    """Fit a curve in place, with the penalty of the highest likelihood on groups left out.

    ``features`` are standardised, (n, D), ``log10_flux`` labels in log10 of W m^-2 and ``groups``
    those of the cross-validation, such as active regions, (n,). The curve begins at the ``rates``
    of the events.
    """
    table, labels = torch.from_numpy(features).double(), torch.from_numpy(log10_flux)
    n_groups = len(np.unique(groups))
    penalty = PENALTIES[-1]
    if n_groups >= _FOLDS:
        parts = [
            tuple(map(torch.from_numpy, part))
            for part in GroupKFold(_FOLDS).split(features, groups=groups)
        ]

        def cost(penalty: float) -> float:
            total = 0.0
            for known, left in parts:
                made = _fitted(table[known], labels[known], len(rates), rates, penalty)
                with torch.no_grad():
                    total += float(surprise(made(table[left]), labels[left]).sum())
            return total

        penalty = min(PENALTIES, key=cost)
    made = _fitted(table, labels, len(rates), rates, penalty)
    curve.load_state_dict(made.float().state_dict())


def _fitted(
    table: Tensor, labels: Tensor, n_events: int, rates: Sequence[float], penalty: float
) -> RateCurve:
    """Return a curve of double precision, fitted by L-BFGS from climatology."""
    curve = RateCurve(table.shape[1], n_events).double()
    curve.start_at(rates)
    weights = curve.location.weight, curve.steepness.weight
    with torch.no_grad():
        for weight in weights:
            weight.zero_()
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
