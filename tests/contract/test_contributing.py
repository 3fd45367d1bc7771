"""CONTRIBUTING.md is true: its example works, and its layers are those of the rule."""

import re
from pathlib import Path

import torch

from flare.models import ARCHITECTURES, NetworkConfig, build
from flare.sample import N_CHANNELS, N_STEPS

from contract.layers import ROWS

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_architecture_of_the_example_trains_as_a_network(monkeypatch):
    module, line = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(module, names)
    ((name, encoder),) = eval(f"{{{line}}}", names).items()
    monkeypatch.setitem(ARCHITECTURES, name, encoder)
    network = build(NetworkConfig(name, n_features=3))
    log10_flux, logits = network(
        torch.randn(2, N_STEPS, N_CHANNELS, 32, 32),
        torch.ones(2, N_STEPS, N_CHANNELS, dtype=torch.bool),
        torch.randn(2, 3),
    )
    assert (log10_flux.shape, logits.shape) == ((2, 1), (2, 4))
    (log10_flux.sum() + logits.sum()).backward()
    assert all(one.grad is not None for one in network.parameters() if one.requires_grad)


def test_the_layers_are_those_of_the_rule_from_the_top():
    block = TEXT.split("## The layers")[1].split("```")[1].strip()
    lines = [re.split(r" {3,}", line)[0] for line in block.splitlines()]
    rows = [
        {name.strip("/").removeprefix("flare/").replace("/", ".") for name in line.split()}
        for line in lines
    ]
    assert rows == [{name.removeprefix("flare.") for name in row} for row in reversed(ROWS)]
