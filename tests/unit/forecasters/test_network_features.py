"""A network that gets features, and several networks as one: predicting, saving, exporting."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flare.errors import ForecasterInvalid
from flare.features.table import compute_features
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.network import NetworkForecaster
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.storage import load, save
from flare.models import NetworkConfig, build, build_forecasting
from flare.models.normalisation import ChannelNormalisation, fit_standardisation

RNG = np.random.default_rng(0)
CUBES = RNG.integers(1, 256, (6, 4, 10, 32, 32), dtype=np.uint8)
PRESENT = RNG.random((6, 4, 10)) < 0.8
SCALE = fit_standardisation(compute_features(CUBES, PRESENT))


def forecaster(members: int = 1) -> NetworkForecaster:
    config = NetworkConfig(
        width=2, hidden=8, n_quantiles=0, n_features=len(SCALE.mean), members=members
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_forecasting(config).eval()
    return NetworkForecaster(
        network,
        config,
        ChannelNormalisation((100.0,) * 10, (30.0,) * 10),
        spec=ForecasterSpec(image_size=32),
        origin=Origin("f" * 16, "tiny", True, (11000,), 4),
        postprocessing=PostProcessing(distribution=True),
        standardisation=SCALE,
    )


@pytest.mark.parametrize("members", [1, 3])
def test_saved_and_loaded_it_forecasts_the_same(tmp_path, members):
    made = forecaster(members)
    again = load(save(made, tmp_path / "made"))
    np.testing.assert_array_equal(
        made.predict(CUBES, PRESENT).probability, again.predict(CUBES, PRESENT).probability
    )


@pytest.mark.parametrize("members", [1, 3])
def test_exported_it_forecasts_the_same(tmp_path, members):
    made = forecaster(members)
    exported = made.exported()
    assert exported.graph is not None
    np.testing.assert_allclose(
        made.predict(CUBES, PRESENT).probability,
        exported.predict(CUBES, PRESENT).probability,
        atol=1e-5,
    )
    again = load(save(exported, tmp_path / "made"))
    assert again.graph is not None


def test_features_make_a_difference():
    made = forecaster()
    other = replace(SCALE, mean=tuple(np.add(SCALE.mean, SCALE.std)))
    before, after = (
        replace(made, standardisation=scale).predict(CUBES, PRESENT).probability
        for scale in (SCALE, other)
    )
    assert not np.allclose(before, after)


def test_the_mean_of_networks_has_the_mean_of_their_logits():
    made = forecaster(3)
    images, there = torch.randn(2, 4, 10, 32, 32), torch.ones(2, 4, 10, dtype=torch.bool)
    features = torch.randn(2, len(SCALE.mean))
    with torch.inference_mode():
        logits = made.network(images, there, features)[1]
        each = [one(images, there, features)[1] for one in made.network.members]
    torch.testing.assert_close(logits, torch.stack(each).mean(dim=0))


def test_samples_without_any_image_are_forecast_too():
    forecast = forecaster().predict(CUBES, np.zeros_like(PRESENT))
    assert np.isfinite(forecast.probability).all()
    assert np.isfinite(forecast.log10_flux).all()


def test_a_scale_of_other_features_than_the_network_takes_is_refused(tmp_path):
    made = forecaster()
    config = replace(made.config, n_features=3)
    wrong = replace(made, config=config, network=build(config).eval())
    folder = save(wrong, tmp_path / "made")
    with pytest.raises(ForecasterInvalid, match="the network takes 3 features"):
        load(folder)


def test_a_distribution_with_the_tuning_of_two_heads_is_refused():
    with pytest.raises(ForecasterInvalid, match="train it again"):
        forecaster().with_postprocessing(PostProcessing())
