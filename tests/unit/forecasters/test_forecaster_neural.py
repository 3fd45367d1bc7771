import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_forecasters import CUBES, PRESENT, small_network
from test_forecaster_folder import accept, describe

from flare.errors import ForecasterInvalid
from flare.forecasters.network import WEIGHTS
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.calibration import natural_probabilities
from flare.forecasters.storage import DESCRIPTION, load, save

#: How much more often each class was sampled, from below B1.0 to X.
CLASS_WEIGHTS = (0.5, 2.0, 0.7, 4.0, 4.0)


@pytest.fixture
def forecaster():
    return small_network()


def test_the_weights_and_not_chance_decide(forecaster):
    once, twice = (forecaster.predict(CUBES, PRESENT) for _ in range(2))
    np.testing.assert_array_equal(once.log10_flux, twice.log10_flux)
    np.testing.assert_array_equal(once.probability, twice.probability)


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


def test_the_interval_is_the_forecast_and_the_residuals(forecaster):
    forecast = forecaster.with_postprocessing(PostProcessing({}, -0.5, 0.75)).predict(
        CUBES, PRESENT
    )
    np.testing.assert_allclose(forecast.lower, forecast.log10_flux - 0.5)
    np.testing.assert_allclose(forecast.upper, forecast.log10_flux + 0.75)


@pytest.mark.parametrize(
    "change", [{"width": 3}, {"architecture": "vit"}, {"n_events": 2}, {"depth": 9}], ids=str
)
def test_weights_of_another_network_are_refused(forecaster, change, tmp_path):
    folder = save(forecaster, tmp_path / "neural")
    parts = json.loads((folder / DESCRIPTION).read_text())["parts"]
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


def test_a_network_of_three_quantiles_forecasts_nothing_for_no_samples():
    assert len(small_network(n_quantiles=3).predict(CUBES[:0], PRESENT[:0])) == 0


@pytest.mark.parametrize(
    "options", [{"n_quantiles": 3}, {"class_sampling_weights": CLASS_WEIGHTS}], ids=str
)
def test_quantiles_and_the_weights_of_classes_travel_in_the_folder(options, tmp_path):
    forecaster = small_network(**options)
    loaded = load(save(forecaster, tmp_path / "neural"))
    before, after = (one.predict(CUBES, PRESENT) for one in (forecaster, loaded))
    for part in ("log10_flux", "lower", "upper", "probability"):
        np.testing.assert_array_equal(getattr(before, part), getattr(after, part))


def test_a_folder_without_weights_of_classes_is_read_as_drawn_as_they_are(forecaster, tmp_path):
    folder = save(forecaster, tmp_path / "neural")
    parts = json.loads((folder / DESCRIPTION).read_text())["parts"]
    describe(folder, parts={name: part for name, part in parts.items() if name != "drawn"})
    assert load(folder).class_sampling_weights == ()


def test_probabilities_learned_from_balanced_classes_are_at_the_natural_rate(forecaster):
    balanced = (
        replace(forecaster, class_sampling_weights=CLASS_WEIGHTS)
        .predict(CUBES, PRESENT)
        .probability
    )
    natural = natural_probabilities(forecaster.predict(CUBES, PRESENT).probability, CLASS_WEIGHTS)
    np.testing.assert_allclose(balanced, natural)


@pytest.mark.parametrize(
    "impossible", [(1.0, 2.0), (0.0, 1, 1, 1, 1), (-1.0, 1, 1, 1, 1), (np.nan,) * 5]
)
def test_impossible_weights_of_classes_are_refused(forecaster, impossible):
    with pytest.raises(ForecasterInvalid, match="sampling weights"):
        replace(forecaster, class_sampling_weights=impossible)


def test_weights_saved_before_encoders_had_a_prefix_give_the_same_forecasts(forecaster, tmp_path):
    folder = save(forecaster, tmp_path / "folder")
    weights = load_file(folder / WEIGHTS)
    save_file(
        {name.removeprefix("encoder."): one for name, one in weights.items()}, folder / WEIGHTS
    )
    accept(folder, WEIGHTS)
    before, after = forecaster.predict(CUBES, PRESENT), load(folder).predict(CUBES, PRESENT)
    np.testing.assert_array_equal(after.probability, before.probability)
