"""Devices and processes; that several processes train together is tested end to end."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from toy import toy_batches

from flare.config.network_groups import OptimizerOptions
from flare.errors import ConfigInvalid, FlareError, ProcessLost
from flare.training.processes import (
    divide_cores,
    fabric_for,
    global_rank,
    launch,
    needs_launch,
    process_group,
)


@pytest.fixture
def two(monkeypatch):
    """Return a function that runs a function of ``two_processes`` in two processes."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    return lambda what: launch("two_processes", [what], processes=2)


def test_cpu_processes_average_their_batch_normalisation_statistics(two):
    assert two("average") == 0


def test_a_process_that_dies_is_named_with_its_exit_code(two):
    with pytest.raises(ProcessLost, match="rank 1 ended with exit code 9"):
        two("die")


def test_an_error_that_a_process_reported_is_not_reported_again(two, capfd):
    assert two("refuse") == 2
    assert capfd.readouterr().err == ""


def test_lost_communication_is_one_line_about_the_other_processes(monkeypatch):
    monkeypatch.setattr(Fabric, "world_size", 2)
    options = OptimizerOptions(accelerator="cpu", precision="32-true")
    lost = r"rank 0 lost the other processes \(closed by peer\)"
    with pytest.raises(ProcessLost, match=lost), process_group(options):
        raise RuntimeError("closed by peer\nmore")
    with pytest.raises(FlareError, match="diverged"), process_group(options):
        raise ConfigInvalid("diverged")


def test_one_device_needs_no_launch_and_keeps_all_its_threads():
    assert not needs_launch(OptimizerOptions())
    assert needs_launch(OptimizerOptions(devices=2))
    before = torch.get_num_threads()
    with divide_cores(Fabric(accelerator="cpu", devices=1)):
        assert torch.get_num_threads() == before


def test_several_devices_without_processes_are_refused():
    with pytest.raises(ConfigInvalid, match="devices=2, but there is one process"):
        fabric_for(OptimizerOptions(accelerator="cpu", devices=2))


def test_several_machines_without_a_launcher_are_refused():
    with pytest.raises(ConfigInvalid, match="start this with torchrun or srun on all of them"):
        fabric_for(OptimizerOptions(num_nodes=2))


def test_the_rank_is_that_of_torchrun(monkeypatch):
    assert global_rank() == 0
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert global_rank() == 3
    assert not needs_launch(OptimizerOptions(devices=4))


def test_more_processes_than_samples_are_refused():
    with pytest.raises(ConfigInvalid, match="2 samples cannot be divided among 3 processes"):
        toy_batches(rows=np.arange(2)).plan(0, processes=3)
