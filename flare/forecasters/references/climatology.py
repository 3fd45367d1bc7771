"""The forecast that knows only the past: base rates and quantiles of the training labels.

The rival that every model has to beat, and the honest fallback where there is no model.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flare.errors import DatasetInvalid
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster, ForecasterSpec, Origin, check_cubes
from flare.forecasters.postprocessing.apply import PostProcessing
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
        """Repeat the climatology N times; the images are checked and not looked at."""
        check_cubes(cubes, present)
        n = len(cubes)
        lower, median, upper = (np.full(n, value) for value in self.log10_flux_quantiles)
        rates = np.asarray(self.rates, dtype=np.float64)
        finished = self.postprocessing.apply(median, np.tile(rates, (n, 1)), self.spec.events)
        return self.postprocessing.coherent(
            replace(finished, log10_flux=median, lower=lower, upper=upper)
        )

    def save_parts(self, folder: Path) -> dict[str, object]:  # noqa: ARG002 - it has no weights
        """Return rates and quantiles; there is nothing to write."""
        quantiles = list(self.log10_flux_quantiles)
        return {"rates": list(self.rates), "log10_flux_quantiles": quantiles}

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

    An event is forecast where its rate is at least 0.5, so in practice never. It is calibrated as
    it is, but knows its rates, so that it can be moved to others.
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
