from functools import partial

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from flare.training.loop import move_average


def averaging(network: torch.nn.Module, decay: float) -> AveragedModel:
    """Return the average as the training loop makes it, started at the network's weights."""
    average = AveragedModel(
        network, multi_avg_fn=partial(move_average, decay=decay), use_buffers=True
    )
    average.update_parameters(network)
    return average


def test_the_average_forgets_the_first_weights_soon():
    network = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(network.weight)
    average = averaging(network, 0.999)
    torch.nn.init.ones_(network.weight)
    average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(0.9)  # 1 - 1/10
    average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(1 - 0.1 * 2 / 11)


def test_no_more_than_the_decay_of_the_average_remains():
    network = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(network.weight)
    average = averaging(network, 0.05)
    torch.nn.init.ones_(network.weight)
    average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(0.95)


def test_statistics_of_batch_normalisation_are_averaged_and_its_counter_is_copied():
    network = torch.nn.BatchNorm1d(2)
    average = averaging(network, 0.5)
    network.running_mean.fill_(1.0)
    network.num_batches_tracked.fill_(7)
    average.update_parameters(network)
    assert average.module.running_mean.tolist() == pytest.approx([0.9, 0.9])
    assert average.module.num_batches_tracked.item() == 7
