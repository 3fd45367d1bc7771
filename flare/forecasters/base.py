"""The seam between what is trained and what is used: every model in production is a Forecaster.

The forest, the networks and the climatology all answer the same call with the same Forecast, so
evaluation, packaging and serving are written once. Normalisation, calibration, thresholds and the
interval travel with the forecaster; nothing outside it changes a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from flare.errors import ConfigInvalid, ForecasterInvalid, InputInvalid
from flare.flux_curve import flux_quantiles
from flare.forecasters.postprocessing.calibration import Calibration, shift_prior
from flare.forecasters.postprocessing.coherence import made_coherent
from flare.goes import EVENTS, flux_of_class
from flare.sample import (
    CHANNELS,
    FORECAST_WINDOW_HOURS,
    N_CHANNELS,
    N_STEPS,
    STEP_OFFSETS_MINUTES,
    Cube,
    Present,
)

#: What a forecast of log10 flux in W m^-2 is kept within: from SDOBenchmark's quiet to ten times
#: the largest flare on record. A network that was barely trained can answer anything.
LOG10_FLUX_RANGE = (-9.0, -2.0)


@dataclass(frozen=True)
class ForecasterSpec:
    """What a forecaster takes and what it answers.

    ``image_size`` is what it works on: larger images whose edge is a multiple of it are averaged
    down first. ``interval_level`` is the share of cases that the flux interval is meant to hold.
    """

    image_size: int
    channels: tuple[str, ...] = CHANNELS
    step_offsets_minutes: tuple[int, ...] = STEP_OFFSETS_MINUTES
    events: tuple[str, ...] = EVENTS
    window_hours: int = FORECAST_WINDOW_HOURS
    interval_level: float = 0.9


@dataclass(frozen=True)
class Forecast:
    """Forecasts of N samples.

    ``log10_flux`` with ``lower`` and ``upper`` is log10 of the peak flux in W m^-2, shape (N,);
    ``probability`` is P(event) in 0..1 in the order of ``events``, shape (N, E), and never rises
    from one event to a stronger one. All are float64 and finite.
    """

    log10_flux: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    probability: NDArray[np.float64]
    events: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.log10_flux)

    def probability_of(self, event: str) -> NDArray[np.float64]:
        """Return P(event), shape (N,)."""
        return self.probability[:, self.events.index(event)]


@dataclass(frozen=True)
class Origin:
    """Where a forecaster comes from, so that nobody scores it on what it has seen.

    ``active_regions`` are the NOAA numbers of all regions that it was fitted or tuned on;
    ``synthetic_seed`` is the seed that invented them, None where they are real or nobody knows.
    """

    data_fingerprint: str
    data_name: str
    synthetic: bool
    active_regions: tuple[int, ...]
    n_samples: int
    synthetic_seed: int | None = None


@dataclass(frozen=True)
class PostProcessing:
    """What was fitted after training, on samples that the forecaster had not seen.

    ``thresholds`` maps each event to the probability at and above which it is forecast, the one
    of the highest true skill statistic there. ``residual_low`` and ``residual_high``, in dex, are
    added to the ends that a model issued, or to its log10 flux where it issued no ends, to give the
    interval. ``calibrations`` are by event, none where an event
    is missing. ``rates`` are the event rates of the samples that the probabilities are meant for;
    ``stated_rates`` are others to which they are moved instead, and the thresholds are already.
    ``interval_level`` is what the interval was fitted for: flux and interval are kept where the
    probabilities allow them (`postprocessing.coherence`); None leaves them as they are, which
    tuning itself needs.
    With ``distribution`` the events are those of one distribution of the peak flux: flux and
    interval come from their probabilities, and all of them have the same calibration.
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
        """Refuse rates that nothing can be moved by: they were read from a damaged folder."""
        if not all(0 <= rate <= 1 for rate in self.rates.values()):
            raise ForecasterInvalid(f"event rates of {self.rates}; a rate lies in 0..1")
        for event, rate in self.stated_rates.items():
            if not (0 < rate < 1 and 0 < self.rates.get(event, 0) < 1):
                raise ForecasterInvalid(
                    f"{event} is moved from the rate {self.rates.get(event)} to {rate}; "
                    "both must lie strictly between 0 and 1"
                )

    def finish(
        self,
        log10_flux: NDArray[np.float64],
        probability: NDArray[np.float64],
        events: tuple[str, ...],
        *,
        ends: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
        level: float = ForecasterSpec.interval_level,
    ) -> Forecast:
        """Make the forecast of what a model issued.

        Each event is calibrated, a stronger one is never left more likely than a weaker one,
        whatever has a stated rate is moved to it, and flux and interval are made coherent with
        the probabilities.

        Parameters
        ----------
        log10_flux
            Shape (N,), as issued; not looked at with ``distribution``.
        probability
            Shape (N, E), as issued, in 0..1; each event on its own.
        events
            Their names, from weak to strong.
        ends
            Lower and upper end of the interval as issued, both (N,); None where there is none.
        level
            Share of cases between the ends that a distribution gives.
        """
        columns = [
            self.calibrations.get(event, Calibration()).apply(probability[:, k])
            for k, event in enumerate(events)
        ]
        finished = np.minimum.accumulate(np.column_stack(columns), axis=1)
        for k, event in enumerate(events):
            if event in self.stated_rates:
                rates = self.rates[event], self.stated_rates[event]
                finished[:, k] = shift_prior(finished[:, k], *rates)
        finished = np.clip(np.minimum.accumulate(finished, axis=1), 0.0, 1.0)
        if self.distribution:
            levels = (1 - level) / 2, 0.5, (1 + level) / 2
            quantiles = np.clip(flux_quantiles(finished, events, levels), *LOG10_FLUX_RANGE)
            log10_flux, ends = quantiles[:, 1], (quantiles[:, 0], quantiles[:, 2])
        return self.coherent(
            Forecast(log10_flux, *self.interval(log10_flux, ends), finished, events)
        )

    def coherent(self, forecast: Forecast) -> Forecast:
        """Return a forecast whose flux and interval do not contradict its probabilities."""
        level = self.interval_level
        if level is None:
            return forecast
        ends, events = (forecast.lower, forecast.upper), forecast.events
        flux, lower, upper = made_coherent(
            forecast.log10_flux, ends, forecast.probability, events, level=level
        )
        return Forecast(flux, lower, upper, forecast.probability, events)

    def at_rates(self, stated: Mapping[str, float]) -> "PostProcessing":
        """Return the tuning for a time or place where events are more or less frequent.

        Thresholds move with the probabilities, so an event with a stated rate is forecast for the
        same samples as before; but an event that is moved up more, or down less, than a weaker one
        cannot become likelier than that one, and may lose alarms to it: an event without a stated
        rate too. Rates stated before are replaced.

        Raises
        ------
        ConfigInvalid
            An event that is not forecast, a rate that is not strictly between 0 and 1, an event
            whose own rate this forecaster does not know, or rates of which a stronger event has the
            higher one: every M1.0 is a C1.0.
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
            moved = shift_prior(np.array([thresholds[event]]), before, rate)
            thresholds[event] = float(moved[0])
        all_stated = {**self.stated_rates, **stated}
        _check_order({**self.rates, **all_stated} if stated else {})
        return replace(self, thresholds=thresholds, stated_rates=all_stated)

    def interval(
        self,
        log10_flux: NDArray[np.float64],
        ends: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and upper ends of forecasts of log10 flux, kept within its range.

        The forecast itself is always inside.
        """
        low, high = LOG10_FLUX_RANGE
        lower, upper = (log10_flux, log10_flux) if ends is None else ends
        return (
            np.minimum(np.clip(lower + self.residual_low, low, high), log10_flux),
            np.maximum(np.clip(upper + self.residual_high, low, high), log10_flux),
        )


