"""What goes into verification: what was forecast, what happened, and whether they fit together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare.errors import VerificationInvalid
from flare.goes import LABEL_SCALES, QUIET_FLUX
from flare.verification.inputs import FloatArray, number_array, probability_array, row_array


@dataclass(frozen=True)
class Issued:
    """What a forecaster issued for N samples.

    ``log10_flux`` with ``lower`` and ``upper`` is log10 of the peak flux in W m^-2, (N,), on the
    scale of the labels; ``probability`` is (N, E) in the order of ``events``; ``thresholds`` maps
    each event to the probability at and above which it counts as forecast.
    """

    log10_flux: FloatArray
    lower: FloatArray
    upper: FloatArray
    probability: FloatArray
    events: tuple[str, ...]
    thresholds: Mapping[str, float]

    def take(self, rows: ArrayLike) -> "Issued":
        """Return the forecasts of some samples: row numbers, or booleans (N,).

        Raises
        ------
        VerificationInvalid
            There is no such row, or there are more or fewer booleans than samples.
        """
        index = row_array(rows, len(self.log10_flux))
        return replace(
            self,
            log10_flux=self.log10_flux[index],
            lower=self.lower[index],
            upper=self.upper[index],
            probability=self.probability[index],
        )


@dataclass(frozen=True)
class Observed:
    """What happened: ``peak_flux`` in W m^-2 as labelled and NOAA ``active_region``, both (N,)."""

    peak_flux: FloatArray
    active_region: NDArray[np.integer]

    def take(self, rows: ArrayLike) -> "Observed":
        """Return the labels of some samples, as ``Issued.take`` does."""
        index = row_array(rows, len(self.peak_flux))
        return Observed(self.peak_flux[index], self.active_region[index])


def check_scorable(issued: Issued, observed: Observed, scale: str) -> None:
    """Raise VerificationInvalid unless forecasts and observations can be scored."""
    if scale not in LABEL_SCALES:
        raise VerificationInvalid(f"no label scale {scale!r}; choose from {list(LABEL_SCALES)}")
    n = np.size(observed.peak_flux)
    _check_observed(observed, n)
    for name in ("log10_flux", "lower", "upper"):
        number_array(name, getattr(issued, name), (n,))
    if np.any(issued.lower > issued.upper):
        raise VerificationInvalid("an interval whose lower end is above its upper end")
    probability_array("probability", issued.probability, (n, len(issued.events)))
    for event in issued.events:
        if event not in issued.thresholds:
            raise VerificationInvalid(
                f"no threshold for {event}; wanted one for each of {list(issued.events)}"
            )
        probability_array(f"threshold of {event}", issued.thresholds[event], ())


def _check_observed(observed: Observed, n: int) -> None:
    if n == 0:
        raise VerificationInvalid("no samples to score; the split is empty")
    flux = number_array("peak_flux", observed.peak_flux, (n,))
    if observed.peak_flux.dtype != np.float64:
        # float32 has no 1e-5: an M1.0 would be scored as a C9.9.
        raise VerificationInvalid(f"peak_flux is {observed.peak_flux.dtype}; wanted float64")
    if flux.min() <= 0:
        raise VerificationInvalid(f"a peak_flux of {flux.min()} W m^-2; quiet is {QUIET_FLUX}")
    if np.shape(observed.active_region) != (n,):
        raise VerificationInvalid(
            f"active_region has shape {np.shape(observed.active_region)}; wanted {(n,)}"
        )
