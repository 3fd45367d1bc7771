"""Draw the channels of one instant of a region, as grey levels before rounding.

The corona is drawn in DN/s (a quiet background, threads, a haze around them, moss over the plage,
hot compact emission over the inversion line) and converted to SDOBenchmark's logarithmic grey
levels with photon noise, so that a faint channel is as noisy as the real one. Grey levels of the
quiet Sun and of a core, and how far each channel faded from 2010 to 2017, for which the dataset has
no correction, were measured on SDOBenchmark's images.
"""

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flare.datasets.synthetic.exact import F32, exp_of_image, log_of_image
from flare.datasets.synthetic.field import Field, Loops, View, blurred, enlarge, hazy
from flare.datasets.synthetic.textures import crop
from flare.sample import IMAGE_SIZE, PIXEL_SCALES


@dataclass(frozen=True)
class Instant:
    """What the ten images of one time step share.

    ``hair``, ``fibril``, ``blotch``, ``cloud`` and ``mottle`` (256, 256): textures of the quiet
    Sun, of unit variance. ``network`` (256, 256): its field in gauss. ``hours``: since the region
    crossed the meridian. ``heating`` and ``corona``: factors on the hot compact emission and on all
    threads. ``mission``: 0 in May 2010, 1 in May 2017.
    """

    field: Field
    loops: Loops
    view: View
    hair: F32
    fibril: F32
    blotch: F32
    cloud: F32
    mottle: F32
    network: F32
    hours: float
    heating: float
    corona: float
    mission: float
    _quiet: dict[float, F32] = dataclasses.field(default_factory=dict, init=False, compare=False)
    _threads: dict[float, F32] = dataclasses.field(default_factory=dict, init=False, compare=False)

    @cached_property
    def texture(self) -> F32:
        """Logarithmic brightness of the quiet corona, to be scaled by a channel's contrast."""
        fine = np.float32(0.4) * self.hair + np.float32(0.9) * self.blotch
        return np.asarray(fine + np.float32(1.2) * self.cloud)

    @cached_property
    def column(self) -> F32:
        """Amount of corona in the line of sight: more towards the limb, less above it."""
        return np.asarray(exp_of_image(self.view.beyond * np.float32(-1 / 60)) * (2 - self.view.mu))

    def quiet(self, contrast: float) -> F32:
        """Return the quiet corona of a contrast, 1 where it is as bright as usual."""
        if contrast not in self._quiet:
            self._quiet[contrast] = self.column * exp_of_image(np.float32(contrast) * self.texture)
        return self._quiet[contrast]

    def threads(self, heat: float) -> F32:
        """Return what a filter of a standardised temperature sees of the loops, (128, 128)."""
        if heat not in self._threads:
            self._threads[heat] = self.loops.image(heat, self.hours)
        return self._threads[heat]

    @cached_property
    def kernels(self) -> F32:
        """Compact hot emission over the inversion line, 1 where it is as bright as a core."""
        grains = exp_of_image(np.float32(0.55) * self.mottle + np.float32(0.35) * self.fibril)
        return np.asarray(self.inversion * grains * np.float32(0.0045 * self.heating))

    @cached_property
    def moss(self) -> F32:
        """Bright grains at the feet of hot loops, 1 where the plage is strong."""
        grains = exp_of_image(np.float32(0.7) * self.fibril + np.float32(0.5) * self.blotch)
        strength = enlarge(np.minimum(self.field.strength, np.float32(400)))
        return np.asarray(strength * grains * np.float32(1 / 400))

    @cached_property
    def inversion(self) -> F32:
        """The weaker of the two polarities in gauss."""
        return enlarge(self.field.inversion)

    @cached_property
    def plage(self) -> F32:
        """Unsigned field of fragments and network in gauss, up to 700."""
        return np.asarray(np.minimum(np.abs(self.field.gauss + self.network), np.float32(700)))


@dataclass(frozen=True)
class Filter:
    """Response of one extreme-ultraviolet channel to the corona.

    ``quiet`` and ``core``: grey levels in 2010. ``faded``: factor lost by 2017. ``photon``: noise
    variance per DN/s. ``heat``: standardised temperature of its threads. ``hot``: share
    of compact emission over the inversion line. ``hair``: contrast of the quiet background.
    ``moss``: share of bright grains over the plage. ``halo``: of the diffuse glow around.
    """

    quiet: float
    core: float
    faded: float
    photon: float
    heat: float
    hot: float
    hair: float
    moss: float
    halo: float


_CORONA: dict[str, Filter] = {
    "94": Filter(44, 131, 1.0, 0.045, 0.65, 1.0, 0.17, 0.15, 0.9),
    "131": Filter(52, 141, 1.5, 0.05, -0.6, 0.8, 0.36, 0.6, 0.6),
    "171": Filter(131, 224, 1.4, 0.03, -0.9, 0.15, 0.42, 0.9, 0.6),
    "193": Filter(76, 212, 1.0, 0.015, 0.0, 0.20, 0.32, 0.7, 0.9),
    "211": Filter(52, 204, 1.0, 0.010, 0.4, 0.25, 0.32, 0.4, 1.0),
    "335": Filter(46, 148, 3.2, 0.035, 0.65, 0.7, 0.17, 0.15, 1.0),
}
_QUIET_304, _FADED_304, _QUIET_1700, _QUIET_CONTINUUM = 149.0, 14.7, 98.0, 213.0


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
    """Draw the field and instrument noise, which is six times as strong beyond the limb."""
    on_disk, noise = instant.view.mu > 0, np.float32(6.0) * crop("grain", rng)
    gauss = np.where(on_disk, instant.field.gauss + instant.network + noise, 6 * noise)
    low, high = PIXEL_SCALES["magnetogram"].low, PIXEL_SCALES["magnetogram"].high
    return np.asarray((gauss - np.float32(low)) * np.float32(255 / (high - low)))


