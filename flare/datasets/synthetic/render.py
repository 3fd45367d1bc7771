"""Draw the forty images of each sample of a region."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from flare.datasets.synthetic.atmosphere import Instant, draw
from flare.datasets.synthetic.exact import F32
from flare.datasets.synthetic.field import Field, enlarge, field_at, loops_of, quiet_field, view_of
from flare.datasets.synthetic.region import ROTATION, SPLITS, Region, Window
from flare.datasets.synthetic.textures import Drift, crop
from flare.sample import (
    CHANNELS,
    CUBE_SHAPE,
    INPUT_WINDOW_HOURS,
    N_CHANNELS,
    N_STEPS,
    STEP_OFFSETS_MINUTES,
    Cube,
    Present,
)
from flare.seeding import Stream, stream

_LAUNCHED, _FADED = datetime(2010, 5, 1), datetime(2017, 5, 1)
#: Hours of each step relative to the end of the input window.
STEP_HOURS = tuple(minutes / 60 - INPUT_WINDOW_HOURS for minutes in STEP_OFFSETS_MINUTES)

# Shares of images that are missing because of a channel that fails for all of a region's windows,
# a lost step, a channel lost in one window, and a single image: about 1.8 % in all and most of it
# in clusters, as in SDOBenchmark.
_OUTAGE, _NO_STEP, _NO_CHANNEL, _NO_IMAGE = 0.002, 0.006, 0.005, 0.005
_FLAGGED = 0.002

#: Textures of a region: their kind, and the hours after which they have wholly changed.
_TEXTURES = {
    "fragments": ("fragment", 30),
    "mixing": ("mottle", 30),
    "network": ("network", 20),
    "cells": ("cloud", 60),
    "fibril": ("fibril", 3),
    "blotch": ("blotch", 18),
    "cloud": ("cloud", 60),
    "mottle": ("mottle", 5),
}


@dataclass(frozen=True)
class Images:
    """The images of one sample: uint8 ``cube`` (4, 10, 256, 256), which exist, which are flagged.

    A missing image is zero. ``flagged`` (4, 10) images exist, with a remark in their EXIF data
    that they must not be used.
    """

    cube: Cube
    present: Present
    flagged: Present


class Surroundings:
    """What the windows of one region have in common: its layout and the textures around it."""

    def __init__(self, region: Region, seed: int) -> None:
        self._counters = (SPLITS.index(region.split), region.index)
        self._region, self._seed = region, seed
        rng = stream(seed, Stream.SYNTHETIC_IMAGE, *self._counters)
        self._textures = {
            name: Drift(kind, rng, lifetime=lifetime)
            for name, (kind, lifetime) in _TEXTURES.items()
        }
        self._out_of_order = rng.random(N_CHANNELS) < _OUTAGE

    def field(self, window: Window, hours: float) -> Field:
        """Return the region's field ``hours`` (<= 0) before the end of a window."""
        sources = self._region.skeleton.place(window.latents, hours)
        view = view_of(self._region.latitude, window.longitude + ROTATION * hours / 24)
        fragments, mixing = (
            self._textures[name].at(_age(window) + hours) for name in ("fragments", "mixing")
        )
        return field_at(sources, view, fragments=fragments, mixing=mixing)

    def inversion(self, window: Window) -> F32:
        """Return the weaker of the two polarities in gauss at the last time step, (256, 256).

        Flares come from there, and the hot kernels are drawn there.
        """
        return enlarge(self.field(window, STEP_HOURS[-1]).inversion)

    def images(self, window: Window, position: int) -> Images:
        """Draw the sample that is at ``position`` among the region's windows."""
        rng = stream(self._seed, Stream.SYNTHETIC_IMAGE, *self._counters, position)
        present, flagged = draw_gaps(rng, self._out_of_order)
        cube = np.zeros(CUBE_SHAPE, dtype=np.uint8)
        for step, instant in enumerate(self.instants(window, rng)):
            for plane in np.flatnonzero(present[step]):
                grey = draw(CHANNELS[plane], instant, rng)
                np.rint(grey.clip(0, 255, out=grey), out=cube[step, plane], casting="unsafe")
        return Images(cube, present, flagged)

    def instants(self, window: Window, rng: np.random.Generator) -> Iterator[Instant]:
        """Yield what the images of each of the four time steps have in common."""
        last = self._region.skeleton.place(window.latents, 0.0)
        # Boxes are cut around the region and the view hardly turns in 12 h: one set of loops.
        view = view_of(self._region.latitude, window.longitude)
        loops = loops_of(last, view, rng)
        hair = crop("hair", rng)  # a mixture of two would look like hatching
        # Drawn once, because they hardly change in twelve hours.
        cloud, cells = (self._textures[name].at(_age(window)) for name in ("cloud", "cells"))
        # Many small flares, too weak for a label, heat a region before its large ones.
        heating = math.exp(self._region.heating * window.activity + rng.normal(0, 0.2))
        corona = math.exp(0.50 * window.latents.flux) * math.sqrt(heating)
        for hours in STEP_HOURS:
            age = _age(window) + hours
            moment = window.end + timedelta(hours=hours)
            yield Instant(
                field=self.field(window, hours),
                loops=loops,
                view=view,
                hair=hair,
                fibril=self._textures["fibril"].at(age),
                blotch=self._textures["blotch"].at(age),
                cloud=cloud,
                mottle=self._textures["mottle"].at(age),
                network=quiet_field(self._textures["network"].at(age), cells),
                hours=age,
                heating=heating * math.exp(rng.normal(0, 0.15)),
                corona=corona,
                mission=(moment - _LAUNCHED) / (_FADED - _LAUNCHED),
            )


def _age(window: Window) -> float:
    """Hours since the region crossed the central meridian, at the end of a window."""
    return window.longitude / ROTATION * 24


def draw_gaps(rng: np.random.Generator, out_of_order: NDArray[np.bool_]) -> tuple[Present, Present]:
    """Draw which of the (4, 10) images are there and which of AIA's are flagged.

    ``out_of_order`` (10,): channels that are missing throughout.
    """
    missing = rng.random((N_STEPS, N_CHANNELS)) < _NO_IMAGE
    missing |= rng.random((N_STEPS, 1)) < _NO_STEP
    missing |= (rng.random(N_CHANNELS) < _NO_CHANNEL) | out_of_order
    flagged = rng.random((N_STEPS, N_CHANNELS)) < _FLAGGED
    flagged[:, CHANNELS.index("continuum") :] = False
    return ~missing, flagged & ~missing
