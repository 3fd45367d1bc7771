"""What every architecture has to keep to; a new one is tested by its line in ARCHITECTURES."""

from typing import get_args

import numpy as np
import pytest
import torch

from flare.config.network_groups import ArchitectureOptions
from flare.errors import ConfigInvalid
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.network import NetworkForecaster
from flare.forecasters.storage import load, save
from flare.models import ARCHITECTURES, Network, NetworkConfig, build
from flare.models.blocks import OVERVIEW, Overview, frames, overview
from flare.models.normalisation import ChannelNormalisation
from flare.sample import MAGNETOGRAM
from flare.training.batches import Batch
from flare.training.losses import multitask

every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)

# A convolution may be computed in another order where the batch is larger. Log10 fluxes are
# about -7, where float32 has steps of 5e-7.
ROUNDING = 2e-6


def network(architecture: str = "cnn", *, seed: int = 0, **options: object) -> Network:
    """Return a network of width 2 with 8 hidden units, or what the options say, to be scored."""
    config = NetworkConfig(architecture, **{"width": 2, "hidden": 8, **options})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = build(config).eval()
    with torch.no_grad():  # heads start small, and differences would be lost in rounding
        for head in (made.heads.flux_head, made.heads.event_head):
            if head is not None:
                head.weight.mul_(10)
    return made


