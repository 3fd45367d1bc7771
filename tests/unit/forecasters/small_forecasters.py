"""One small forecaster of each kind, and samples of 32 pixels for them."""

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from flare.features.table import compute_features
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster, ForecasterSpec, Origin
from flare.forecasters.ensemble import EnsembleForecaster, combine
from flare.forecasters.forest import ForestForecaster, fit_forest
from flare.forecasters.network import NetworkForecaster
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.references.climatology import (
    Climatology,
    Constant,
    fit_climatology,
    fit_constant,
)
from flare.forecasters.references.logistic import LogisticForecaster, fit_logistic
from flare.forecasters.storage import DESCRIPTION, digest_of, read_description
from flare.goes import EVENTS
from flare.models import NetworkConfig, build
from flare.models.normalisation import fit_normalisation
from flare.sample import N_CHANNELS, N_STEPS

from tiny import TINY_LABELS

KINDS = ("climatology", "constant", "ensemble", "forest", "logistic", "neural")
SIZE, N = 32, 40
SPEC = ForecasterSpec(image_size=SIZE)
ORIGIN = Origin("f" * 16, "tiny", True, (11000, 11010), N)
POSTPROCESSING = PostProcessing(dict(zip(EVENTS, (0.72, 0.41, 0.13, 0.02), strict=True)), -0.7, 1.1)

PEAK_FLUX = np.resize(TINY_LABELS, N)
REGIONS = 11000 + np.arange(N) // 2


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Return cubes, brighter where the label is larger, and a mask with a tenth missing."""
    rng = np.random.default_rng(1)
    grey = 60 + 20 * (np.log10(PEAK_FLUX) + 9)
    shape = (N, N_STEPS, N_CHANNELS, SIZE, SIZE)
    noise = rng.normal(0, 25, (*shape[:3], 8, 8)).repeat(4, axis=3).repeat(4, axis=4)
    cubes = np.clip(grey[:, None, None, None, None] + noise, 0, 255).astype(np.uint8)
    present = rng.random(shape[:3]) < 0.9
    cubes[~present] = 0
    return cubes, present


CUBES, PRESENT = samples()


def small_climatology() -> Climatology:
    return fit_climatology(PEAK_FLUX, spec=SPEC, origin=ORIGIN)


def small_constant() -> Constant:
    return fit_constant(PEAK_FLUX, spec=SPEC, origin=ORIGIN)


@functools.cache
def small_logistic() -> LogisticForecaster:
    features = compute_features(CUBES, PRESENT)
    return fit_logistic(features, PEAK_FLUX, REGIONS, spec=SPEC, origin=ORIGIN)


def small_forest(seed: int = 0) -> ForestForecaster:
    features = compute_features(CUBES, PRESENT)
    return fit_forest(features, PEAK_FLUX, spec=SPEC, origin=ORIGIN, n_trees=5, seed=seed, n_jobs=1)


def small_network(
    *, n_quantiles: int = 1, class_sampling_weights: tuple[float, ...] = ()
) -> NetworkForecaster:
    config = NetworkConfig(width=2, hidden=8, n_quantiles=n_quantiles)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(config).eval()
    normalisation = fit_normalisation(CUBES, PRESENT, np.arange(N))
    return NetworkForecaster(
        network,
        config,
        normalisation,
        spec=SPEC,
        origin=ORIGIN,
        class_sampling_weights=class_sampling_weights,
    )


def small_ensemble() -> EnsembleForecaster:
    members = (
        small_forest(0).with_postprocessing(POSTPROCESSING),
        small_forest(1).with_postprocessing(POSTPROCESSING),
    )
    return combine(members)


@functools.cache
def small(kind: str) -> Forecaster:
    """Return a forecaster of a kind with postprocessing; all tests share it."""
    make = {
        "climatology": small_climatology,
        "constant": small_constant,
        "ensemble": small_ensemble,
        "forest": small_forest,
        "logistic": small_logistic,
        "neural": small_network,
    }
    return make[kind]().with_postprocessing(POSTPROCESSING)


def describe(folder: Path, **changes: object) -> None:
    """Change entries of forecaster.json, and make its digest fit them."""
    path = folder / DESCRIPTION
    description = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**description, "digest": digest_of(description)}))


def accept(folder: Path, name: str) -> None:
    """Make the checksum fit a file that was changed on purpose."""
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    describe(folder, sha256={**read_description(folder)["sha256"], name: digest})


def numbers(forecast: Forecast) -> np.ndarray:
    """Return everything that a forecast says, one row a sample."""
    return np.column_stack(
        [forecast.log10_flux, forecast.lower, forecast.upper, forecast.probability]
    )


def assert_same(one: Forecast, two: Forecast, *, atol: float = 0.0) -> None:
    np.testing.assert_allclose(numbers(one), numbers(two), rtol=0, atol=atol)
