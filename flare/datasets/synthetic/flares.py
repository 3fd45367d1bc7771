"""Draw how often a region flares, how large its largest flare is, and the label of a window.

Flares are a Poisson process whose sizes follow a power law that is tapered at the largest flare a
region can have (a tapered Pareto distribution: Kagan 2002, doi:10.1046/j.1365-246x.2002.01594.x).
That largest flare grows with the flux near inversion lines (Schrijver 2007, doi:10.1086/511857).
Everything here is in the units of SDOBenchmark's labels, W m^-2, which are the NOAA flux divided by
0.85. The power law itself, dN/dF ~ F^-alpha, has alpha within the observed 2.0 to 2.3
(Aschwanden and Freeland 2012, doi:10.1088/0004-637X/754/2/112).

``LEVELS`` differ in how far flare rates lie apart, how steeply the largest possible flare rises
with the flux near the inversion line, and how much of a region's rate its images do not show. In
each, the mean rate and the slope of the size distribution were fitted so that training labels have
the class mix of SDOBenchmark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flare.goes import CLASS_FLOORS, EVENTS, LABEL_SCALES, QUIET_FLUX, flux_of_class

_REFERENCE = CLASS_FLOORS["C"]
_CEILING = 2e-3  # about X17 on NOAA's scale

# Small flares are lost in the background of the whole Sun: half of them at this log10 flux.
_DETECTION_CENTRE, _DETECTION_WIDTH = -6.29, 0.1
_ALWAYS_DETECTED = 0.84e-6  # below the edge of the smallest event, so that its probability is exact
_SMALLEST = CLASS_FLOORS["B"] / LABEL_SCALES["noaa"]
#: Quantiles of the label in the oracle's table: the ends of a 90 % interval, and the median.
QUANTILES = (0.05, 0.5, 0.95)

_LOWEST, _HIGHEST, _GRID = -7.0, -2.6, 0.02  # log10 flux, where quantiles are searched
_HALVINGS = 40  # of the seven decades in which a flux is searched


@dataclass(frozen=True)
class FlareProcess:
    """The flares of a region in 24 h.

    ``rate``: expected number with a label >= 1e-6 W m^-2 if sizes were not tapered. ``slope`` of
    the cumulative size distribution (alpha - 1). ``corner``: flux in W m^-2 where it is tapered.
    """

    rate: float
    slope: float
    corner: float

    def above(self, flux: float) -> float:
        """Return the expected number of flares >= ``flux`` W m^-2."""
        if flux > _CEILING:
            return 0.0
        power: float = (flux / _REFERENCE) ** -self.slope
        return self.rate * power * math.exp(-flux / self.corner)

    def probability(self, event: str) -> float:
        """Return the true probability that the label reaches ``event``, such as ``M1.0``.

        The labels are rounded to 0.1 of a NOAA class, hence the event begins at the lower edge of
        the step that its threshold falls on.
        """
        noaa = flux_of_class(event) * LABEL_SCALES["noaa"]
        step = 10.0 ** math.floor(math.log10(noaa)) / 10
        edge = (round(noaa / step) - 0.5) * step / LABEL_SCALES["noaa"]
        return self._labelled_above(edge)

    def _labelled_above(self, flux: float) -> float:
        """Return the probability that the largest flare is >= ``flux`` W m^-2 and on the list.

        Exact where every flare is on the list; below, a sum over 200 steps, exact to 1e-4.
        """
        certain = max(flux, _ALWAYS_DETECTED)
        edges = np.geomspace(flux, certain, 201)
        exceeded = [-math.expm1(-self.above(edge)) for edge in edges.tolist()]
        chances = [_detected(middle) for middle in np.sqrt(edges[1:] * edges[:-1]).tolist()]
        return exceeded[-1] + float(np.dot(-np.diff(exceeded), chances))

    def truth(self) -> dict[str, float]:
        """Return the true distribution of the label: rates, probabilities, log10 quantiles."""
        rates = {f"lambda_{letter}": self.above(CLASS_FLOORS[letter]) for letter in "CMX"}
        rates |= {f"p_{event}": self.probability(event) for event in EVENTS}
        quantiles = zip(QUANTILES, self.log10_flux_quantiles(QUANTILES), strict=True)
        return rates | {f"log10_flux_q{100 * level:02.0f}": flux for level, flux in quantiles}

    def log10_flux_quantiles(self, levels: Sequence[float]) -> list[float]:
        """Return quantiles of log10 of the label in W m^-2, to 0.02; quiet is -9."""
        count = round((_HIGHEST - _LOWEST) / _GRID) + 1
        edges = [10.0 ** (_LOWEST + k * _GRID) for k in range(count)]
        largest_is_above = [-math.expm1(-self.above(flux)) for flux in edges]
        label_is_above = 0.0
        above = [0.0]  # from the top down: the probability that the label is above an edge
        for k in range(len(edges) - 2, -1, -1):
            middle = math.sqrt(edges[k] * edges[k + 1])
            step = largest_is_above[k] - largest_is_above[k + 1]
            label_is_above += step * _detected(middle)
            above.append(label_is_above)
        above.reverse()
        quantiles = []
        for level in levels:
            first = next(k for k, chance in enumerate(above) if chance <= 1 - level)
            quantiles.append(math.log10(edges[first] if first else QUIET_FLUX))
        return quantiles

    def draw_peak_flux(self, rng: np.random.Generator) -> float:
        """Draw the label of a window: the largest detected flare in W m^-2, or ``QUIET_FLUX``."""
        waiting, luck = rng.exponential(), rng.random()
        flux = self._exceeded(waiting)
        return rounded(flux) if luck < _detected(flux) else QUIET_FLUX

    def _exceeded(self, number: float) -> float:
        """Return the flux that ``number`` flares are expected to exceed."""
        low, high = math.log10(QUIET_FLUX), math.log10(_CEILING)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            if self.above(10.0**middle) > number:
                low = middle
            else:
                high = middle
        return float(10.0**low)


def _detected(flux: float) -> float:
    """Return the probability that a flare of a flux in W m^-2 is on the list behind the labels."""
    if flux >= _ALWAYS_DETECTED or flux < _SMALLEST:
        return float(flux >= _ALWAYS_DETECTED)
    return 1 / (1 + math.exp((_DETECTION_CENTRE - math.log10(flux)) / _DETECTION_WIDTH))


def rounded(flux: float) -> float:
    """Round a label in W m^-2 to 0.1 of a NOAA class, as the event lists behind it are."""
    noaa = flux * LABEL_SCALES["noaa"]
    exponent = math.floor(math.log10(noaa))
    multiple = round(noaa / 10.0**exponent, 1)
    # By way of decimal text, so that C8.5 becomes 1e-5 and not the float just below it.
    return float(f"{multiple / LABEL_SCALES['noaa']:.12f}e{exponent}")


#: Weight of emergence in the standardised logarithm of the flare rate, at every level.
EMERGENCE = 0.20


@dataclass(frozen=True)
class Level:
    """Parameters of one level of difficulty.

    ``rate_mean`` and ``rate_deviation``: of ln(flares with a label >= 1e-6 in 24 h) if sizes were
    not tapered. ``slope``: of the cumulative size distribution. ``corner`` and ``corner_rise``:
    log10 of the flux (W m^-2) where that distribution is tapered, for a region of typical
    contact between its polarities, and its rise for each standard deviation of the contact.
    ``hidden``: weight in the standardised log rate of what magnetograms do not show; squares of the
    weights of contact, emergence and hidden add up to 1. ``heating``: how much of the standardised
    log rate shows in the brightness of the hot corona, in e-folds.
    """

    rate_mean: float
    rate_deviation: float
    slope: float
    corner: float
    corner_rise: float
    hidden: float
    heating: float

    @property
    def contact(self) -> float:
        """Weight of the contact between the polarities."""
        return float((1 - EMERGENCE**2 - self.hidden**2) ** 0.5)


#: ``medium`` has the spread of rates that was fitted to the Sun's class mix; in ``easy`` rates lie
#: further apart, in ``hard`` closer together and half hidden.
LEVELS: dict[str, Level] = {
    "easy": Level(-0.305, 2.20, 1.15, -6.00, 0.60, hidden=0.10, heating=0.55),
    "medium": Level(-0.80, 1.74, 1.15, -5.22, 0.60, hidden=0.20, heating=0.45),
    "hard": Level(-0.893, 1.40, 1.25, -2.05, 0.15, hidden=0.50, heating=0.25),
}
