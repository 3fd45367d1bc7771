"""Which training samples make up an epoch: as they are, or all classes or regions equally often.

Rare samples are drawn several times and frequent ones left out now and then; an epoch always has
as many rows as the split.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flare.goes import CLASS_LETTERS, class_index
from flare.training.objective import Objective

#: Given an epoch's random generator, the row numbers of the epoch in order.
Sampler = Callable[[np.random.Generator], NDArray[np.intp]]

#: The last of four classes of samples: below B1.0, B, C, and M with X, of which there are too few.
_STRONGEST = CLASS_LETTERS.index("M")


def build_sampler(
    objective: Objective,
    rows: NDArray[np.intp],
    peak_flux: NDArray[np.float64],
    regions: NDArray[np.integer],
) -> Sampler:
    """Return the sampler that the aims name.

    ``natural`` gives every row once. ``class_balanced`` gives a quarter each to samples below
    B1.0, of class B, of class C, and of M or X; ``region_balanced`` gives every active region its
    equal share. Within a class or region any two rows are drawn equally often, give or take one.

    Parameters
    ----------
    rows
        Row numbers of the training samples, (n,).
    peak_flux, regions
        Their labels in W m^-2 and active regions, (n,).
    """
    if objective.sampling == "natural":
        return lambda rng: rng.permutation(rows)
    groups = _classes(peak_flux) if objective.sampling == "class_balanced" else regions
    members = [rows[groups == group] for group in np.unique(groups)]

    def sampler(rng: np.random.Generator) -> NDArray[np.intp]:
        shares = _shares(len(rows), len(members), rng)
        drawn = [_draw(rng, own, share) for own, share in zip(members, shares, strict=True)]
        return rng.permutation(np.concatenate(drawn))

    return sampler


def class_weights(objective: Objective, peak_flux: NDArray[np.float64]) -> tuple[float, ...]:
    """Return how much oftener than they are each class is drawn: below B1.0, B, C, M, X.

    Empty where classes are drawn as they are. Probabilities learnt from balanced classes are
    those of a Sun that flares so often; divided by these weights they are the natural ones.

    Parameters
    ----------
    peak_flux
        Labels of the training samples in W m^-2, (n,).
    """
    if objective.sampling != "class_balanced":
        return ()
    counts = np.bincount(_classes(peak_flux), minlength=_STRONGEST + 1)
    equal = len(peak_flux) / np.count_nonzero(counts)
    weights = [float(equal / count) if count else 1.0 for count in counts]
    return (*weights, weights[-1])  # X is drawn as often as M


def _classes(peak_flux: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.minimum(class_index(peak_flux), _STRONGEST)


def _shares(n: int, groups: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Divide n rows equally; who gets one of those left over is drawn."""
    shares = np.full(groups, n // groups)
    shares[rng.permutation(groups)[: n % groups]] += 1
    return shares


def _draw(rng: np.random.Generator, own: NDArray[np.intp], share: int) -> NDArray[np.intp]:
    """Draw rows, every one ``share // len(own)`` times and some of them once more."""
    whole, left = divmod(share, len(own))
    return np.concatenate([np.tile(own, whole), rng.permutation(own)[:left]])
