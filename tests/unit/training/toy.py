"""Samples of 32 pixels whose brightness tells the label, and batches of them."""

import threading
from dataclasses import replace

import numpy as np

from flare.training.batches import Batches

from tiny import TINY_LABELS

N, SIZE = 24, 32


def toy_batches(n: int = N, **options: object) -> Batches:
    """Return batches of 8 over n samples, no two of which have the same label."""
    rng = np.random.default_rng(0)
    peak_flux = np.resize(TINY_LABELS, n) * (1 + np.arange(n) / 1000)
    grey = 60 + 20 * (np.log10(peak_flux) + 9)
    noise = rng.normal(0, 15, (n, 4, 10, SIZE, SIZE))
    cubes = np.clip(grey[:, None, None, None, None] + noise, 1, 255).astype(np.uint8)
    present = rng.random((n, 4, 10)) < 0.95
    batches = Batches(cubes, present, peak_flux, np.arange(n), batch_size=8)
    return replace(batches, **options)


def readers() -> list[str]:
    """Return the names of the reader threads that are alive."""
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith("reader")]