def _continuum(instant: Instant, rng: np.random.Generator) -> F32:
    """Draw spots on granulation; limb darkening 1 - 0.6 (1 - mu)."""
    darkening = (np.float32(0.4) + np.float32(0.6) * instant.view.mu) * (instant.view.mu > 0)
    cover = instant.field.cover + np.float32(0.22) * instant.mottle
    cover += np.float32(0.20) * instant.fibril
    penumbra, umbra = _ramp(cover, 1.65, 2.05), _ramp(cover, 2.15, 2.75)
    brightness = 1 - np.float32(0.24) * penumbra - np.float32(0.47) * umbra
    brightness += np.float32(0.017) * crop("granule", rng) * (1 - np.float32(0.6) * umbra)
    return np.asarray(np.float32(_QUIET_CONTINUUM) * darkening * brightness)


def _chromosphere(instant: Instant, rng: np.random.Generator) -> F32:
    """Draw 1700 A: plage and network where the field is strong, dark where there is a spot."""
    plage = np.float32(4.2) * np.sqrt(np.maximum(instant.plage - np.float32(12), 0))
    spot = np.float32(110) * _ramp(instant.field.cover, 1.7, 2.5)
    grey = np.float32(_QUIET_1700) + plage - spot + np.float32(10.5) * crop("granule", rng)
    grey += np.float32(4.0) * instant.blotch
    mu = instant.view.mu
    per_e_fold = _grey_per_e_fold("1700")
    grey += np.float32(per_e_fold) * log_of_image(np.float32(0.4) + np.float32(0.6) * mu)
    return np.asarray(grey * (mu > 0))


def _transition_region(instant: Instant, rng: np.random.Generator) -> F32:
    """Draw 304 A: fibrils, bright plage and ribbons along the inversion line."""
    field = instant.field
    glow = np.minimum(blurred(field.strength, coarse=32, edge=IMAGE_SIZE), 450) * np.float32(0.045)
    ribbons = log_of_image(1 + instant.inversion * np.float32(0.02 * instant.heating))
    grey = np.float32(_QUIET_304) + np.float32(5.0) * instant.fibril
    grey += np.float32(8.0) * instant.blotch + np.float32(5.0) * instant.cloud
    cool = enlarge(instant.threads(-1.6)) * np.float32(0.4 * instant.corona)
    grey += np.float32(9) * log_of_image(1 + cool)
    grey += glow + np.float32(0.6) * np.sqrt(np.minimum(instant.plage, 400))
    grey += np.float32(17) * ribbons * (1 + np.float32(0.45) * instant.fibril)
    grey -= np.float32(_grey_per_e_fold("304") * math.log(_FADED_304) * instant.mission)
    grey -= np.minimum(instant.view.beyond * np.float32(4), 60)
    return np.asarray(grey + np.float32(2.2) * crop("grain", rng))


def _corona(channel: str, instant: Instant, rng: np.random.Generator) -> F32:
    seen, low = _CORONA[channel], PIXEL_SCALES[channel].low
    threads = instant.threads(seen.heat)
    bright = np.float32(0.030) * threads + hazy(threads, near=0.026, far=0.022 * seen.halo)
    glow = enlarge(bright * np.float32(instant.corona))
    glow = glow + np.float32(0.13 * seen.moss) * instant.moss
    glow += np.float32(seen.hot) * instant.kernels
    # Only the hottest plasma keeps brightening; the rest saturates at a few times a usual core.
    glow /= 1 + np.float32(0.4 * (1 - seen.hot)) * glow
    # Intensity in units of the lowest that has a grey level of its own.
    seen_now = seen.faded**-instant.mission / low
    glow *= np.float32(_flux(channel, seen.core) * seen_now)
    glow += np.float32(_flux(channel, seen.quiet) * seen_now) * instant.quiet(seen.hair)
    noise = np.sqrt(glow)
    noise *= crop("white", rng)
    noise *= np.float32(math.sqrt(seen.photon / low))
    glow += noise
    grey = log_of_image(np.maximum(glow, 1, out=glow))
    return np.asarray(np.multiply(grey, np.float32(_grey_per_e_fold(channel)), out=grey))


def _ramp(values: F32, low: float, high: float) -> F32:
    return np.asarray(np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1))


def _grey_per_e_fold(channel: str) -> float:
    scale = PIXEL_SCALES[channel]
    return 255 / math.log(scale.high / scale.low)


def _flux(channel: str, grey: float) -> float:
    """Return the DN/s of a grey level of a logarithmic channel."""
    return PIXEL_SCALES[channel].low * math.exp(grey / _grey_per_e_fold(channel))
