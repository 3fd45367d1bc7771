"""How the learning rate goes over a training."""

import math
from collections.abc import Callable

import numpy as np


def first_settled(epochs: int) -> int:
    """Return the first epoch, from 0, of the last fifth, where the learning rate is below a tenth.

    Before it a network's scores go up and down by more than what is learned, and the lowest of them
    is a matter of luck; the best epoch is chosen from here on.
    """
    return epochs - math.ceil(epochs / 5)


def warm_cosine(steps: int, warmup: float) -> Callable[[int], float]:
    """Return the factor of the learning rate at each step, from 0 up.

    It rises in equal parts over the first ``warmup`` of all steps, and falls to nothing along half
    a cosine over the rest.
    """
    warm = max(1, int(steps * warmup))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        done = min(1.0, (step - warm) / max(1, steps - warm))
        return 0.5 * (1 + float(np.cos(np.pi * done)))

    return factor
