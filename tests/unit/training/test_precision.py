"""Which precision is computed in where nobody has chosen one."""

import pytest
import torch

from flare.training.processes import resolve_precision


@pytest.fixture
def machine(monkeypatch):
    """Return a function that sets what this machine can do."""

    def set_up(*, amx: bool = False, gpu: bool = False, gpu_bf16: bool = False) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_how: gpu_bf16)

    return set_up


@pytest.mark.parametrize(
    ("accelerator", "able", "wanted"),
    [
        ("cpu", {"amx": True}, "bf16-mixed"),
        ("auto", {"amx": True}, "bf16-mixed"),
        ("cpu", {"amx": False}, "32-true"),
        ("auto", {"gpu": True, "gpu_bf16": True}, "bf16-mixed"),
        ("gpu", {"gpu": True, "gpu_bf16": True}, "bf16-mixed"),
        ("auto", {"gpu": True, "gpu_bf16": False, "amx": True}, "32-true"),
        ("cpu", {"gpu": True, "gpu_bf16": True, "amx": False}, "32-true"),
    ],
)
def test_bfloat16_is_chosen_where_the_device_that_trains_multiplies_it(
    machine, accelerator, able, wanted
):
    machine(**able)
    assert resolve_precision("auto", accelerator) == wanted


def test_a_processor_of_which_nothing_is_known_computes_in_32_bits(machine, monkeypatch):
    machine()
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert resolve_precision("auto", "cpu") == "32-true"


@pytest.mark.parametrize("name", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_precision_that_was_chosen_stays(machine, name):
    machine(amx=True, gpu=True, gpu_bf16=True)
    assert resolve_precision(name, "auto") == name
