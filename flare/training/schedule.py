"""How the learning rate goes over a training."""

from collections.abc import Callable

import numpy as np


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
