import numpy as np
import pytest
import torch

from flare.errors import ConfigInvalid
from flare.models import ARCHITECTURES, NetworkConfig, build
from flare.sample import MAGNETOGRAM

SMALL = NetworkConfig(width=2, hidden=8)


def network(config: NetworkConfig = SMALL, seed: int = 0) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(config)


def inputs(n: int = 3, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    cubes = torch.randn(n, 4, 10, size, size, generator=generator)
    return cubes, torch.ones(n, 4, 10, dtype=torch.bool)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("n", "size"), [(1, 32), (3, 64)])
def test_it_gives_one_flux_and_one_logit_for_each_event(architecture, n, size):
    config = NetworkConfig(architecture, width=2, hidden=8, n_events=5)
    log10_flux, logits = network(config)(*inputs(n, size))
    assert (log10_flux.shape, logits.shape) == ((n, 1), (n, 5))
    assert log10_flux.dtype == logits.dtype == torch.float32


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_begins_at_the_climatology_that_it_is_given(architecture):
    model = network(NetworkConfig(architecture, width=2, hidden=8)).eval()
    model.start_at(-6.0, [0.7, 0.4, 0.05, 0.004])
    log10_flux, logits = model(*inputs())
    assert log10_flux.mean().item() == pytest.approx(-6.0, abs=0.7)
    assert logits.mean(dim=0).sigmoid().tolist() == pytest.approx([0.7, 0.4, 0.05, 0.004], rel=0.7)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_gradient_reaches_every_parameter(architecture):
    model = network(NetworkConfig(architecture, width=2, hidden=8, dropout=0.0))
    log10_flux, logits = model(*inputs())
    (log10_flux.sum() + logits.square().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(architecture):
    config = NetworkConfig(architecture, width=2, hidden=8)
    one, same, other = (network(config, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_a_step_without_images_is_told_by_the_mask_alone():
    model = network().eval()
    cubes, present = inputs()
    present[:, 2] = False
    there = model(cubes, present)
    cubes[:, 2] = 100.0
    for one, two in zip(there, model(cubes, present), strict=True):
        assert torch.equal(one, two)


def test_whether_an_image_is_missing_or_average_makes_a_difference():
    model = network().eval()
    cubes, present = inputs()
    cubes[:, 1, 4] = 0.0  # the mean
    there, _ = model(cubes, present)
    present[:, 1, 4] = False
    missing, _ = model(cubes, present)
    assert not torch.equal(there, missing)


def test_every_step_makes_a_difference():
    model = network().eval()
    cubes, present = inputs()
    before, _ = model(cubes, present)
    for step in range(4):
        changed = cubes.clone()
        changed[:, step] *= 2
        assert not torch.equal(model(changed, present)[0], before), step


def test_the_encoder_sees_how_much_field_there_is_without_its_sign():
    seen = []
    model = network().eval()
    model.blocks.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    cubes, present = inputs(1)
    model(cubes, present)
    assert seen[0].shape == (4, 11, 32, 32)
    assert torch.equal(seen[0][:, 10], cubes[0, :, MAGNETOGRAM].abs())


@pytest.mark.parametrize(("width", "hidden"), [(1, 1), (3, 5), (6, 12)])
def test_width_and_hidden_are_how_wide_and_how_large(width, hidden):
    model = network(NetworkConfig(width=width, hidden=hidden))
    assert model.blocks[0][0].out_channels == width
    assert model.heads.flux_head.in_features == hidden


def test_dropout_is_active_in_training_and_nowhere_else():
    model = network(NetworkConfig(width=2, hidden=64, dropout=0.5))
    batch = inputs()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.train()
        assert not torch.equal(model(*batch)[0], model(*batch)[0])
        model.eval()
        assert torch.equal(model(*batch)[0], model(*batch)[0])


def test_an_architecture_that_is_not_there_is_refused_with_the_choices():
    with pytest.raises(ConfigInvalid, match="'vit'; choose one of cnn, "):
        build(NetworkConfig(architecture="vit"))


def test_evaluation_does_not_depend_on_the_neighbours():
    model = network().eval()
    cubes, present = inputs(4)
    with torch.inference_mode():
        together = model(cubes, present)[0]
        alone = torch.cat([model(cubes[k : k + 1], present[k : k + 1])[0] for k in range(4)])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6)
