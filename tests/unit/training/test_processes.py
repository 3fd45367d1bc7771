"""Devices and processes; that several processes train together is tested end to end."""

import ctypes
import os
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from flare.config.network_groups import OptimizerOptions
from flare.errors import ConfigInvalid, FlareError, ProcessLost
from flare.training.processes import (
    divide_cores,
    fabric_for,
    global_rank,
    keep_freed_memory,
    launch,
    needs_launch,
    process_group,
    resolve_precision,
    return_freed_memory,
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": 2}, "devices=2, but there is one process"),
        ({"num_nodes": 2}, "start this with torchrun or srun on all of them"),
    ],
)
def test_several_devices_or_machines_without_processes_are_refused(options, message):
    with pytest.raises(ConfigInvalid, match=message):
        fabric_for(OptimizerOptions(accelerator="cpu", **options))


def test_the_rank_is_that_of_torchrun(monkeypatch):
    assert global_rank() == 0
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert global_rank() == 3
    assert not needs_launch(OptimizerOptions(devices=4))


@pytest.mark.parametrize(
    ("accelerator", "able", "wanted"),
    [
        ("cpu", {"amx": True}, "bf16-mixed"),
        ("auto", {"amx": True}, "bf16-mixed"),
        ("cpu", {"amx": False}, "32-true"),
        ("cpu", {}, "32-true"),  # nothing is known of the processor
        ("auto", {"gpu": True, "gpu_bf16": True}, "bf16-mixed"),
        ("gpu", {"gpu": True, "gpu_bf16": True}, "bf16-mixed"),
        ("auto", {"gpu": True, "gpu_bf16": False, "amx": True}, "32-true"),
        ("cpu", {"gpu": True, "gpu_bf16": True, "amx": False}, "32-true"),
    ],
)
def test_bfloat16_is_chosen_where_the_device_that_trains_multiplies_it(
    monkeypatch, accelerator, able, wanted
):
    known = {"amx_bf16": able["amx"]} if "amx" in able else {}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: able.get("gpu", False))
    bf16 = able.get("gpu_bf16", False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_how: bf16)
    assert resolve_precision("auto", accelerator) == wanted
    for name in ("32-true", "bf16-mixed", "16-mixed"):  # a precision that was chosen stays
        assert resolve_precision(name, accelerator) == name


def test_a_system_without_glibc_is_left_alone(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    keep_freed_memory()
    return_freed_memory()
