"""That validation ends early in all processes or in none."""

from contextlib import nullcontext

import pytest
import torch
from toy import toy_batches

from flare.models import NetworkConfig, build
from flare.models.normalisation import fit_normalisation
from flare.training.losses import multitask
from flare.training.validation import validate

BATCHES = toy_batches(n=10, batch_size=2)  # five: with two processes the last round has one
NORMALISE = fit_normalisation(BATCHES.cubes, BATCHES.present, BATCHES.rows)


class Rank:
    """One of two processes; ``others`` is what the other one adds to each sum."""

    def __init__(self, rank: int, others: float = 0.0) -> None:
        self.global_rank, self.world_size, self.device = rank, 2, torch.device("cpu")
        self.others, self.sums = others, 0

    def autocast(self):
        return nullcontext()

    def to_device(self, values):
        return values

    def all_reduce(self, values, *, reduce_op):
        assert reduce_op == "sum"
        self.sums += 1
        return values + self.others


def scores_of(rank: Rank, stop=lambda: False):
    network = build(NetworkConfig(width=2, hidden=8))
    return validate(network, NORMALISE, BATCHES, multitask(1.0), rank, stop=stop)


def test_a_stop_in_another_process_ends_the_validation_here():
    rank = Rank(0, others=1.0)
    assert scores_of(rank) is None
    assert rank.sums == 1


@pytest.mark.parametrize("number", [0, 1])
def test_a_stop_ends_the_validation_of_several_processes(number):
    assert scores_of(Rank(number), stop=lambda: True) is None


def test_processes_with_and_without_a_last_batch_ask_each_other_equally_often():
    ranks = [Rank(0), Rank(1)]
    for rank in ranks:
        assert scores_of(rank) is not None
    assert ranks[0].sums == ranks[1].sums == 2 + 3
