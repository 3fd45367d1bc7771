"""The seam between what is trained and what is used: every model in production is a Forecaster.

The forest, the networks and the climatology all answer the same call with the same Forecast, so
evaluation, packaging and serving are written once. Normalisation, thresholds and the interval
travel with the forecaster; nothing outside it changes a number.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from flare.errors import InputInvalid
from flare.goes import EVENTS
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
class Tuning:
    """What was fitted on validation regions after training.

    ``thresholds`` maps each event to the probability at and above which it is forecast, the one
    of the highest true skill statistic on validation. ``residual_low`` and ``residual_high``, in
    dex, are added to the log10 flux to give the interval.
    """

    thresholds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(EVENTS, 0.5))
    residual_low: float = 0.0
    residual_high: float = 0.0

    def interval(
        self, log10_flux: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and upper ends for forecasts of log10 flux, kept within its range."""
        low, high = LOG10_FLUX_RANGE
        return (
            np.clip(log10_flux + self.residual_low, low, high),
            np.clip(log10_flux + self.residual_high, low, high),
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
    def tuning(self) -> Tuning:
        """What was fitted on validation regions."""

    @property
    def origin(self) -> Origin:
        """What it was fitted and tuned on."""

    def with_tuning(self, tuning: Tuning) -> Self:
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