def _check_order(rates: Mapping[str, float]) -> None:
    """Raise ConfigInvalid where a stronger event is to be more frequent than a weaker one."""
    for weaker, stronger in pairwise(sorted(rates, key=flux_of_class)):
        if rates[stronger] > rates[weaker]:
            raise ConfigInvalid(
                f"with these base rates {stronger} is at {rates[stronger]:g} and {weaker} at "
                f"{rates[weaker]:g}, but every {stronger} is a {weaker} too; state both"
            )


class Forecaster(Protocol):
    """Anything that forecasts from cubes, and is saved in and loaded from a folder."""

    @property
    def kind(self) -> str:
        """The name under which the folder format knows the class: ``forest``, ``neural``, ..."""

    @property
    def spec(self) -> ForecasterSpec:
        """What it takes and answers."""

    @property
    def postprocessing(self) -> PostProcessing:
        """What was fitted after training, on samples it had not seen."""

    @property
    def origin(self) -> Origin:
        """What it was fitted and tuned on."""

    def with_postprocessing(self, postprocessing: PostProcessing) -> Self:
        """Return the same forecaster with other thresholds and residuals."""

    def predict(self, cubes: Cube, present: Present) -> Forecast:
        """Forecast N samples.

        Parameters
        ----------
        cubes
            uint8 (N, T, C, S, S) with S a multiple of ``spec.image_size``.
        present
            bool (N, T, C); a plane that is False is not looked at.
        """

    def save_parts(self, folder: Path) -> dict[str, object]:
        """Write weights into the folder; return what else is needed, as JSON values."""


def check_cubes(cubes: Cube, present: Present) -> None:
    """Raise InputInvalid unless cubes and present fit together and are of the right types."""
    if cubes.ndim != 5 or cubes.shape[1:3] != (N_STEPS, N_CHANNELS):
        raise InputInvalid(
            f"cubes have shape {tuple(cubes.shape)}; wanted (N, {N_STEPS}, {N_CHANNELS}, S, S)"
        )
    if cubes.dtype != np.uint8:
        raise InputInvalid(f"cubes are {cubes.dtype}; wanted uint8 grey levels 0..255")
    if present.shape != cubes.shape[:3] or present.dtype != np.bool_:
        raise InputInvalid(
            f"the present mask is {present.dtype} {tuple(present.shape)}; "
            f"wanted bool {tuple(cubes.shape[:3])}"
        )
