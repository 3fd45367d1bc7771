"""How hard the synthetic Sun is to forecast: three worlds with the same class mix.

What differs is how far flare rates lie apart, how steeply the largest possible flare rises with
the flux near the inversion line, and how much of a region's rate its images do not show. In each,
the mean rate and the slope of the size distribution were fitted so that training labels have the
class mix of SDOBenchmark.
"""

from dataclasses import dataclass

from flare.errors import ConfigInvalid

#: Weight of emergence in the standardised logarithm of the flare rate, at every level.
EMERGENCE = 0.20


@dataclass(frozen=True)
class Level:
    """One world.

    ``rate_mean`` and ``rate_deviation``: of ln(flares with a label >= 1e-6 in 24 h), were there no
    largest flare. ``slope``: of the cumulative size distribution. ``corner`` and ``corner_rise``:
    log10 of the flux (W m^-2) where that distribution is tapered off, for a region of typical
    contact between its polarities, and its rise for each standard deviation of the contact.
    ``hidden``: weight in the standardised log rate of what no magnetogram shows; squares of the
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


def level_of(difficulty: str) -> Level:
    """Return a level by its name.

    Raises
    ------
    ConfigInvalid
        There is no such level.
    """
    if difficulty not in LEVELS:
        raise ConfigInvalid(f"difficulty is {difficulty!r}; choose one of {', '.join(LEVELS)}")
    return LEVELS[difficulty]
