"""Draw latent active regions: their properties, their windows, and their flare rates.

Five standard normal latents describe a region in one range of 24 h. Three of them determine its
concentrations of flux; the contact of the two polarities there, emergence and a hidden latent set
the flare rate. The images show the same concentrations, so a forecast can be learned from them, and
the true rates are an upper bound on its skill.

Concentrations follow Hale's and Joy's laws: a compact leading and a dispersed following cluster of
opposite polarity, and parasitic bipoles inside the leading one that grow with shear. Lengths are
image pixels in the region's tangent plane (``u`` west, ``v`` north), fluxes in gauss times square
pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime, timedelta

import numpy as np

from flare.datasets.synthetic.exact import F64, exp
from flare.datasets.synthetic.flares import EMERGENCE, LEVELS, FlareProcess, Level
from flare.goes import HEADLINE_EVENT, QUIET_FLUX, class_letter, event_outcomes
from flare.sample import INPUT_WINDOW_HOURS
from flare.seeding import Stream, stream

_LEADING, _FOLLOWING, _PARASITES = 10, 14, 3
_TYPICAL_FLUX = 6.0e5  # of each polarity; about 5e21 Mx

SPLITS = ("training", "test")

#: Added to a region's index to make its number; far above the NOAA numbers of SDOBenchmark's time,
#: so that a synthetic region cannot be mistaken for a real one.
FIRST_NUMBER = {"training": 30_001, "test": 90_001}

# ln(contact) of regions drawn at random is about normal, with this mean and deviation.
_CONTACT_MEAN, _CONTACT_DEVIATION = 8.850, 0.635

# Acceptance of a region by a selected test split, by its largest flare; for M flares multiplied by
# the share of samples with one. Gives about the class mix of SDOBenchmark's test split, which is
# stratified by regions' largest flares and has 20 % of its labels >= 1e-5.
_TEST_ACCEPTANCE = {"quiet": 0.06, "A": 0.09, "B": 0.09, "C": 0.115, "M": 0.75, "X": 1.0}

#: Further ranges after a region's first: the largest number, and the probability of each. That is
#: 4.5 samples per region where SDOBenchmark has 7.6: scores need many regions, and a set of a few
#: hundred samples would have too few.
_FURTHER_RANGES = (5, 0.45)

#: Degrees of longitude a day, synodic.
ROTATION = 13.2
_FIRST_DAY, _MAXIMUM, _LAST_DAY = datetime(2012, 1, 1), datetime(2014, 4, 1), datetime(2017, 12, 1)


@dataclass(frozen=True)
class Latents:
    """Standard normal descriptions of a region during one range of 24 h.

    ``flux``: logarithm of the unsigned flux. ``closeness`` of the two polarities. ``shear`` of the
    inversion line, with parasitic polarity. ``emergence`` (> 0) or decay. ``hidden``: everything
    else that the rate depends on; it shows only in the temperature of the corona.
    """

    flux: float
    closeness: float
    shear: float
    emergence: float
    hidden: float


# Share of each latent's variance that is constant for a region; the rest is new in every range.
_LASTING = Latents(flux=0.97, closeness=0.93, shear=0.90, emergence=0.60, hidden=0.80)


@dataclass(frozen=True)
class Sources:
    """Flux concentrations: places ``u`` and ``v``, Gaussian widths, signed ``flux``; all (J,)."""

    u: F64
    v: F64
    width: F64
    flux: F64

    @property
    def contact(self) -> float:
        """Flux that the two polarities have in the same place, in gauss times pixels.

        The square root of the overlap integral of the two smooth fields: the part that the
        unsigned flux near strong-gradient inversion lines plays in Schrijver (2007,
        doi:10.1086/511857), before anything is observed.
        """
        plus, minus = self.flux > 0, self.flux < 0
        width2 = self.width[plus][:, None] ** 2 + self.width[minus][None, :] ** 2
        apart2 = (self.u[plus][:, None] - self.u[minus]) ** 2
        apart2 += (self.v[plus][:, None] - self.v[minus]) ** 2
        pairs = self.flux[plus][:, None] * -self.flux[minus]
        overlap = pairs * exp(-0.5 * apart2 / width2) / (2 * math.pi * width2)
        return math.sqrt(float(overlap.sum()))


@dataclass(frozen=True)
class Skeleton:
    """The constant part of a region's layout; ``angle`` and ``turn`` in radians.

    ``scatter`` (J, 2) standard normal places within a cluster, leading ones first, ``share`` (J,)
    of the cluster's signed flux, ``thickness`` (J,) relative widths, ``angle`` (K,) of parasites.
    """

    scatter: F64
    share: F64
    thickness: F64
    angle: F64
    turn: float
    leading_sign: float

    def place(self, latents: Latents, hours: float) -> Sources:
        """Return the concentrations ``hours`` (<= 0) before the end of a window."""
        grown = 1 + 0.10 * float(np.clip(latents.emergence, -2.5, 2.5)) * hours / 12
        size = math.exp(0.36 * latents.flux)
        half = 27 * size * math.exp(-0.55 * latents.closeness) * grown
        compact = np.where(self.share > 0, 0.6, 1.0)
        u = self.scatter[:, 0] * compact * 27 * size + np.where(self.share > 0, half, -half)
        v = self.scatter[:, 1] * compact * 17 * size
        width = self.thickness * np.where(self.share > 0, 5.0, 7.0) * math.sqrt(size)
        strongest = np.argsort(-self.share)[:_PARASITES]
        away = width[strongest] + 5.0
        parasite_u = u[strongest] + away * [math.cos(angle) for angle in self.angle]
        parasite_v = v[strongest] + away * [math.sin(angle) for angle in self.angle]
        parasite = -0.05 * math.exp(0.8 * latents.shear) * np.ones(_PARASITES)
        turn = self.turn + 0.30 * latents.shear
        u, v = np.append(u, parasite_u), np.append(v, parasite_v)
        total = self.leading_sign * _TYPICAL_FLUX * math.exp(0.75 * latents.flux) * grown
        return Sources(
            u * math.cos(turn) - v * math.sin(turn),
            u * math.sin(turn) + v * math.cos(turn),
            np.append(width, np.full(_PARASITES, 4.5)),
            total * np.append(self.share, parasite),
        )


def make_skeleton(latitude: float, rng: np.random.Generator) -> Skeleton:
    """Draw the layout of a region at a latitude in degrees."""
    n = _LEADING + _FOLLOWING
    share = rng.lognormal(0, 0.6, n)
    share[:_LEADING] /= share[:_LEADING].sum()
    share[_LEADING:] /= -share[_LEADING:].sum()
    return Skeleton(
        scatter=np.clip(rng.standard_normal((n, 2)), -2, 2),
        share=share,
        thickness=rng.uniform(0.7, 1.3, n),
        angle=rng.uniform(0, 2 * math.pi, _PARASITES),
        turn=math.radians(rng.normal(-0.4 * latitude, 9)),  # Joy: leading nearer the equator
        # Hale's law in cycle 24: the leading polarity is negative in the north.
        leading_sign=-1.0 if latitude > 0 else 1.0,
    )


@dataclass(frozen=True)
class Window:
    """One sample: the 12 h before ``end``, and the label of the 24 h after it.

    Windows of one range share latents and label: the flares of a range fall into the hours that
    the forecast windows of its samples have in common. ``longitude`` in degrees, at ``end``;
    ``rate``: expected number of flares with a label >= 1e-6 W m^-2 in 24 h.
    """

    sample_id: str
    end: datetime
    longitude: float
    latents: Latents
    activity: float
    flares: FlareProcess
    peak_flux: float

    @property
    def start(self) -> datetime:
        """Beginning of the input window."""
        return self.end - timedelta(hours=INPUT_WINDOW_HOURS)


@dataclass(frozen=True)
class Region:
    """An active region with all its windows; ``latitude`` in degrees, north positive.

    ``heating``: how much the flare rate shows in the hot corona, see ``Level``.
    """

    split: str
    index: int
    number: int
    latitude: float
    skeleton: Skeleton
    heating: float
    windows: tuple[Window, ...]


def make_region(
    split: str, index: int, *, seed: int, level: Level = LEVELS["medium"], test: str = "as_observed"
) -> Region:
    """Make region ``index`` of a split; it depends on nothing but the arguments."""
    number = FIRST_NUMBER[split] + index
    attempt = 0
    while True:
        counters = (SPLITS.index(split), index, attempt)
        rng = stream(seed, Stream.SYNTHETIC_REGION, *counters)
        labels = stream(seed, Stream.SYNTHETIC_LABEL, *counters)
        latitude = float(rng.choice([-1, 1]) * rng.uniform(5, 28))
        skeleton = make_skeleton(latitude, rng)
        windows = tuple(_windows(number, skeleton, level, rng, labels))
        region = Region(split, index, number, latitude, skeleton, level.heating, windows)
        if (split, test) != ("test", "selected") or labels.random() < _test_acceptance(windows):
            return region
        attempt += 1


def make_regions(
    split: str,
    n_samples: int,
    *,
    seed: int,
    level: Level = LEVELS["medium"],
    test: str = "as_observed",
) -> list[Region]:
    """Make the regions, in order, that hold the first ``n_samples`` windows of a split.

    The last region is cut, so a larger set begins with exactly the smaller one.
    """
    regions: list[Region] = []
    missing = n_samples
    while missing > 0:
        region = make_region(split, len(regions), seed=seed, level=level, test=test)
        windows = region.windows[:missing]
        regions.append(replace(region, windows=windows))
        missing -= len(windows)
    return regions


def _windows(
    number: int,
    skeleton: Skeleton,
    level: Level,
    rng: np.random.Generator,
    labels: np.random.Generator,
) -> Iterator[Window]:
    span = (_LAST_DAY - _FIRST_DAY) / timedelta(hours=1)
    peak = (_MAXIMUM - _FIRST_DAY) / timedelta(hours=1)
    passage = _FIRST_DAY + timedelta(minutes=12 * round(5 * rng.triangular(0, peak, span)))
    lasting = rng.standard_normal(len(fields(Latents)))
    n_ranges = 1 + int(rng.binomial(*_FURTHER_RANGES))
    days = np.sort(rng.choice(np.arange(-4, 5), size=n_ranges, replace=False))
    for day in days:
        start = passage + timedelta(days=int(day))
        latents = _latents(lasting, rng)
        activity, flares = _flares(latents, skeleton.place(latents, 0.0).contact, level)
        flux = flares.draw_peak_flux(labels)
        offsets = (0, int(rng.integers(4, 11)))[: 1 + int(rng.random() < 0.4)]
        for k, hours in enumerate(offsets):
            end = start + timedelta(hours=hours)
            longitude = ROTATION * ((end - passage) / timedelta(days=1))
            sample_id = f"{number}_{start:%Y_%m_%d_%H_%M_%S}_{k}"
            yield Window(sample_id, end, longitude, latents, activity, flares, flux)


def _latents(lasting: F64, rng: np.random.Generator) -> Latents:
    share = np.array(astuple(_LASTING))
    values = np.sqrt(share) * lasting + np.sqrt(1 - share) * rng.standard_normal(len(lasting))
    return Latents(*values.tolist())


def _flares(latents: Latents, contact: float, level: Level) -> tuple[float, FlareProcess]:
    """Return the standardised log rate, and the flares of a region."""
    touching = (math.log(contact) - _CONTACT_MEAN) / _CONTACT_DEVIATION
    activity = level.contact * touching + EMERGENCE * latents.emergence
    activity += level.hidden * latents.hidden
    rate = math.exp(level.rate_mean + level.rate_deviation * activity)
    corner = 10 ** (level.corner + level.corner_rise * touching)
    return activity, FlareProcess(rate, level.slope, corner)


def _test_acceptance(windows: tuple[Window, ...]) -> float:
    """Return the probability that a selected test split accepts a region, from its labels alone."""
    fluxes = np.array([window.peak_flux for window in windows])
    largest = float(fluxes.max())
    acceptance = _TEST_ACCEPTANCE["quiet" if largest == QUIET_FLUX else class_letter(largest)]
    if class_letter(largest) == "M":
        acceptance *= float(event_outcomes(fluxes, [HEADLINE_EVENT]).mean())
    return acceptance
