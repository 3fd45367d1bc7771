"""Turn the outputs of a model into a forecast: calibration, base rates, interval, coherence.

Flux, interval and event probabilities all describe one distribution of the peak flux F: its
quantile at the level q reaches a threshold t exactly where P(F >= t) >= 1 - q. Models compute the
parts in separate heads that are calibrated separately, so they may contradict each other. Forecasts
are scored and alerts decided by the probabilities, so these stay; flux and interval are moved, to
the nearest threshold at most, to where the probabilities allow them to be.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flare.errors import ConfigInvalid, ForecasterInvalid
from flare.flux_curve import flux_quantiles
from flare.forecast import LOG10_FLUX_RANGE, Forecast, move_to_rates, shift_prior
from flare.forecasters.postprocessing.calibration import Calibration
from flare.goes import EVENTS, flux_of_class

_Floats = NDArray[np.float64]
_Ends = tuple[_Floats, _Floats]

#: The share of cases that the flux interval is meant to hold, if nothing else is said.
INTERVAL_LEVEL = 0.9

#: How far below a threshold, in dex, a flux is surely of the weaker class: in 32 bits too.
JUST_BELOW = math.log10(1 - 1e-6)


@dataclass(frozen=True)
class PostProcessing:
    """Calibrations, thresholds and interval, fitted after training on out-of-fold forecasts.

    ``thresholds`` maps each event to the probability at and above which it is forecast.
    ``residual_low`` and ``residual_high``, in dex, are added to the ends of a model's interval, or
    to its log10 flux where it gives none. ``calibrations`` are by event, none where one is missing.
    ``rates`` are the event rates of the samples that the probabilities are meant for;
    ``stated_rates`` are others to which they are moved instead, and the thresholds are moved
    already. ``interval_level`` is the level that the interval was fitted for; None leaves flux and
    interval as they are, which fitting itself needs. With ``distribution`` the events are those of
    one distribution of the peak flux: flux and interval come from their probabilities, and all of
    them have the same calibration.
    """

    thresholds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(EVENTS, 0.5))
    residual_low: float = 0.0
    residual_high: float = 0.0
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    stated_rates: dict[str, float] = field(default_factory=dict)
    interval_level: float | None = None
    distribution: bool = False

    def __post_init__(self) -> None:
        """Refuse impossible rates, as a damaged folder has them."""
        if not all(0 <= rate <= 1 for rate in self.rates.values()):
            raise ForecasterInvalid(f"event rates of {self.rates}; a rate lies in 0..1")
        for event, rate in self.stated_rates.items():
            if not (0 < rate < 1 and 0 < self.rates.get(event, 0) < 1):
                raise ForecasterInvalid(
                    f"{event} is moved from the rate {self.rates.get(event)} to {rate}; "
                    "both must lie strictly between 0 and 1"
                )

    def apply(
        self,
        log10_flux: _Floats,
        probability: _Floats,
        events: tuple[str, ...],
        *,
        ends: _Ends | None = None,
        level: float = INTERVAL_LEVEL,
    ) -> Forecast:
        """Make the forecast from the outputs of a model.

        Each event is calibrated, a stronger one is never left more likely than a weaker one,
        events with a stated rate are moved to it, and flux and interval are made coherent with the
        probabilities.

        Parameters
        ----------
        log10_flux
            Shape (N,), from the model; ignored with ``distribution``.
        probability
            Shape (N, E), from the model, in 0..1; each event on its own, from weak to strong.
        ends
            Lower and upper end of the model's interval, both (N,); None where it gives none.
        level
            Share of cases between the ends that a distribution gives.
        """
        columns = [
            self.calibrations.get(event, Calibration()).apply(probability[:, k])
            for k, event in enumerate(events)
        ]
        ordered = np.minimum.accumulate(np.column_stack(columns), axis=1)
        calibrated = np.clip(
            move_to_rates(ordered, events, self.rates, self.stated_rates), 0.0, 1.0
        )
        if self.distribution:
            levels = (1 - level) / 2, 0.5, (1 + level) / 2
            quantiles = np.clip(flux_quantiles(calibrated, events, levels), *LOG10_FLUX_RANGE)
            log10_flux, ends = quantiles[:, 1], (quantiles[:, 0], quantiles[:, 2])
        low, high = LOG10_FLUX_RANGE
        lower, upper = (log10_flux, log10_flux) if ends is None else ends
        forecast = Forecast(
            log10_flux,
            # The forecast itself is always inside.
            np.minimum(np.clip(lower + self.residual_low, low, high), log10_flux),
            np.maximum(np.clip(upper + self.residual_high, low, high), log10_flux),
            calibrated,
            events,
            self.thresholds,
        )
        return made_coherent(forecast, level=self.interval_level)

    def at_rates(self, stated: Mapping[str, float]) -> "PostProcessing":
        """Return the postprocessing for a time or place with other event rates.

        Thresholds move with the probabilities, so an event is forecast for the same samples as
        before, unless a weaker event is moved up less, or down more: a stronger one cannot become
        more likely, and may lose alarms to it. Rates stated before are replaced.

        Raises ConfigInvalid: an event that is not forecast or whose own rate is unknown, a rate
        that is not strictly between 0 and 1, or a stronger event with a higher rate than a weaker
        one.
        """
        thresholds = dict(self.thresholds)
        for event, rate in stated.items():
            if event not in thresholds:
                raise ConfigInvalid(
                    f"a rate is stated for {event!r}; choose from {', '.join(thresholds)}"
                )
            own = self.rates.get(event, 0.0)
            if not 0 < own < 1:
                raise ConfigInvalid(
                    f"the forecaster does not know at which rate of {event} it was calibrated, or "
                    "had no events or nothing else; train one on data with both"
                )
            if not 0 < rate < 1:
                raise ConfigInvalid(
                    f"the stated rate of {event} is {rate}; write one strictly between 0 and 1"
                )
            before = self.stated_rates.get(event, own)
            thresholds[event] = float(shift_prior(thresholds[event], before, rate))
        all_stated = {**self.stated_rates, **stated}
        _check_order({**self.rates, **all_stated} if stated else {})
        return replace(self, thresholds=thresholds, stated_rates=all_stated)


def quantile_bounds(
    probability: _Floats, events: Sequence[str], exceeded: float
) -> tuple[_Floats, _Floats]:
    """Return the lowest and highest log10 flux, (N,), that event probabilities allow a quantile.

    Both are inclusive, and infinite where no event bounds the quantile. ``probability`` is (N, E),
    never rising from one event to a stronger one; ``exceeded`` is one minus the quantile's level.
    """
    thresholds = np.array([math.log10(flux_of_class(event)) for event in events])
    reached = probability >= exceeded
    below = thresholds + JUST_BELOW
    low = np.where(reached, thresholds, -np.inf).max(axis=1, initial=-np.inf)
    high = np.where(reached, np.inf, below).min(axis=1, initial=np.inf)
    return low, high


def made_coherent(forecast: Forecast, *, level: float | None) -> Forecast:
    """Move flux and interval to where the probabilities allow them.

    ``level`` is the share of cases that the interval is meant to hold, half of the rest on either
    side, None for no change; the flux is taken as the median.
    """
    if level is None:
        return forecast

    def moved(values: _Floats, exceeded: float) -> _Floats:
        bounds = quantile_bounds(forecast.probability, forecast.events, exceeded)
        return np.clip(values, *bounds)

    return replace(
        forecast,
        log10_flux=moved(forecast.log10_flux, 0.5),
        lower=moved(forecast.lower, (1 + level) / 2),
        upper=moved(forecast.upper, (1 - level) / 2),
    )


def are_coherent(forecast: Forecast, *, level: float) -> NDArray[np.bool_]:
    """Return, for each of N forecasts, True if flux, interval and probabilities agree, (N,)."""
    moved = made_coherent(forecast, level=level)
    return np.asarray(
        (moved.log10_flux == forecast.log10_flux)
        & (moved.lower == forecast.lower)
        & (moved.upper == forecast.upper)
    )


def _check_order(rates: Mapping[str, float]) -> None:
    """Raise ConfigInvalid where a stronger event is to be more frequent than a weaker one."""
    for weaker, stronger in pairwise(sorted(rates, key=flux_of_class)):
        if rates[stronger] > rates[weaker]:
            raise ConfigInvalid(
                f"with these base rates {stronger} is at {rates[stronger]:g} and {weaker} at "
                f"{rates[weaker]:g}, but every {stronger} is a {weaker} too; state both"
            )
