"""References that do not look at the images: climatology, and one flux for every sample.

Climatology is what every model has to beat. The constant is the baseline that SDOBenchmark
publishes, 5.294e-7 W m^-2, the median of the training labels.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flare.errors import DatasetInvalid, ForecasterInvalid, InputInvalid
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster, ForecasterSpec, Origin, check_cubes
from flare.forecasters.postprocessing.apply import PostProcessing, made_coherent
from flare.goes import event_outcomes
from flare.sample import Cube, Present


@dataclass(frozen=True)
class Climatology(Forecaster):
    """Forecast the same for every sample: the training split's rates, median and quantiles.

    ``rates`` is P(event) in the order of ``spec.events``; ``log10_flux_quantiles`` are the lower
    end of the interval, the median and the upper end, in log10 W m^-2.
    """

    kind: ClassVar[str] = "climatology"
    rates: tuple[float, ...]
    log10_flux_quantiles: tuple[float, float, float]

    def predict(self, cubes: Cube, present: Present) -> Forecast:
        """Repeat the climatology N times; the images are checked and not used."""
        check_cubes(cubes, present)
        n = len(cubes)
        lower, median, upper = (np.full(n, value) for value in self.log10_flux_quantiles)
        rates = np.asarray(self.rates, dtype=np.float64)
        finished = self.postprocessing.apply(median, np.tile(rates, (n, 1)), self.spec.events)
        own = replace(finished, log10_flux=median, lower=lower, upper=upper)
        return made_coherent(own, level=self.postprocessing.interval_level)

    def save_parts(self, folder: Path) -> dict[str, object]:  # noqa: ARG002 - it has no weights
        """Return rates and quantiles; there is nothing to write."""
        return {"rates": self.rates, "log10_flux_quantiles": self.log10_flux_quantiles}

    @classmethod
    def load_parts(cls, folder: Path, parts: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG003
        """Rebuild from the JSON values of ``save_parts``."""
        low, median, high = (float(value) for value in parts["log10_flux_quantiles"])
        rates = tuple(float(rate) for rate in parts["rates"])
        return {"rates": rates, "log10_flux_quantiles": (low, median, high)}


def fit_climatology(
    peak_flux: NDArray[np.float64], *, spec: ForecasterSpec, origin: Origin
) -> Climatology:
    """Fit base rates, median and interval on training labels in W m^-2, shape (N,).

    An event is forecast where its rate is at least 0.5, so in practice never. The rates are stored
    in the postprocessing, so that the forecast can be moved to others.
    """
    if len(peak_flux) == 0:
        raise DatasetInvalid("no training labels to take a climatology of; check the split")
    rates = event_outcomes(peak_flux, spec.events).mean(axis=0)
    tail = (1 - spec.interval_level) / 2
    low, median, high = np.quantile(np.log10(peak_flux), [tail, 0.5, 1 - tail])
    return Climatology(
        rates=tuple(float(rate) for rate in rates),
        log10_flux_quantiles=(float(low), float(median), float(high)),
        spec=spec,
        postprocessing=PostProcessing(
            thresholds=dict.fromkeys(spec.events, 0.5),
            rates=dict(zip(spec.events, rates.tolist(), strict=True)),
            interval_level=spec.interval_level,
        ),
        origin=origin,
    )


@dataclass(frozen=True)
class Constant(Forecaster):
    """Forecast one peak flux for every sample, and each event with probability 1 or 0.

    ``peak_flux`` is in W m^-2; an event has probability 1 where that flux reaches it.
    ``log10_flux_interval`` are the ends of the interval in log10 W m^-2.
    """

    kind: ClassVar[str] = "constant"
    peak_flux: float
    log10_flux_interval: tuple[float, float]

    def predict(self, cubes: Cube, present: Present) -> Forecast:
        """Repeat the constant N times; the images are checked and not used."""
        check_cubes(cubes, present)
        n = len(cubes)
        low, high = self.log10_flux_interval
        reached = event_outcomes([self.peak_flux], self.spec.events).astype(np.float64)
        return Forecast(
            np.full(n, math.log10(self.peak_flux)),
            np.full(n, low),
            np.full(n, high),
            reached.repeat(n, axis=0),
            self.spec.events,
            self.postprocessing.thresholds,
        )

    def save_parts(self, folder: Path) -> dict[str, object]:  # noqa: ARG002 - it has no weights
        """Return flux and interval; there is nothing to write."""
        return {"peak_flux": self.peak_flux, "log10_flux_interval": self.log10_flux_interval}

    @classmethod
    def load_parts(cls, folder: Path, parts: dict[str, Any]) -> dict[str, Any]:
        """Rebuild from the JSON values of ``save_parts``."""
        flux = float(parts["peak_flux"])
        low, high = (float(value) for value in parts["log10_flux_interval"])
        if not (0 < flux < math.inf and -math.inf < low <= math.log10(flux) <= high < math.inf):
            raise ForecasterInvalid(
                f"the constant in {folder} is {flux} W m^-2 between 10^{low} and 10^{high}; "
                "fetch it again"
            )
        return {"peak_flux": flux, "log10_flux_interval": (low, high)}


def fit_constant(
    peak_flux: NDArray[np.float64],
    *,
    spec: ForecasterSpec,
    origin: Origin,
    stated: float | None = None,
) -> Constant:
    """Take the median of training labels in W m^-2, shape (N,), or the flux that is stated.

    The interval lies between quantiles of the labels, and is widened to hold a stated flux.
    """
    if len(peak_flux) == 0:
        raise DatasetInvalid("no training labels to take a constant of; check the split")
    flux = float(np.median(peak_flux)) if stated is None else stated
    if not 0 < flux < math.inf:
        raise InputInvalid(f"a constant of {flux} W m^-2 is not a peak flux; give one above 0")
    tail = (1 - spec.interval_level) / 2
    low, high = (float(end) for end in np.quantile(np.log10(peak_flux), [tail, 1 - tail]))
    middle = math.log10(flux)
    return Constant(flux, (min(low, middle), max(high, middle)), spec=spec, origin=origin)
