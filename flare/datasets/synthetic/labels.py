"""How often a region flares, how large its largest flare is, and what the label file then says.

Flares are a Poisson process whose sizes follow a power law dN/dF ~ F^-alpha, cut at the largest
flare that is allowed. Everything here is in the units of SDOBenchmark's labels, W m^-2, which are
the NOAA flux divided by 0.85. The lognormal rates and alpha reproduce the class mix of
SDOBenchmark's training split; alpha lies within the observed 2.0 to 2.3 (Aschwanden and Freeland
2012, doi:10.1088/0004-637X/754/2/112).
"""

import math

import numpy as np

from flare.goes import CLASS_FLOORS, EVENTS, LABEL_SCALES, QUIET_FLUX, flux_of_class

#: ln of the expected number of flares >= 1e-6 in 24 h is normal with this mean and deviation.
LOG_RATE_MEAN, LOG_RATE_DEVIATION = -0.99, 1.74
SLOPE = 2.29 - 1  # of the cumulative size distribution

_FLOOR = CLASS_FLOORS["C"]
_CEILING = 2e-3  # about X17 on NOAA's scale
_CUT = (_CEILING / _FLOOR) ** -SLOPE

# A small flare is lost in the background of the whole Sun: half of them are at this log10 flux.
_DETECTION_CENTRE, _DETECTION_WIDTH = -6.25, 0.1
_ALWAYS_DETECTED = 0.84e-6  # below the edge of the smallest event, so that its probability is exact
_SMALLEST = 0.95e-7 / LABEL_SCALES["noaa"]  # B1.0 after rounding


def rate_above(flux: float, rate: float) -> float:
    """Return the expected number of flares >= ``flux`` W m^-2, given that of flares >= 1e-6."""
    share: float = max((flux / _FLOOR) ** -SLOPE - _CUT, 0.0) / (1 - _CUT)
    return rate * share


def event_probability(event: str, rate: float) -> float:
    """Return the true probability that the label reaches ``event``, such as ``M1.0``.

    The labels are rounded to 0.1 of a NOAA class, hence the event begins at the lower edge of the
    step that its threshold falls on.
    """
    noaa = flux_of_class(event) * LABEL_SCALES["noaa"]
    step = 10.0 ** math.floor(math.log10(noaa)) / 10
    edge = (round(noaa / step) - 0.5) * step / LABEL_SCALES["noaa"]
    return -math.expm1(-rate_above(edge, rate))


def draw_peak_flux(rate: float, rng: np.random.Generator) -> float:
    """Draw the label of a 24 h window: the largest detected flare in W m^-2, or ``QUIET_FLUX``."""
    waiting, luck = rng.exponential(), rng.random()
    flux = _FLOOR * (waiting / rate * (1 - _CUT) + _CUT) ** (-1 / SLOPE)
    if flux < _SMALLEST:
        return QUIET_FLUX
    excess = (math.log10(flux) - _DETECTION_CENTRE) / _DETECTION_WIDTH
    if flux < _ALWAYS_DETECTED and luck > 1 / (1 + math.exp(-excess)):
        return QUIET_FLUX
    return rounded(flux)


def rounded(flux: float) -> float:
    """Round a label in W m^-2 to 0.1 of a NOAA class, as the event lists behind it are."""
    noaa = flux * LABEL_SCALES["noaa"]
    exponent = math.floor(math.log10(noaa))
    multiple = round(noaa / 10.0**exponent, 1)
    # Through decimal text, so that C8.5 becomes 1e-5 and not the float just below it.
    return float(f"{multiple / LABEL_SCALES['noaa']:.12f}e{exponent}")


def true_rates(rate: float) -> dict[str, float]:
    """Return the expected numbers of flares >= C, M, X and the probability of each event."""
    rates = {f"lambda_{letter}": rate_above(CLASS_FLOORS[letter], rate) for letter in "CMX"}
    return rates | {f"p_{event}": event_probability(event, rate) for event in EVENTS}
