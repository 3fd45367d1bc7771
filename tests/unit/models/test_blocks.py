from typing import get_args

import pytest
import torch
from small_networks import inputs, network, without

from flare.config.network_groups import ArchitectureOptions
from flare.errors import ConfigInvalid
from flare.models import ARCHITECTURES, NetworkConfig, build
from flare.models.blocks import OVERVIEW, Overview, frames, overview, pool
from flare.sample import MAGNETOGRAM


def test_a_frame_has_the_channels_of_a_step_and_the_magnetogram_without_its_sign():
    cubes, _ = inputs(2)
    steps = frames(cubes.flatten(0, 1))
    assert steps.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(steps[:, :10], cubes.flatten(0, 1))
    assert torch.equal(steps[:, 10], cubes.flatten(0, 1)[:, MAGNETOGRAM].abs())


def test_pooling_keeps_the_mean_and_the_brightest_pixel():
    maps = torch.zeros(1, 2, 4, 4)
    maps[0, 0, 1, 2] = 8.0
    maps[0, 1] = 1.0
    assert pool(maps).tolist() == [[0.5, 1.0, 8.0, 1.0]]


def test_the_overview_tells_brightness_contrast_and_the_brightest_pixel_of_each_image():
    cubes = torch.zeros(1, 4, 10, 2, 2)
    cubes[0, 3, 9] = torch.tensor([[0.0, 0.0], [0.0, 8.0]])
    present = torch.ones(1, 4, 10, dtype=torch.bool)
    features = overview(cubes, present)
    assert features.shape == (1, 4, 40)
    assert features[0, 3, 27:30].tolist() == pytest.approx([2.0, 12**0.5, 8.0], rel=1e-5)
    assert features[0, 3, 30:].tolist() == [1.0] * 10


@pytest.mark.parametrize("size", [32, 256])
def test_rounding_does_not_become_contrast(size):
    grey = torch.linspace(-3, 3, 40).reshape(1, 4, 10, 1, 1)
    present = torch.ones(1, 4, 10, dtype=torch.bool)
    features = overview(grey.expand(1, 4, 10, size, size).contiguous(), present)[0]
    assert (features[:, 1:30:3] == 0).all()
    torch.testing.assert_close(features[:, 0:30:3], grey[0, :, :, 0, 0])


def test_the_overview_of_a_missing_image_is_zero():
    cubes, present = inputs(1)
    present[0, 1, 9] = False
    features = overview(cubes, present)[0, 1]
    assert features[27:30].tolist() == [0.0, 0.0, 0.0]
    assert features[30:].tolist() == [1.0] * 9 + [0.0]


@pytest.mark.parametrize("architecture", ["cnn", "resnet", "cnn3d", "transformer"])
def test_a_step_without_images_is_known_by_the_mask_alone(architecture):
    model = network(architecture)
    cubes, present = inputs()
    present[:, 2] = False
    there = model(*without(cubes, present))
    cubes[:, 2] = 100.0
    for one, two in zip(there, model(cubes, present), strict=True):
        assert torch.equal(one, two)


def test_the_normalised_overview_has_one_scale_for_every_number():
    cubes, present = inputs(64)
    layer = Overview().train()
    features = layer(50 * cubes + 7, present)
    assert features.shape == (64, 4, OVERVIEW)
    numbers = features[..., :-10].detach()
    torch.testing.assert_close(numbers.mean(dim=(0, 1)), torch.zeros(30), atol=1e-4, rtol=0)
    assert (features[..., -10:] == 1).all()


def test_a_gap_is_assumed_to_look_as_the_other_images_of_its_channel_do():
    cubes, present = inputs(2)
    present[0, 1, 4] = False
    layer = Overview().eval()
    features = layer(*without(cubes, present))[0, :, 12:15]
    torch.testing.assert_close(features[1], (features[0] + features[2] + features[3]) / 3)


def test_a_channel_without_any_image_is_reported_as_zeros():
    cubes, present = inputs(2)
    present[0, :, 4] = False
    layer = Overview().eval()
    layer.normalisation.running_mean.fill_(3.0)
    features = layer(*without(cubes, present))
    assert (features[0, :, 12:15] == 0).all()
    assert (features[0, :, 34] == 0).all()
    assert (features[1, :, 12:15] != 0).any()


def test_the_encoder_sees_how_much_field_there_is_without_its_sign():
    seen = []
    model = network()
    model.encoder.blocks.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    cubes, present = inputs(1)
    model(cubes, present)
    assert seen[0].shape == (4, 11, 32, 32)
    assert torch.equal(seen[0][:, 10], cubes[0, :, MAGNETOGRAM].abs())


@pytest.mark.parametrize(("width", "hidden"), [(1, 1), (3, 5), (6, 12)])
def test_width_and_hidden_are_how_wide_and_how_large(width, hidden):
    model = network(width=width, hidden=hidden)
    assert model.encoder.blocks[0][0].out_channels == width
    assert model.heads.flux_head.in_features == hidden


def test_an_architecture_that_is_not_there_is_refused_with_the_choices():
    with pytest.raises(ConfigInvalid, match="'vit'; choose one of cnn, "):
        build(NetworkConfig(architecture="vit"))


def test_the_command_line_offers_the_architectures_and_no_others():
    offered = get_args(ArchitectureOptions.model_fields["architecture"].annotation)
    assert offered == tuple(ARCHITECTURES)
