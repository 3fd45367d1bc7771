"""Forecasts of peak flux and event probabilities, as forecasters return and scores take them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import ConfigInvalid

if TYPE_CHECKING:
    import pandas as pd

_Floats = NDArray[np.float64]

#: Limits of forecasts of log10 flux in W m^-2: from SDOBenchmark's quiet to ten times the largest
#: flare on record. A network that was barely trained can return anything.
LOG10_FLUX_RANGE = (-9.0, -2.0)

_PROBABILITY = "probability_"  # before the event in the name of a column


@dataclass(frozen=True)
class Forecast:
    """Forecasts of N samples.

    ``log10_flux`` with ``lower`` and ``upper`` is log10 of the peak flux in W m^-2, shape (N,), on
    the scale of the labels; ``probability`` is P(event) in 0..1 in the order of ``events``, shape
    (N, E), and never rises from one event to a stronger one. All are float64 and finite.
    ``thresholds`` maps each event to the probability at and above which it counts as forecast;
    scores of yes-or-no forecasts need them.
    """

    log10_flux: _Floats
    lower: _Floats
    upper: _Floats
    probability: _Floats
    events: tuple[str, ...]
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.log10_flux)

    def probability_of(self, event: str) -> _Floats:
        """Return P(event), shape (N,)."""
        return self.probability[:, self.events.index(event)]

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Forecast":
        """Return the forecasts of some samples: row numbers, or booleans (N,)."""
        return replace(
            self,
            log10_flux=self.log10_flux[rows],
            lower=self.lower[rows],
            upper=self.upper[rows],
            probability=self.probability[rows],
        )

    @staticmethod
    def concatenate(parts: Sequence["Forecast"]) -> "Forecast":
        """Join forecasts of the same events with the same thresholds, in their order."""
        return replace(
            parts[0],
            log10_flux=np.concatenate([part.log10_flux for part in parts]),
            lower=np.concatenate([part.lower for part in parts]),
            upper=np.concatenate([part.upper for part in parts]),
            probability=np.concatenate([part.probability for part in parts]),
        )

    def columns(self) -> dict[str, _Floats]:
        """Return the columns of a table with a row a sample, each (N,), by name."""
        probabilities = zip(self.events, self.probability.T, strict=True)
        return {
            "log10_flux": self.log10_flux,
            "lower": self.lower,
            "upper": self.upper,
            **{f"{_PROBABILITY}{event}": column for event, column in probabilities},
        }

    @classmethod
    def from_columns(
        cls, table: "pd.DataFrame", thresholds: Mapping[str, float] | None = None
    ) -> "Forecast":
        """Return the forecasts of a table with the ``columns``.

        Raises KeyError: a column of the flux is missing; ValueError: a value is not a number, or
        there is no probability.
        """
        names = [name for name in table.columns if name.startswith(_PROBABILITY)]
        flux, lower, upper, *probabilities = (
            np.asarray(table[name], dtype=np.float64)
            for name in ("log10_flux", "lower", "upper", *names)
        )
        events = tuple(name.removeprefix(_PROBABILITY) for name in names)
        return cls(flux, lower, upper, np.column_stack(probabilities), events, thresholds or {})

    def at_rates(self, own: Mapping[str, float], stated: Mapping[str, float]) -> "Forecast":
        """Move the forecast from the event rates ``own`` to ``stated`` rates of some events.

        Thresholds move with the probabilities, so the same samples are at or above them; see
        ``PostProcessing.at_rates``. Flux and interval stay.
        """
        if not stated:
            return self
        moved = {
            event: float(shift_prior(self.thresholds[event], own[event], rate))
            for event, rate in stated.items()
        }
        probability = move_to_rates(self.probability, self.events, own, stated)
        return replace(self, probability=probability, thresholds={**self.thresholds, **moved})


def move_to_rates(
    probability: _Floats,
    events: Sequence[str],
    own: Mapping[str, float],
    stated: Mapping[str, float],
) -> _Floats:
    """Move probabilities (N, E) from their own event rates to the stated ones.

    A stronger event is never left more likely than a weaker one. Events without a stated rate keep
    theirs.
    """
    moved = probability.copy()
    for k, event in enumerate(events):
        if event in stated:
            moved[:, k] = shift_prior(moved[:, k], own[event], stated[event])
    return np.asarray(np.minimum.accumulate(moved, axis=1))


def shift_prior(probability: ArrayLike, from_rate: float, to_rate: float) -> _Floats:
    """Move probabilities that hold at one event rate to another rate.

    odds' = odds * [b' / (1 - b')] / [b / (1 - b)], for events that look the same and are only more
    or less frequent. Source: Saerens et al. 2002, doi:10.1162/089976602753284446.

    Raises ConfigInvalid: a rate is not strictly between 0 and 1.
    """
    for name, rate in (("from_rate", from_rate), ("to_rate", to_rate)):
        if not 0 < rate < 1:
            raise ConfigInvalid(f"{name} is {rate}; an event rate lies strictly between 0 and 1")
    chance = np.asarray(probability, dtype=np.float64)
    more, less = to_rate / from_rate, (1 - to_rate) / (1 - from_rate)
    happens, fails = chance * more, (1 - chance) * less
    return np.asarray(happens / (happens + fails), dtype=np.float64)


def natural_probabilities(probability: _Floats, class_sampling_weights: Sequence[float]) -> _Floats:
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