def inputs(n: int = 3, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Return n normalised samples, and that every image is there."""
    generator = torch.Generator().manual_seed(1)
    cubes = torch.randn(n, 4, 10, size, size, generator=generator)
    return cubes, torch.ones(n, 4, 10, dtype=torch.bool)


def without(cubes: torch.Tensor, present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cubes that are zero where the mask has nothing, as the normalisation gives them."""
    return cubes.masked_fill(~present[..., None, None], 0.0), present


# Blocks -----------------------------------------------------------------------------------------


def test_a_frame_has_the_channels_of_a_step_and_the_magnetogram_without_its_sign():
    cubes, _ = inputs(2)
    steps = frames(cubes.flatten(0, 1))
    assert steps.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(steps[:, :10], cubes.flatten(0, 1))
    assert torch.equal(steps[:, 10], cubes.flatten(0, 1)[:, MAGNETOGRAM].abs())


def test_the_overview_has_mean_deviation_maximum_and_presence_and_zeros_for_a_missing_image():
    cubes, present = torch.zeros(1, 4, 10, 2, 2), torch.ones(1, 4, 10, dtype=torch.bool)
    cubes[0, 3, 9] = torch.tensor([[0.0, 0.0], [0.0, 8.0]])
    cubes[0, 1, 8], present[0, 1, 8] = 5.0, False
    features = overview(cubes, present)
    assert features.shape == (1, 4, 40)
    assert features[0, 3, 27:30].tolist() == pytest.approx([2.0, 12**0.5, 8.0], rel=1e-5)
    assert features[0, 3, 30:].tolist() == [1.0] * 10
    assert features[0, 1, 24:27].tolist() == [0.0, 0.0, 0.0]
    assert features[0, 1, 30:].tolist() == [1.0] * 8 + [0.0, 1.0]


@pytest.mark.parametrize("size", [32, 256])
def test_rounding_does_not_become_contrast(size):
    grey = torch.linspace(-3, 3, 40).reshape(1, 4, 10, 1, 1)
    present = torch.ones(1, 4, 10, dtype=torch.bool)
    features = overview(grey.expand(1, 4, 10, size, size).contiguous(), present)[0]
    assert (features[:, 1:30:3] == 0).all()
    torch.testing.assert_close(features[:, 0:30:3], grey[0, :, :, 0, 0])


def test_the_normalised_overview_has_one_scale_for_every_number():
    cubes, present = inputs(64)
    features = Overview().train()(50 * cubes + 7, present)
    assert features.shape == (64, 4, OVERVIEW)
    numbers = features[..., :-10].detach()
    torch.testing.assert_close(numbers.mean(dim=(0, 1)), torch.zeros(30), atol=1e-4, rtol=0)
    assert (features[..., -10:] == 1).all()


def test_a_gap_is_filled_with_the_mean_of_its_channel_and_a_missing_channel_with_zeros():
    cubes, present = inputs(3)
    present[0, 1, 4] = False
    present[1, :, 4] = False
    layer = Overview().eval()
    layer.normalisation.running_mean.fill_(3.0)
    features = layer(*without(cubes, present))[..., 12:15]
    torch.testing.assert_close(
        features[0, 1], (features[0, 0] + features[0, 2] + features[0, 3]) / 3
    )
    assert (features[1] == 0).all()
    assert (features[2] != 0).any()


@pytest.mark.parametrize("architecture", ["cnn", "resnet", "cnn3d", "transformer"])
def test_a_step_without_images_is_known_by_the_mask_alone(architecture):
    model = network(architecture)
    cubes, present = inputs()
    present[:, 2] = False
    masked = model(*without(cubes, present))
    cubes[:, 2] = 100.0
    for one, two in zip(masked, model(cubes, present), strict=True):
        assert torch.equal(one, two)


def test_the_command_line_offers_the_architectures_and_an_unknown_one_is_refused():
    offered = get_args(ArchitectureOptions.model_fields["architecture"].annotation)
    assert offered == tuple(ARCHITECTURES)
    with pytest.raises(ConfigInvalid, match="'vit'; choose one of cnn, "):
        build(NetworkConfig(architecture="vit"))


# Every architecture -----------------------------------------------------------------------------


@every_architecture
@pytest.mark.parametrize(("n_quantiles", "size"), [(1, 32), (3, 256)])
def test_it_gives_rising_quantiles_of_the_flux_and_a_logit_for_each_event(
    architecture, n_quantiles, size
):
    model = network(architecture, n_events=5, n_quantiles=n_quantiles)
    log10_flux, logits = model(*inputs(2, size))
    assert (log10_flux.shape, logits.shape) == ((2, n_quantiles), (2, 5))
    assert log10_flux.dtype == logits.dtype == torch.float32
    assert (log10_flux.diff(dim=1) > 0).all()


@every_architecture
def test_with_one_distribution_stronger_events_are_never_more_likely(architecture):
    model = network(architecture, n_quantiles=0)
    with torch.no_grad():
        for layer in (model.heads.curve.location, model.heads.curve.steepness):
            layer.weight.mul_(100)
    flux, logits = model(*inputs(16))
    assert flux.shape == (16, 0)
    assert (logits.diff(dim=1) <= 0).all()
    assert logits.isfinite().all()


@every_architecture
@pytest.mark.parametrize("n_quantiles", [1, 3])
def test_the_loss_is_finite_and_its_gradient_reaches_every_parameter(architecture, n_quantiles):
    model = network(architecture, dropout=0.0, n_quantiles=n_quantiles).train()
    cubes, present = inputs()
    log10_flux, logits = model(cubes, present)
    labels = torch.tensor([-9.0, -6.0, -4.0]), torch.ones(3, 4)
    batch = Batch(cubes, present, *labels, np.arange(3))
    # The middle quantile alone has a loss yet; the others are pulled on here.
    loss = multitask(1.0)(log10_flux, logits, batch) + log10_flux.square().mean()
    assert loss.isfinite()
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@every_architecture
def test_the_seed_decides_the_weights(architecture):
    one, same, other = (network(architecture, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@every_architecture
def test_it_starts_at_the_climatology_that_it_is_given(architecture):
    model = network(architecture)
    rates = torch.tensor([0.7, 0.4, 0.05, 0.004])
    model.heads.start_at(-6.0, rates.tolist())
    log10_flux, logits = model(*inputs(16))
    assert log10_flux.mean().item() == pytest.approx(-6.0, abs=0.8)
    np.testing.assert_allclose(logits.detach().mean(dim=0), torch.logit(rates), atol=0.8)


@every_architecture
def test_a_forecast_depends_neither_on_the_neighbours_in_its_batch_nor_on_their_number(
    architecture,
):
    model = network(architecture)
    cubes, present = inputs(4, size=64)
    others = torch.cat([cubes[:1], 5 * cubes[1:].flip(0) + 1])
    with torch.inference_mode():
        together, alone = model(cubes, present), model(cubes[:1], present[:1])
        for one, single, mixed in zip(together, alone, model(others, present), strict=True):
            np.testing.assert_allclose(one[0], single[0], rtol=0, atol=ROUNDING)
            np.testing.assert_allclose(one[0], mixed[0], rtol=0, atol=ROUNDING)
            assert not torch.allclose(one[1:], mixed[1:])


@every_architecture
def test_forecasts_are_the_same_when_saved_and_loaded_and_whatever_lies_under_the_mask(
    architecture, tmp_path
):
    made = NetworkForecaster(
        network(architecture),
        NetworkConfig(architecture, width=2, hidden=8),
        ChannelNormalisation((100.0,) * 10, (30.0,) * 10),
        spec=ForecasterSpec(image_size=32),
        origin=Origin("f" * 16, "tiny", True, (11000,), 4),
    )
    rng = np.random.default_rng(0)
    cubes = rng.integers(1, 256, (4, 4, 10, 32, 32), dtype=np.uint8)
    present = rng.random((4, 4, 10)) < 0.7
    loaded = load(save(made, tmp_path / "made"))
    forecasts = [made.predict(cubes, present), loaded.predict(cubes, present)]
    cubes[~present] = 255 - cubes[~present]
    forecasts.append(made.predict(cubes, present))
    for forecast in forecasts[1:]:
        np.testing.assert_array_equal(forecasts[0].log10_flux, forecast.log10_flux)
        np.testing.assert_array_equal(forecasts[0].probability, forecast.probability)


@every_architecture
def test_it_forecasts_with_steps_missing_with_all_but_one_image_and_with_none(architecture):
    model = network(architecture)
    cubes, present = inputs(4)
    present[0, 1:3] = False  # two steps
    present[1] = False
    present[1, 2, 5] = True  # one image is left
    present[2] = False
    for output in model(*without(cubes, present)):
        assert output.isfinite().all()
        assert not torch.allclose(output[1], output[2])
    log10_flux, logits = model.train()(*without(cubes, present))
    (log10_flux.sum() + logits.sum()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@every_architecture
def test_every_image_makes_a_difference_its_presence_and_the_order_of_steps(architecture):
    model = network(architecture)
    cubes, present = inputs(1)
    cubes[:, 1, 4] = 0.0  # the mean
    before, _ = model(cubes, present)
    for step in range(4):
        for channel in range(10):
            changed = cubes.clone()
            changed[:, step, channel] = 2 * changed[:, step, channel] + 0.1
            assert not torch.equal(model(changed, present)[0], before), (step, channel)
    assert not torch.allclose(model(cubes.flip(1), present)[0], before)
    present[:, 1, 4] = False
    assert not torch.allclose(model(cubes, present)[0], before)


@every_architecture
def test_dropout_is_active_in_training_only(architecture):
    model = network(architecture, hidden=64, dropout=0.5)
    batch = inputs()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert torch.equal(model(*batch)[0], model(*batch)[0])
        model.train()
        assert not torch.equal(model(*batch)[0], model(*batch)[0])
