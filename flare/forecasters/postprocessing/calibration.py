"""Calibration of an event's probability, and correction for class-weighted sampling.

A calibration is part of a forecaster's postprocessing; `fit_calibration` fits and chooses it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from flare.errors import ForecasterInvalid
from flare.flux_curve import log_rates, probabilities
from flare.verification.inputs import FloatArray

#: From the simplest to the most flexible.
METHODS = ("none", "temperature", "platt", "isotonic")

#: That of all events of one distribution together: it keeps them one distribution.
RATE = "rate"

Parameters = dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Calibration:
    """A rising function from a model's probability to the calibrated one.

    ``none`` changes nothing. ``temperature`` divides the log odds by ``temperature``; 2 halves the
    confidence (Guo et al. 2017, arXiv:1706.04599). ``platt`` takes ``slope`` times the log odds
    plus ``offset`` (Platt 1999, Advances in Large Margin Classifiers, 61). ``isotonic`` runs
    straight between the knots ``issued`` and ``calibrated``, and is constant beyond the outer ones
    (Zadrozny and Elkan 2002, doi:10.1145/775047.775151). ``rate`` takes ``slope`` times the log
    rate, log(-log(1 - p)), plus ``offset``: the same one for all events of a distribution.

    All but ``none`` keep the probability, before and after, within ``floor`` and 1 - ``floor``.

    Raises ForecasterInvalid: no such method, or parameters that give no rising function within
    0..1.
    """

    method: str = "none"
    parameters: Parameters = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse impossible values, as a damaged folder has them."""
        if self.method not in _NAMES:
            raise ForecasterInvalid(
                f"no calibration {self.method!r}; this version knows {', '.join(_NAMES)}"
            )
        if set(self.parameters) != set(_NAMES[self.method]):
            raise ForecasterInvalid(
                f"the calibration {self.method} has the parameters {sorted(self.parameters)}; "
                f"wanted {sorted(_NAMES[self.method])}"
            )
        values = [value for numbers in self.parameters.values() for value in numbers]
        if not (all(map(math.isfinite, values)) and _VALID[self.method](self.parameters)):
            raise ForecasterInvalid(
                f"the calibration {self.method} has impossible values: {self.parameters}"
            )

    def apply(self, probability: FloatArray) -> FloatArray:
        """Return the calibrated probabilities, of any shape."""
        if self.method == "none":
            return probability
        values = self.parameters
        floor = values["floor"][0]
        inside = np.clip(probability, floor, 1 - floor)
        if self.method == "isotonic":
            moved = np.interp(inside, values["issued"], values["calibrated"])
        elif self.method == RATE:
            moved = probabilities(values["slope"][0] * log_rates(inside) + values["offset"][0])
        elif self.method == "platt":
            moved = _sigmoid(values["slope"][0] * logit(inside) + values["offset"][0])
        else:
            moved = _sigmoid(logit(inside) / values["temperature"][0])
        return np.clip(moved, floor, 1 - floor)


def natural_probabilities(
    probability: FloatArray, class_sampling_weights: Sequence[float]
) -> FloatArray:
    """Correct probabilities for classes that were sampled more or less often in training.

    With p_c the probability of each class, which is what lies between an event and the next
    stronger one, p_c' = (p_c / w_c) / sum_k (p_k / w_k): `shift_prior` for more than two classes,
    exact where samples of a class look the same. Source: Saerens et al. 2002,
    doi:10.1162/089976602753284446, eq. 2.4.

    ``probability`` is (N, E), from weak to strong; an event that is more likely than a weaker one
    is lowered to it first. ``class_sampling_weights`` are w > 0, (E + 1,), below the weakest event
    first.
    """
    ordered = np.minimum.accumulate(probability, axis=1)
    edges = np.pad(ordered, [(0, 0), (1, 1)], constant_values=((0, 0), (1, 0)))
    classes = -np.diff(edges, axis=1) / np.asarray(class_sampling_weights)  # (N, E + 1)
    shares = classes / classes.sum(axis=1, keepdims=True)
    # Summed from the strongest down, so that rare events keep their digits.
    return np.asarray(np.cumsum(shares[:, :0:-1], axis=1)[:, ::-1], dtype=np.float64)


def logit(probability: FloatArray) -> FloatArray:
    """Return the log odds of probabilities strictly between 0 and 1."""
    return np.asarray(np.log(probability) - np.log1p(-probability), dtype=np.float64)


def _sigmoid(log_odds: FloatArray) -> FloatArray:
    # By the hyperbolic tangent, which does not overflow.
    return np.asarray(0.5 * (1 + np.tanh(log_odds / 2)), dtype=np.float64)


_NAMES: dict[str, tuple[str, ...]] = {
    "none": (),
    "temperature": ("temperature", "floor"),
    "platt": ("slope", "offset", "floor"),
    "isotonic": ("issued", "calibrated", "floor"),
    RATE: ("slope", "offset", "floor"),
}


def _one(values: Parameters, *names: str) -> bool:
    """Say whether these parameters, and a floor, are single numbers that can be used."""
    single = all(len(values[name]) == 1 for name in (*names, "floor"))
    return single and 0 < values["floor"][0] < 0.5


def _rising_knots(values: Parameters) -> bool:
    raw, calibrated = values["issued"], values["calibrated"]
    return (
        _one(values)
        and 0 < len(raw) == len(calibrated)
        and all(0 <= value <= 1 for value in (*raw, *calibrated))
        and all(left < right for left, right in pairwise(raw))
        and all(low <= high for low, high in pairwise(calibrated))
    )


_VALID: dict[str, Callable[[Parameters], bool]] = {
    "none": lambda _values: True,
    "temperature": lambda values: _one(values, "temperature") and values["temperature"][0] > 0,
    "platt": lambda values: _one(values, "slope", "offset") and values["slope"][0] > 0,
    "isotonic": _rising_knots,
    RATE: lambda values: _one(values, "slope", "offset") and values["slope"][0] > 0,
}
