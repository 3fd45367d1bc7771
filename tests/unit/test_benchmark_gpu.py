"""The benchmark for GPUs, as far as a machine without one can run it."""

import torch
from lightning_fabric import Fabric

from benchmarks import gpu


def test_without_a_gpu_it_says_that_it_was_not_run(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main()
    assert capsys.readouterr().out.startswith("not run: ")


def test_an_architecture_is_measured():
    batches = gpu.batches_of(6, 32, 3, torch.device("cpu"))
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    one = gpu.throughput("cnn", 32, batches, fabric, seconds=0)
    assert one.samples_per_second > 0
    assert one.operations > 1e6
    assert 0 <= one.waiting <= 1
    assert not one.resident


def test_the_peak_is_that_of_a_product_of_matrices():
    assert gpu.matrix_peak(torch.device("cpu"), edge=64, repeats=2) > 1e6
