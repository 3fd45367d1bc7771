import pytest
import torch

from flare.training.averaging import AveragedWeights


def line(weight: float) -> torch.nn.Linear:
    made = torch.nn.Linear(1, 1)
    with torch.no_grad():
        made.weight.fill_(weight)
    return made


def moved(network: torch.nn.Linear, average: AveragedWeights, weight: float) -> None:
    with torch.no_grad():
        network.weight.fill_(weight)
    average.update()


def averaged(network, average) -> float:
    average.swap()
    found = network.weight.item()
    average.swap()
    return found


def test_the_first_weights_are_soon_forgotten():
    network = line(0.0)
    average = AveragedWeights(network, 0.999)
    moved(network, average, 1.0)
    assert averaged(network, average) == pytest.approx(0.9)  # 1 - 1/10
    moved(network, average, 1.0)
    assert averaged(network, average) == pytest.approx(1 - 0.1 * 2 / 11)


def test_the_decay_is_the_most_that_is_kept_of_the_average():
    network = line(0.0)
    average = AveragedWeights(network, 0.05)
    moved(network, average, 1.0)
    assert averaged(network, average) == pytest.approx(0.95)


def test_swapped_twice_both_are_as_before():
    network = line(0.0)
    average = AveragedWeights(network, 0.5)
    moved(network, average, 3.0)
    averaged(network, average)
    assert network.weight.item() == 3.0


def test_statistics_of_batch_normalisation_are_averaged_and_its_count_is_not():
    network = torch.nn.BatchNorm1d(2)
    average = AveragedWeights(network, 0.5)
    network.running_mean.fill_(1.0)
    network.num_batches_tracked.fill_(7)
    average.update()
    average.swap()
    assert network.running_mean.tolist() == pytest.approx([0.9, 0.9])
    assert network.num_batches_tracked.item() == 7


def test_a_state_goes_on_where_it_was():
    networks = line(0.0), line(0.0)
    one, two = (AveragedWeights(network, 0.999) for network in networks)
    moved(networks[0], one, 2.0)
    two.load_state_dict(one.state_dict())
    for network, average in zip(networks, (one, two), strict=True):
        moved(network, average, 5.0)
    assert averaged(networks[0], one) == averaged(networks[1], two)
