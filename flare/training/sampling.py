"""Sample the rows of an epoch: each once, or all classes or active regions equally often.

Balanced sampling repeats rare samples and leaves out some frequent ones; an epoch always has as
many rows as the split.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flare.config.network_groups import ObjectiveOptions
from flare.goes import CLASS_LETTERS, class_index

#: From an epoch's random generator to the row numbers of the epoch, in order.
Sampler = Callable[[np.random.Generator], NDArray[np.intp]]

#: The last of four sampled classes: below B1.0, B, C, and M with X, which is too rare alone.
_STRONGEST = CLASS_LETTERS.index("M")


def build_sampler(
    objective: ObjectiveOptions,
    rows: NDArray[np.intp],
    peak_flux: NDArray[np.float64],
    regions: NDArray[np.integer],
) -> Sampler:
    """Return the sampler of an objective.

    ``natural`` gives every row once. ``class_balanced`` gives a quarter each to samples below
    B1.0, of class B, of class C, and of M or X; ``region_balanced`` gives every active region an
    equal share. Within a class or region, the counts of any two rows differ by at most one.

    ``rows`` are row numbers of the training samples, ``peak_flux`` their labels in W m^-2 and
    ``regions`` their active regions, all (n,).
    """
    if objective.sampling == "natural":
        return lambda rng: rng.permutation(rows)
    groups = _classes(peak_flux) if objective.sampling == "class_balanced" else regions
    members = [rows[groups == group] for group in np.unique(groups)]

    def sampler(rng: np.random.Generator) -> NDArray[np.intp]:
        share, remainder = divmod(len(rows), len(members))
        shares = np.full(len(members), share)
        shares[rng.permutation(len(members))[:remainder]] += 1
        chosen = []
        for own, share in zip(members, shares, strict=True):
            whole, left = divmod(share, len(own))
            chosen += [np.tile(own, whole), rng.permutation(own)[:left]]
        return rng.permutation(np.concatenate(chosen))

    return sampler


def class_weights(objective: ObjectiveOptions, peak_flux: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the sampled frequency of each class over its natural one: below B1.0, B, C, M, X.

    Empty without class balancing. Probabilities learned from balanced classes hold at the sampled
    frequencies; dividing by these weights converts them to the natural ones. ``peak_flux`` are
    labels of the training samples in W m^-2, (n,).
    """
    if objective.sampling != "class_balanced":
        return ()
    counts = np.bincount(_classes(peak_flux), minlength=_STRONGEST + 1)
    equal = len(peak_flux) / np.count_nonzero(counts)
    weights = [float(equal / count) if count else 1.0 for count in counts]
    return (*weights, weights[-1])  # X is sampled as often as M


def _classes(peak_flux: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.minimum(class_index(peak_flux), _STRONGEST)
