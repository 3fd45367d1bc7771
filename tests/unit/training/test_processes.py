"""What several processes need; that they learn the same is tested end to end."""

import os

import numpy as np
import pytest
import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from toy import toy_batches

from flare.errors import ConfigInvalid, ProcessLost
from flare.training.processes import fabric_for, rank_outside, shared_cores, started_outside, team
from flare.training.settings import FitSettings
from flare.training.synchronised import synchronised_norms

SETTINGS = FitSettings(
    epochs=1, batch_size=4, learning_rate=0.01, weight_decay=0.0, accelerator="cpu"
)
TWO = FitSettings(
    epochs=1, batch_size=4, learning_rate=0.01, weight_decay=0.0, accelerator="cpu", devices=2
)
SAMPLES = torch.from_numpy(np.random.default_rng(0).normal(3, 2, (7, 2, 3, 3))).float()
PARTS = (slice(0, 4), slice(4, 7))


def learnt(samples: torch.Tensor) -> tuple[torch.Tensor, torch.nn.BatchNorm2d, torch.Tensor]:
    """Return the output, the layer and the gradient of its input for part of a batch of seven."""
    norm = torch.nn.BatchNorm2d(2)
    torch.nn.init.constant_(norm.weight, 1.5)
    samples = samples.clone().requires_grad_()
    with synchronised_norms(norm, dist.get_world_size() if dist.is_initialized() else 1):
        out = norm(samples)
        (out**3).sum().backward()
    return out, norm, samples.grad


def work(settings: FitSettings) -> None:
    """Do what the second process does."""
    fabric_for(settings)
    learnt(SAMPLES[PARTS[1]])


def test_batch_normalisation_sees_the_samples_of_both_processes():
    whole, alone, gradient = learnt(SAMPLES)
    with team(2, work, TWO):
        fabric = fabric_for(TWO)
        assert (fabric.world_size, fabric.global_rank) == (2, 0)
        out, norm, own = learnt(SAMPLES[PARTS[0]])
    torch.testing.assert_close(out, whole[PARTS[0]], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(own, gradient[PARTS[0]], rtol=1e-4, atol=1e-4)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(norm.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    assert not dist.is_initialized()
    assert "LOCAL_RANK" not in os.environ


def test_after_the_block_batch_normalisation_is_pytorchs_own():
    norm = torch.nn.BatchNorm2d(2)
    with synchronised_norms(norm, 2):
        assert "forward" in vars(norm)
    assert "forward" not in vars(norm)


def gone(settings: FitSettings) -> None:
    """End as a process does that is out of memory."""
    fabric_for(settings)
    os._exit(9)


def test_a_process_that_dies_is_named_with_its_exit_code():
    with pytest.raises(ProcessLost, match="rank 1 ended with exit code 9"), team(2, gone, TWO):
        fabric_for(TWO).all_reduce(torch.zeros(1))


class Unreadable:
    """Cannot be made in another process."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_process_that_dies_at_its_start_is_named_too():
    with (
        pytest.raises(ProcessLost, match="rank 1 ended with exit code 3"),
        team(2, gone, Unreadable()),
    ):
        pytest.fail("the others were not there")


def leave() -> None:
    """Fail as the first process, while the other one waits for it."""
    fabric_for(TWO)
    raise ZeroDivisionError


def test_what_goes_wrong_here_ends_the_others_without_a_word_of_theirs(capfd):
    with pytest.raises(ZeroDivisionError), team(2, work, TWO):
        leave()
    assert "Traceback" not in capfd.readouterr().err


def refused(settings: FitSettings) -> None:
    """End as a process does that finds something wrong with the settings."""
    fabric_for(settings)
    raise ConfigInvalid("no such thing")


def test_an_expected_error_of_another_process_is_one_line(capfd):
    with pytest.raises(ProcessLost, match="rank 1 ended"), team(2, refused, TWO):
        fabric_for(TWO).all_reduce(torch.zeros(1))
    told = capfd.readouterr().err
    assert "rank 1: no such thing\n" in told
    assert "Traceback" not in told


def test_alone_nobody_is_started():
    with team(1, gone, SETTINGS):
        assert fabric_for(SETTINGS).world_size == 1


def test_several_devices_without_processes_are_refused():
    with pytest.raises(ConfigInvalid, match="devices=2, but there is one process"):
        fabric_for(TWO)


def test_several_machines_without_a_launcher_are_refused():
    two = FitSettings(epochs=1, batch_size=4, learning_rate=1, weight_decay=0, num_nodes=2)
    with pytest.raises(ConfigInvalid, match="start this with torchrun or srun on all of them"):
        fabric_for(two)


def test_torchrun_is_known_by_its_environment(monkeypatch):
    assert not started_outside()
    assert rank_outside() == 0
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert started_outside()
    assert rank_outside() == 3


def test_one_process_keeps_all_its_threads():
    before = torch.get_num_threads()
    with shared_cores(Fabric(accelerator="cpu", devices=1)):
        assert torch.get_num_threads() == before


def test_more_processes_than_samples_are_refused():
    with pytest.raises(ConfigInvalid, match="2 samples cannot be divided among 3 processes"):
        toy_batches(rows=np.arange(2)).plan(0, processes=3)
