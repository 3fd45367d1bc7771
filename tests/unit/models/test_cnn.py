from typing import get_args

import pytest
import torch
from small_networks import inputs, network

from flare.config.network_groups import ArchitectureOptions
from flare.errors import ConfigInvalid
from flare.models import ARCHITECTURES, NetworkConfig, build
from flare.sample import MAGNETOGRAM


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
