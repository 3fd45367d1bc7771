"""Crops of the textures, and how they drift: what lets forty images be drawn in tens of ms.

The textures themselves are made in ``textures``, once per process. They do not depend on the
user's seed.
"""

import math

import numpy as np

from flare.datasets.synthetic.exact import F32
from flare.datasets.synthetic.textures import EDGE, bank
from flare.sample import IMAGE_SIZE


def crop(kind: str, rng: np.random.Generator) -> F32:
    """Return a random (256, 256) piece of unit variance; a view, not to be written to."""
    fields = bank(kind)
    pick, row, column, mirror = rng.integers((len(fields), EDGE, EDGE, 4))
    piece = fields[pick][row : row + IMAGE_SIZE, column : column + IMAGE_SIZE]
    return np.asarray(piece[:: 1 - 2 * (mirror & 1), :: 1 - 2 * (mirror >> 1)])


class Drift:
    """A random field that changes slowly with time and stays of unit variance."""

    def __init__(self, kind: str, rng: np.random.Generator, *, lifetime: float) -> None:
        self._fields = crop(kind, rng), crop(kind, rng)
        self._turn = 0.5 * math.pi / lifetime  # radians an hour: a new field after one lifetime

    def at(self, hours: float) -> F32:
        """Return the field (256, 256) at a time; hours apart much below ``lifetime`` look alike."""
        angle = self._turn * hours
        a, b = self._fields
        return np.asarray(np.float32(math.cos(angle)) * a + np.float32(math.sin(angle)) * b)
