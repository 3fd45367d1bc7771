"""Features made fit for a linear model: no gaps, mean 0, standard deviation 1."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from flare.errors import ForecasterInvalid
from flare.features.table import FEATURE_NAMES


@dataclass(frozen=True)
class Standardisation:
    """Fill, flag and scale the features of some names.

    A gap gets the training ``median``, (F,). For each of the ``flagged`` names, those that had
    gaps in training, a column of ones and zeros says where they are. ``mean`` and ``std``, (D,)
    with D = F + number of flags, are those of training, flags included.
    """

    names: tuple[str, ...]
    flagged: tuple[str, ...]
    median: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    def __call__(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, D) from features (N, all) in the order of ``FEATURE_NAMES``."""
        filled = _filled(features, self.names, self.flagged, self.median)
        return (filled - self.mean) / self.std

    def as_parts(self) -> dict[str, object]:
        """Return everything as JSON values."""
        return {
            "features": list(self.names),
            "flagged": list(self.flagged),
            "median": self.median.tolist(),
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
        }

    @classmethod
    def of_parts(cls, parts: dict[str, Any]) -> Self:
        """Rebuild from the values of ``as_parts``.

        Raises
        ------
        ForecasterInvalid
            A name is unknown or there twice, or numbers are too few, not finite or no scale.
        """
        names, flagged = tuple(parts["features"]), tuple(parts["flagged"])
        if not names or not set(flagged) <= set(names) <= set(FEATURE_NAMES):
            raise ForecasterInvalid(
                "it was fitted on other features than this version computes; fit it again"
            )
        if len(set(names)) < len(names) or len(set(flagged)) < len(flagged):
            raise ForecasterInvalid("it names a feature twice; fetch it again")
        width = len(names) + len(flagged)
        median = numbers(parts, "median", (len(names),))
        mean, std = numbers(parts, "mean", (width,)), numbers(parts, "std", (width,))
        if (std <= 0).any():
            raise ForecasterInvalid("std is not above 0 everywhere; fetch it again")
        return cls(names, flagged, median, mean, std)


def numbers(parts: dict[str, Any], name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return finite numbers of a shape from JSON values.

    Raises
    ------
    ForecasterInvalid
        They have another shape, or one of them is not finite.
    """
    found = np.array(parts[name], dtype=np.float64)
    if found.shape != shape or not np.isfinite(found).all():
        raise ForecasterInvalid(f"{name} is not {shape} finite numbers; fetch it again")
    return found


def fit_standardisation(
    features: NDArray[np.float64],
    names: tuple[str, ...] = FEATURE_NAMES,
    *,
    flags: bool = True,
) -> Standardisation:
    """Fit medians, flags and scales on training features (N, all), NaN where missing.

    A feature that was never there is filled with 0, and a constant column is not scaled. Without
    ``flags`` gaps are filled and not flagged.
    """
    chosen = features[:, _columns(names)]
    gaps = np.isnan(chosen)
    median = np.zeros(len(names))
    known = ~gaps.all(axis=0)
    median[known] = np.nanmedian(chosen[:, known], axis=0)
    flagged = tuple(names[column] for column in np.flatnonzero(gaps.any(axis=0)) if flags)
    filled = _filled(features, names, flagged, median)
    mean, std = filled.mean(axis=0), filled.std(axis=0)
    # A constant such as 0.1 has a mean that is rounded, and so a standard deviation above 0.
    std[std <= 1e-12 * np.abs(mean)] = 1.0
    return Standardisation(names, flagged, median, mean, std)


def _filled(
    features: NDArray[np.float64],
    names: tuple[str, ...],
    flagged: tuple[str, ...],
    median: NDArray[np.float64],
) -> NDArray[np.float64]:
    chosen = features[:, _columns(names)]
    flags = np.isnan(features[:, _columns(flagged)])
    return np.hstack([np.where(np.isnan(chosen), median, chosen), flags])


def _columns(names: tuple[str, ...]) -> list[int]:
    return [FEATURE_NAMES.index(name) for name in names]
