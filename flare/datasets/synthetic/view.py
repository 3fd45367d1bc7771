"""Where a region stands on the solar disk, and what that does to an image of 256 x 256 pixels.

Lengths are image pixels: 1.2 arcsec, about 0.87 Mm at disk centre. A region has its own tangent
plane: ``u`` to solar west, ``v`` to solar north, ``height`` outwards. Images have north up.
"""

import math
from dataclasses import dataclass

import numpy as np

from flare.datasets.synthetic.exact import F32, F64
from flare.sample import IMAGE_SIZE

SOLAR_RADIUS = 960 / 1.2
_CENTRE = (IMAGE_SIZE - 1) / 2


@dataclass(frozen=True)
class View:
    """The direction of a region at (latitude, longitude) in degrees; the disk's tilt is left out.

    ``mu`` (256, 256): cosine of the angle to the vertical, 0 beyond the limb. ``beyond``
    (256, 256): distance above the limb in pixels, 0 on the disk.
    """

    west: tuple[float, float]
    north: tuple[float, float]
    up: tuple[float, float]
    mu: F32
    beyond: F32

    def project(self, u: F64, v: F64, height: F64 | float = 0.0) -> tuple[F64, F64]:
        """Return the column and row, in pixels, of points around the region's centre."""
        x = u * self.west[0] + v * self.north[0] + height * self.up[0]
        y = u * self.west[1] + v * self.north[1] + height * self.up[1]
        return _CENTRE + x, _CENTRE - y


def view_of(latitude: float, longitude: float) -> View:
    """Return the view of a region at heliographic coordinates in degrees."""
    lat, lon = math.radians(latitude), math.radians(longitude)
    up = (math.cos(lat) * math.sin(lon), math.sin(lat))
    axis = np.arange(IMAGE_SIZE, dtype=np.float32) - np.float32(_CENTRE)
    x = axis[None, :] + np.float32(SOLAR_RADIUS * up[0])
    y = np.float32(SOLAR_RADIUS * up[1]) - axis[:, None]
    rho2 = (x * x + y * y) / np.float32(SOLAR_RADIUS**2)
    mu = np.sqrt(np.maximum(1 - rho2, 0))
    beyond = np.maximum(np.sqrt(rho2) - 1, 0) * np.float32(SOLAR_RADIUS)
    west, north = (math.cos(lon), 0.0), (-math.sin(lat) * math.sin(lon), math.cos(lat))
    return View(west, north, up, mu, beyond)
