"""Every architecture learns a signal like the Sun's: small bright spots where flares are large."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from flare.config.network_groups import OptimizerOptions
from flare.models import ARCHITECTURES, NetworkConfig, build, middle
from flare.models.normalisation import ChannelNormalisation, fit_normalisation
from flare.training.batches import Batches
from flare.training.loop import Training
from flare.training.losses import multitask

N_LEARNED, N_NEW, SIZE = 48, 24, 32


def spots(n: int, seed: int) -> Batches:
    """Return samples with a spot of 4 pixels in two channels, brighter where the flux is larger.

    Its place is by chance, and with it the brightness of the whole image, which tells nothing.
    """
    rng = np.random.default_rng(seed)
    log10_flux = np.linspace(-8, -4, n)
    cubes = rng.normal(80, 10, (n, 4, 10, SIZE, SIZE)) + rng.normal(0, 10, (n, 1, 1, 1, 1))
    for cube, flux in zip(cubes, log10_flux, strict=True):
        row, column = rng.integers(2, SIZE - 6, 2)
        cube[:, :2, row : row + 4, column : column + 4] += 30 * (flux + 8)
    grey = np.clip(cubes, 1, 255).astype(np.uint8)
    present = rng.random((n, 4, 10)) < 0.95
    return Batches(grey, present, 10**log10_flux, np.arange(n), batch_size=8)


def log10_flux_of(model: torch.nn.Module, normalise: ChannelNormalisation, batches: Batches):
    with torch.inference_mode():
        answers = [
            middle(model.eval()(normalise(batch.cubes, batch.present), batch.present)[0])
            for batch in batches.in_order()
        ]
    return torch.cat(answers).numpy()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_forecasts_samples_that_it_has_not_seen(architecture):
    learned, new = spots(N_LEARNED, seed=1), spots(N_NEW, seed=2)
    normalise = fit_normalisation(learned.cubes, learned.present, learned.rows)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build(NetworkConfig(architecture, width=4, hidden=32, dropout=0.0))
        training = Training(
            model,
            normalise,
            train=learned,
            validation=None,
            options=OptimizerOptions(epochs=12, batch_size=8, learning_rate=0.01, ema=0),
            loss=multitask(1.0),
            fabric=Fabric(accelerator="cpu", devices=1),
        )
        losses = [record.train_loss for record in training.fit()]
    assert losses[-1] < 0.5 * losses[0]
    right = np.log10(new.peak_flux)
    assert np.corrcoef(log10_flux_of(model, normalise, new), right)[0, 1] > 0.8
