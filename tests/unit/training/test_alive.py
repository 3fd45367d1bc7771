"""No network dies on a set like the real one: one image a sample, three quarters of them quiet."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from flare.config.network_groups import OptimizerOptions
from flare.models import ARCHITECTURES, NetworkConfig, build
from flare.models.normalisation import Normaliser, fit_normalisation
from flare.sample import CHANNELS, N_CHANNELS, N_STEPS
from flare.training.batches import Batches
from flare.training.loop import Training
from flare.training.losses import multitask
from flare.training.state import EpochRecord

LEARNED, NEW = 120, 60
LEARNING_RATE = 6e-3  # three times the default


def one_image_a_sample(n: int, seed: int, *, size: int = 32, quiet_of: int = 4) -> Batches:
    """Return samples of one 211 image with a spot where a region flares; one in few flares."""
    rng = np.random.default_rng(seed)
    quiet = np.arange(n) % quiet_of > 0
    peak_flux = np.where(quiet, 1e-9, 10 ** rng.uniform(-6, -4, n))
    image = rng.normal(100, 20, (n, size, size)) + rng.normal(0, 10, (n, 1, 1))
    spot = rng.normal(20, 20, n) + np.where(quiet, 0, 25)  # many quiet regions have bright ones
    middle = slice(3 * size // 8, 5 * size // 8)
    image[:, middle, middle] += spot[:, None, None]
    cubes = np.zeros((n, N_STEPS, N_CHANNELS, size, size), dtype=np.uint8)
    present = np.zeros((n, N_STEPS, N_CHANNELS), dtype=np.bool_)
    place = N_STEPS - 1, CHANNELS.index("211")
    cubes[:, *place], present[:, *place] = np.clip(image, 1, 255), True
    return Batches(cubes, present, peak_flux, np.arange(n), batch_size=8)


@cache
def trained(
    architecture: str, *, size: int = 32, quiet_of: int = 4, epochs: int = 10
) -> tuple[torch.nn.Module, EpochRecord]:
    """Return a network after some epochs, and its last record."""
    learned = one_image_a_sample(LEARNED, 0, size=size, quiet_of=quiet_of)
    new = one_image_a_sample(NEW, 1, size=size, quiet_of=quiet_of)
    normalise = fit_normalisation(learned.cubes, learned.present, learned.rows)
    options = OptimizerOptions(epochs=epochs, batch_size=8, learning_rate=LEARNING_RATE, ema=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(NetworkConfig(architecture, width=4, hidden=16))
        network.heads.start_at(-9.0, [0.25, 0.25, 0.12, 0.01])
        *_, record = Training(
            network,
            Normaliser(normalise),
            train=learned,
            validation=new,
            options=options,
            loss=multitask(1.0),
            fabric=Fabric(accelerator="cpu", devices=1),
        ).fit()
    return network, record


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_ranks_new_samples_and_its_units_are_active(architecture):
    _, record = trained(architecture)
    assert record.active_units > 0.9
    assert record.probability_std > 0.005
    assert record.roc_area > 0.7


@pytest.mark.parametrize("architecture", ["cnn", "transformer"])
def test_it_is_alive_on_larger_images_where_one_sample_in_sixty_flares(architecture):
    _, record = trained(architecture, size=64, quiet_of=60, epochs=3)
    assert record.active_units > 0.5
    assert record.log10_flux_std > 1e-4


def test_gradient_norms_of_the_heads_and_the_health_are_logged():
    _, record = trained("cnn")
    assert set(record.head_gradient_norms) == {"normalisation", "shared", "flux_head", "event_head"}
    assert all(norm > 0 for norm in record.head_gradient_norms.values())
    assert math.hypot(*record.head_gradient_norms.values()) < 1.5 * record.gradient_norm
    metrics = record.metrics()
    assert metrics["epoch/health/active_units"] == record.active_units
    assert metrics["epoch/health/log10_flux_std"] == record.log10_flux_std
    assert metrics["epoch/health/M1.0_probability_std"] == record.probability_std
    assert "epoch/health/gradient_norm/event_head" in metrics


def test_a_dead_shared_layer_is_counted_as_such():
    network, _ = trained("cnn")
    dead = build(NetworkConfig("cnn", width=4, hidden=16))
    dead.load_state_dict(network.state_dict())
    with torch.no_grad():
        dead.heads.shared[0].weight.zero_()
    new = one_image_a_sample(NEW, 1)
    frozen = OptimizerOptions(epochs=1, learning_rate=1e-12, weight_decay=0, ema=0)
    (record,) = Training(
        dead,
        Normaliser(fit_normalisation(new.cubes, new.present, new.rows)),
        train=new,
        validation=new,
        options=frozen,
        loss=multitask(1.0),
        fabric=Fabric(accelerator="cpu", devices=1),
    ).fit()
    assert record.active_units == 0
    assert record.probability_std == pytest.approx(0, abs=1e-6)
