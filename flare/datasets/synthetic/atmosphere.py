"""The channels of one instant of a region, as grey levels before rounding.

The corona is drawn in DN/s (a quiet background, threads, a haze around them, hot compact emission
over the inversion line) and then taken to SDOBenchmark's logarithmic grey levels with photon noise,
so that a faint channel is as speckled as the real one. Grey levels of the quiet Sun and of a core,
and how far each channel faded from 2010 to 2017 while the dataset made no correction for it, are
measured on SDOBenchmark's images.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flare.datasets.synthetic.field import GRID, Field, blurred, enlarge
from flare.datasets.synthetic.loops import Loops
from flare.datasets.synthetic.noise import crop
from flare.datasets.synthetic.view import F32, View
from flare.sample import IMAGE_SIZE, PIXEL_SCALES


@dataclass(frozen=True)
class Instant:
    """All that the ten images of one time step share.

    ``hair``, ``cloud`` and ``mottle`` (256, 256): textures of the quiet Sun, of unit variance.
    ``network`` (256, 256): its field in gauss. ``hours``: since the region crossed the meridian.
    ``heating`` and ``corona``: factors on the hot compact emission and on all threads. ``mission``:
    0 in May 2010, 1 in May 2017.
    """

    field: Field
    loops: Loops
    view: View
    hair: F32
    cloud: F32
    mottle: F32
    network: F32
    hours: float
    heating: float
    corona: float
    mission: float

    @cached_property
    def texture(self) -> F32:
        """Logarithmic brightness of the quiet corona, to be scaled by a channel's contrast."""
        return np.asarray(self.hair + np.float32(1.8) * self.cloud)

    @cached_property
    def column(self) -> F32:
        """How much corona is in the line of sight: more towards the limb, less above it."""
        return np.asarray(np.exp(self.view.beyond * np.float32(-1 / 60)) * (2 - self.view.mu))

    @cached_property
    def kernels(self) -> F32:
        """Compact hot emission over the inversion line, 1 where it is as bright as a core."""
        grains = np.exp(np.float32(0.5) * self.mottle)
        return np.asarray(self.inversion * grains * np.float32(0.006 * self.heating))

    @cached_property
    def inversion(self) -> F32:
        """The weaker of the two polarities in gauss."""
        return enlarge(self.field.inversion)


@dataclass(frozen=True)
class Filter:
    """How one extreme-ultraviolet channel sees the corona.

    ``quiet`` and ``core``: grey levels in 2010. ``faded``: factor lost by 2017. ``photon``: noise
    variance per DN/s. ``heat``: standardised temperature of the threads it sees. ``hot``: share
    of compact emission over the inversion line. ``hair``: contrast of the quiet background.
    """

    quiet: float
    core: float
    faded: float
    photon: float
    heat: float
    hot: float
    hair: float


_CORONA: dict[str, Filter] = {
    "94": Filter(46, 131, 1.0, 0.045, 0.6, 1.0, 0.15),
    "131": Filter(58, 145, 1.5, 0.030, -0.6, 0.8, 0.22),
    "171": Filter(137, 228, 1.4, 0.20, -0.9, 0.15, 0.34),
    "193": Filter(80, 219, 1.0, 0.08, 0.0, 0.20, 0.26),
    "211": Filter(55, 211, 1.0, 0.03, 0.4, 0.25, 0.26),
    "335": Filter(46, 150, 3.2, 0.020, 0.7, 0.7, 0.15),
}
_QUIET_304, _FADED_304, _QUIET_1700, _QUIET_CONTINUUM = 149.0, 14.7, 101.0, 213.0


def draw(channel: str, instant: Instant, rng: np.random.Generator) -> F32:
    """Return one channel as grey levels (256, 256); ``rng`` is the noise of this image alone."""
    if channel == "magnetogram":
        return _magnetogram(instant, rng)
    if channel == "continuum":
        return _continuum(instant, rng)
    if channel == "1700":
        return _chromosphere(instant, rng)
    if channel == "304":
        return _transition_region(instant, rng)
    return _corona(channel, instant, rng)


