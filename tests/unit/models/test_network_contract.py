"""What every architecture has to keep to; a new one is tested by its line in ARCHITECTURES."""

import numpy as np
import pytest
import torch
from small_networks import inputs, network, without

from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.network import NetworkForecaster
from flare.forecasters.storage import load, save
from flare.models import ARCHITECTURES, NetworkConfig
from flare.models.normalisation import ChannelNormalisation
from flare.training.batches import Batch
from flare.training.losses import multitask

pytestmark = pytest.mark.parametrize("architecture", ARCHITECTURES)

# A convolution may be computed in another order where the batch is larger. Log10 fluxes are
# about -7, where float32 has steps of 5e-7.
ROUNDING = 2e-6


def forecaster(architecture: str, **options: object) -> NetworkForecaster:
    return NetworkForecaster(
        network(architecture, **options),
        NetworkConfig(architecture, width=2, hidden=8),
        ChannelNormalisation((100.0,) * 10, (30.0,) * 10),
        spec=ForecasterSpec(image_size=32),
        origin=Origin("f" * 16, "tiny", True, (11000,), 4),
    )


def grey_levels(n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    cubes = rng.integers(1, 256, (n, 4, 10, 32, 32), dtype=np.uint8)
    return cubes, rng.random((n, 4, 10)) < 0.7


@pytest.mark.parametrize("size", [32, 256])
@pytest.mark.parametrize("n_quantiles", [1, 3])
def test_it_gives_each_quantile_of_the_flux_and_a_logit_for_each_event(
    architecture, n_quantiles, size
):
    model = network(architecture, n_events=5, n_quantiles=n_quantiles)
    log10_flux, logits = model(*inputs(2, size))
    assert (log10_flux.shape, logits.shape) == ((2, n_quantiles), (2, 5))
    assert log10_flux.dtype == logits.dtype == torch.float32


def test_three_quantiles_rise(architecture):
    log10_flux, _ = network(architecture, n_quantiles=3)(*inputs(8))
    assert (log10_flux.diff(dim=1) > 0).all()


@pytest.mark.parametrize("n_quantiles", [1, 3])
def test_the_loss_is_finite_and_its_gradient_reaches_every_parameter(architecture, n_quantiles):
    model = network(architecture, dropout=0.0, n_quantiles=n_quantiles).train()
    cubes, present = inputs()
    log10_flux, logits = model(cubes, present)
    batch = Batch(cubes, present, torch.tensor([-9.0, -6.0, -4.0]), torch.ones(3, 4))
    # The middle quantile alone has a loss yet; the others are pulled on here.
    loss = multitask(1.0)(log10_flux, logits, batch) + log10_flux.square().mean()
    assert loss.isfinite()
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(architecture):
    one, same, other = (network(architecture, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_it_begins_at_the_climatology_that_it_is_given(architecture):
    model = network(architecture)
    rates = torch.tensor([0.7, 0.4, 0.05, 0.004])
    model.start_at(-6.0, rates.tolist())
    log10_flux, logits = model(*inputs(16))
    assert log10_flux.mean().item() == pytest.approx(-6.0, abs=0.8)
    np.testing.assert_allclose(logits.detach().mean(dim=0), torch.logit(rates), atol=0.8)


def test_its_answer_does_not_depend_on_the_neighbours_in_the_batch(architecture):
    model = network(architecture)
    cubes, present = inputs(4)
    others = torch.cat([cubes[:1], 5 * cubes[1:].flip(0) + 1])
    with torch.inference_mode():
        for one, two in zip(model(cubes, present), model(others, present), strict=True):
            np.testing.assert_allclose(one[0], two[0], rtol=0, atol=ROUNDING)
            assert not torch.allclose(one[1:], two[1:])


def test_its_answer_does_not_depend_on_the_size_of_the_batch(architecture):
    model = network(architecture)
    cubes, present = inputs(5, size=64)
    with torch.inference_mode():
        together = model(cubes, present)
        for k in range(5):
            alone = model(cubes[k : k + 1], present[k : k + 1])
            for one, two in zip(alone, together, strict=True):
                np.testing.assert_allclose(one[0], two[k], rtol=0, atol=ROUNDING)


def test_it_forecasts_the_same_when_it_was_saved_and_loaded(architecture, tmp_path):
    made = forecaster(architecture)
    cubes, present = grey_levels()
    before, after = made.predict(cubes, present), load(save(made, tmp_path / "made"))
    after = after.predict(cubes, present)
    np.testing.assert_array_equal(before.log10_flux, after.log10_flux)
    np.testing.assert_array_equal(before.probability, after.probability)


def test_what_lies_under_the_mask_makes_no_difference(architecture):
    made = forecaster(architecture)
    cubes, present = grey_levels()
    before = made.predict(cubes, present)
    cubes[~present] = 255 - cubes[~present]
    after = made.predict(cubes, present)
    np.testing.assert_array_equal(before.log10_flux, after.log10_flux)
    np.testing.assert_array_equal(before.probability, after.probability)


def test_it_answers_with_steps_missing_with_all_but_one_image_and_with_none(architecture):
    model = network(architecture)
    cubes, present = inputs(4)
    present[0, 1:3] = False  # two steps
    present[1] = False
    present[1, 2, 5] = True  # one image is left
    present[2] = False
    answers = model(*without(cubes, present))
    for answer in answers:
        assert answer.isfinite().all()
        assert not torch.allclose(answer[1], answer[2])


def test_it_learns_with_everything_missing_from_a_sample(architecture):
    model = network(architecture).train()
    cubes, present = inputs(3)
    present[0] = False
    log10_flux, logits = model(*without(cubes, present))
    (log10_flux.sum() + logits.sum()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_whether_an_image_is_missing_or_average_makes_a_difference(architecture):
    model = network(architecture)
    cubes, present = inputs()
    cubes[:, 1, 4] = 0.0  # the mean
    average, _ = model(cubes, present)
    present[:, 1, 4] = False
    missing, _ = model(cubes, present)
    assert not torch.allclose(average, missing)


def test_every_image_makes_a_difference_and_so_does_the_order_of_steps(architecture):
    model = network(architecture)
    cubes, present = inputs(1)
    before, _ = model(cubes, present)
    for step in range(4):
        for channel in range(10):
            changed = cubes.clone()
            changed[:, step, channel] *= 2
            assert not torch.equal(model(changed, present)[0], before), (step, channel)
    assert not torch.allclose(model(cubes.flip(1), present)[0], before)


def test_dropout_is_active_in_training_and_nowhere_else(architecture):
    model = network(architecture, hidden=64, dropout=0.5)
    batch = inputs()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert torch.equal(model(*batch)[0], model(*batch)[0])
        model.train()
        assert not torch.equal(model(*batch)[0], model(*batch)[0])
