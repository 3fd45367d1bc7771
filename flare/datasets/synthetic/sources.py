"""Lay out the magnetic flux concentrations of a region, after Hale's and Joy's laws.

A compact leading and a dispersed following cluster of opposite polarity, and parasitic bipoles
inside the leading one that grow with shear. Lengths are image pixels in the region's tangent plane
(``u`` west, ``v`` north), fluxes in gauss times square pixels.
"""

import math
from dataclasses import dataclass

import numpy as np

from flare.datasets.synthetic.exact import F64, exp

_LEADING, _FOLLOWING, _PARASITES = 10, 14, 3
_TYPICAL_FLUX = 6.0e5  # of each polarity; about 5e21 Mx


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
