"""Measure augmentation and the CNN's training step at 128 pixels.

``python -m benchmarks.augmentation``
"""

import numpy as np
import torch

from benchmarks.timing import machine, rate_table, time_in_turn
from flare.config.network_groups import ObjectiveOptions
from flare.models import NetworkConfig, build
from flare.models.normalisation import ChannelNormalisation
from flare.training.augment import build_augmentation
from flare.training.processes import keep_freed_memory

SAMPLES, SIZE = 16, 128
NORMALISE = ChannelNormalisation((100.0,) * 10, (25.0,) * 10)
ALL = ObjectiveOptions(shift=0.05, brightness_jitter=0.3, image_dropout=0.03)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    keep_freed_memory()
    rng = np.random.default_rng(0)
    grey = torch.from_numpy(rng.integers(0, 256, (SAMPLES, 4, 10, SIZE, SIZE), dtype=np.uint8))
    present = torch.from_numpy(rng.random((SAMPLES, 4, 10)) < 0.95)
    inputs = NORMALISE(grey, present)
    network = build(NetworkConfig())
    optimizer = torch.optim.AdamW(network.parameters())

    def step() -> None:
        flux, logits = network(inputs, present)
        (flux.square().mean() + logits.square().mean()).backward()
        optimizer.step()
        optimizer.zero_grad()

    def augmented(objective: ObjectiveOptions):
        augment = build_augmentation(objective, NORMALISE)
        return lambda: augment(inputs, present, augment.draw(rng, SAMPLES))

    timings = time_in_turn(
        {
            "training step": step,
            "normalisation": lambda: NORMALISE(grey, present),
            "mirrors": augmented(ObjectiveOptions()),
            "mirrors, shift, drift, drop": augmented(ALL),
        }
    )
    print(f"{SAMPLES} samples, {SIZE} px, one thread; {machine('torch', 'numpy')}\n")
    print(rate_table(timings, amount=SAMPLES, unit="samples", reference="training step"))
    for name, timing in timings.items():
        print(f"{name}: {1000 * timing.cpu_median / SAMPLES:.1f} ms of processor a sample")


if __name__ == "__main__":
    main()
