"""Networks as forecasters: sampling weights, quantiles, features, and old folders."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_forecasters import (
    CUBES,
    ORIGIN,
    PRESENT,
    SPEC,
    accept,
    assert_same,
    describe,
    small_network,
)

from flare.errors import ForecasterInvalid
from flare.features.table import compute_features
from flare.forecast import natural_probabilities
from flare.forecasters.network import WEIGHTS, NetworkForecaster
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.storage import load, read_description, save
from flare.models import NetworkConfig, build, build_forecasting
from flare.models.normalisation import ChannelNormalisation, fit_standardisation

FEW, THERE = CUBES[:6], PRESENT[:6]
SCALE = fit_standardisation(compute_features(FEW, THERE))

#: How much more often each class was sampled, from below B1.0 to X.
CLASS_WEIGHTS = (0.5, 2.0, 0.7, 4.0, 4.0)


@pytest.fixture
def forecaster():
    return small_network()


def test_a_network_that_was_left_in_training_mode_answers_as_in_evaluation(forecaster):
    before = forecaster.predict(CUBES, PRESENT)
    state = {key: value.clone() for key, value in forecaster.network.state_dict().items()}
    forecaster.network.train()
    np.testing.assert_array_equal(forecaster.predict(CUBES, PRESENT).log10_flux, before.log10_flux)
    for key, value in forecaster.network.state_dict().items():
        assert torch.equal(value, state[key]), key


@pytest.mark.parametrize("logit", [-2000.0, 2000.0])
def test_a_network_that_is_quite_sure_raises_no_warning(forecaster, logit):
    with torch.no_grad():
        forecaster.network.heads.event_head.bias.fill_(logit)
    assert (forecaster.predict(CUBES[:2], PRESENT[:2]).probability == (logit > 0)).all()


def test_a_stronger_event_takes_the_probability_of_a_weaker_one_where_its_own_is_higher(forecaster):
    with torch.no_grad():
        forecaster.network.heads.event_head.weight.zero_()
        forecaster.network.heads.event_head.bias.copy_(torch.tensor([1.0, 0.0, 5.0, -1.0]))
    probability = forecaster.predict(CUBES[:1], PRESENT[:1]).probability[0]
    np.testing.assert_allclose(probability, [1 / (1 + 1 / np.e), 0.5, 0.5, 1 / (1 + np.e)])


@pytest.mark.parametrize(
    "change", [{"width": 3}, {"architecture": "vit"}, {"n_events": 2}, {"depth": 9}], ids=str
)
def test_weights_of_another_network_are_refused(forecaster, change, tmp_path):
    folder = save(forecaster, tmp_path / "neural")
    parts = read_description(folder)["parts"]
    describe(folder, parts={**parts, "network": {**parts["network"], **change}})
    with pytest.raises(ForecasterInvalid, match="does not hold a usable forecaster"):
        load(folder)


def test_the_ends_of_three_quantiles_are_the_interval_that_the_residuals_move():
    forecaster = small_network(n_quantiles=3)
    raw = forecaster.predict(CUBES, PRESENT)
    assert (raw.lower < raw.log10_flux).all()
    assert (raw.log10_flux < raw.upper).all()
    assert np.ptp(raw.upper - raw.lower) > 0
    forecast = forecaster.with_postprocessing(PostProcessing({}, 0.01, 0.75)).predict(
        CUBES, PRESENT
    )
    np.testing.assert_allclose(forecast.lower, raw.lower + 0.01)
    np.testing.assert_allclose(forecast.upper, raw.upper + 0.75)
    np.testing.assert_array_equal(forecast.log10_flux, raw.log10_flux)


@pytest.mark.parametrize(
    "options", [{"n_quantiles": 3}, {"class_sampling_weights": CLASS_WEIGHTS}], ids=str
)
def test_quantiles_and_the_weights_of_classes_travel_in_the_folder(options, tmp_path):
    forecaster = small_network(**options)
    loaded = load(save(forecaster, tmp_path / "neural"))
    assert_same(forecaster.predict(CUBES, PRESENT), loaded.predict(CUBES, PRESENT))


def test_a_folder_without_weights_of_classes_is_read_as_sampled_as_they_are(forecaster, tmp_path):
    folder = save(forecaster, tmp_path / "neural")
    parts = read_description(folder)["parts"]
    describe(folder, parts={name: part for name, part in parts.items() if name != "drawn"})
    assert load(folder).class_sampling_weights == ()


def test_probabilities_learned_from_balanced_classes_are_at_the_natural_rate(forecaster):
    weighted = replace(forecaster, class_sampling_weights=CLASS_WEIGHTS)
    balanced = weighted.predict(CUBES, PRESENT).probability
    natural = natural_probabilities(forecaster.predict(CUBES, PRESENT).probability, CLASS_WEIGHTS)
    np.testing.assert_allclose(balanced, natural)


def test_weights_saved_before_encoders_had_a_prefix_give_the_same_forecasts(forecaster, tmp_path):
    folder = save(forecaster, tmp_path / "folder")
    weights = load_file(folder / WEIGHTS)
    save_file(
        {name.removeprefix("encoder."): one for name, one in weights.items()}, folder / WEIGHTS
    )
    accept(folder, WEIGHTS)
    assert_same(forecaster.predict(CUBES, PRESENT), load(folder).predict(CUBES, PRESENT))


def with_features(members: int = 1) -> NetworkForecaster:
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
        spec=SPEC,
        origin=ORIGIN,
        postprocessing=PostProcessing(distribution=True),
        standardisation=SCALE,
    )


@pytest.mark.parametrize("members", [1, 3])
def test_with_features_it_forecasts_the_same_when_exported_saved_and_loaded(tmp_path, members):
    made = with_features(members)
    exported = made.exported()
    before = made.predict(FEW, THERE)
    assert_same(before, load(save(made, tmp_path / "made")).predict(FEW, THERE))
    assert exported.engine == load(save(exported, tmp_path / "exported")).engine == "onnxruntime"
    after = exported.predict(FEW, THERE)
    np.testing.assert_allclose(before.probability, after.probability, atol=1e-5)


def test_features_make_a_difference():
    made = with_features()
    other = replace(SCALE, mean=tuple(np.add(SCALE.mean, SCALE.std)))
    before, after = (
        replace(made, standardisation=scale).predict(FEW, THERE).probability
        for scale in (SCALE, other)
    )
    assert not np.allclose(before, after)


def test_the_mean_of_networks_has_the_mean_of_their_logits():
    made = with_features(3)
    images, there = torch.randn(2, 4, 10, 32, 32), torch.ones(2, 4, 10, dtype=torch.bool)
    features = torch.randn(2, len(SCALE.mean))
    with torch.inference_mode():
        logits = made.network(images, there, features)[1]
        each = [one(images, there, features)[1] for one in made.network.members]
    torch.testing.assert_close(logits, torch.stack(each).mean(dim=0))


def test_a_scale_of_other_features_than_the_network_takes_is_refused(tmp_path):
    made = with_features()
    config = replace(made.config, n_features=3)
    wrong = replace(made, config=config, network=build(config).eval())
    folder = save(wrong, tmp_path / "made")
    with pytest.raises(ForecasterInvalid, match="the network takes 3 features"):
        load(folder)


def test_a_distribution_with_the_tuning_of_two_heads_is_refused():
    with pytest.raises(ForecasterInvalid, match="train it again"):
        with_features().with_postprocessing(PostProcessing())
