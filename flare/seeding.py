"""Named random streams: one seed, and uses of randomness that do not affect each other.

``stream(seed, Stream.SHUFFLE, epoch)`` does not depend on random numbers drawn before, on the
process or on the machine. A new use of randomness gets a new name and number.
"""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What randomness is used for. The numbers are part of every result: never reuse one."""

    SPLIT = 1
    SHUFFLE = 2
    WEIGHTS = 3
    AUGMENT = 4
    BOOTSTRAP = 5
    FOREST = 6
    SEARCH = 7
    SYNTHETIC_REGION = 8
    SYNTHETIC_IMAGE = 9
    SYNTHETIC_LABEL = 10
    FOLDS = 11
    LINEAR_FOLDS = 12
    DROPOUT = 13


def stream(seed: int, name: Stream, *counters: int) -> np.random.Generator:
    """Return the generator of one named stream.

    ``counters`` say which use of the stream this is, such as an epoch, a region or a sample. Seed
    and counters are >= 0.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(name), *counters)))


def integer_seed(seed: int, name: Stream, *counters: int) -> int:
    """Return one integer below 2**31 of a stream, for libraries that only take an integer."""
    return int(stream(seed, name, *counters).integers(2**31))