def _magnetogram(instant: Instant, rng: np.random.Generator) -> F32:
    gauss = instant.field.gauss + instant.network + np.float32(9) * crop("grain", rng)
    low, high = PIXEL_SCALES["magnetogram"].low, PIXEL_SCALES["magnetogram"].high
    gauss *= instant.view.mu > 0
    return np.asarray((gauss - np.float32(low)) * np.float32(255 / (high - low)))


def _continuum(instant: Instant, rng: np.random.Generator) -> F32:
    """Spots on granulation; limb darkening 1 - 0.6 (1 - mu)."""
    darkening = (np.float32(0.4) + np.float32(0.6) * instant.view.mu) * (instant.view.mu > 0)
    cover = instant.field.cover + np.float32(0.25) * instant.mottle
    penumbra, umbra = _ramp(cover, 1.7, 2.0), _ramp(cover, 2.2, 2.6)
    brightness = 1 - np.float32(0.22) * penumbra - np.float32(0.45) * umbra
    brightness += np.float32(0.019) * crop("granule", rng)
    return np.asarray(np.float32(_QUIET_CONTINUUM) * darkening * brightness)


def _chromosphere(instant: Instant, rng: np.random.Generator) -> F32:
    """1700 A: plage where the field is strong, dark where there is a spot."""
    plage = np.minimum(np.abs(instant.field.gauss + instant.network), 700) * np.float32(0.13)
    spot = np.float32(95) * _ramp(instant.field.cover, 1.6, 2.4)
    grey = np.float32(_QUIET_1700) + plage - spot + np.float32(16.5) * crop("granule", rng)
    mu = instant.view.mu
    per_e_fold = _grey_per_e_fold("1700")
    grey += np.float32(per_e_fold) * np.log(np.float32(0.4) + np.float32(0.6) * mu)
    return np.asarray(grey * (mu > 0))


def _transition_region(instant: Instant, rng: np.random.Generator) -> F32:
    """304 A: mottles, bright plage and ribbons along the inversion line."""
    field = instant.field
    plage = np.minimum(blurred(field.strength, coarse=64, edge=IMAGE_SIZE), 450) * np.float32(0.06)
    ribbons = np.log1p(instant.inversion * np.float32(0.02 * instant.heating))
    grey = np.float32(_QUIET_304) + 11 * instant.mottle + 5 * instant.hair + 4 * instant.cloud
    grey += plage + np.float32(22) * ribbons * (1 + np.float32(0.4) * instant.mottle)
    grey -= np.float32(_grey_per_e_fold("304") * math.log(_FADED_304) * instant.mission)
    grey -= np.minimum(instant.view.beyond * np.float32(4), 60)
    return np.asarray(grey + np.float32(2) * crop("grain", rng))


def _corona(channel: str, instant: Instant, rng: np.random.Generator) -> F32:
    seen = _CORONA[channel]
    threads = instant.loops.drawn(seen.heat, instant.hours)
    haze = blurred(threads, coarse=16, edge=GRID)
    bright = np.float32(instant.corona) * (np.float32(0.06) * threads + np.float32(0.07) * haze)
    bright += np.float32(1e-4) * np.minimum(instant.field.strength, 600)  # moss
    intensity = np.float32(_flux(channel, seen.core)) * (
        enlarge(bright) + np.float32(seen.hot) * instant.kernels
    )
    quiet = np.float32(_flux(channel, seen.quiet)) * instant.column
    intensity += quiet * np.exp(np.float32(seen.hair) * instant.texture)
    intensity *= np.float32(seen.faded**-instant.mission)
    low = PIXEL_SCALES[channel].low
    intensity += np.sqrt(intensity * np.float32(seen.photon)) * crop("white", rng)
    intensity = np.maximum(intensity, low) * np.float32(1 / low)
    return np.asarray(np.log(intensity) * np.float32(_grey_per_e_fold(channel)))


def _ramp(values: F32, low: float, high: float) -> F32:
    """Rise from 0 at ``low`` to 1 at ``high``."""
    return np.asarray(np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1))


def _grey_per_e_fold(channel: str) -> float:
    scale = PIXEL_SCALES[channel]
    return 255 / math.log(scale.high / scale.low)


def _flux(channel: str, grey: float) -> float:
    """Return the DN/s of a grey level of a logarithmic channel."""
    return PIXEL_SCALES[channel].low * math.exp(grey / _grey_per_e_fold(channel))
