"""Training on a GPU, in bf16, with the whole set in its memory: `python -m benchmarks.gpu`.

    python -m benchmarks.gpu [samples] [batch] [seconds]

For every architecture at 128 and 256 pixels: samples a second of ``fit``, the share of the peak of
matrix multiplication that this is, and the share of the time in which a step waited for its input.
The peak is measured here, as the fastest of some products of large bfloat16 matrices; the
operations of a step are counted by PyTorch (forward and backward, a multiplication and an addition
as two). Images are random bytes, ``samples`` of them in the GPU's memory as ``train`` puts them
there; each training goes over them until ``seconds`` are over, after an epoch that does not count.
Takes about five minutes. Says "not run" where there is no GPU.
"""

import sys
import time
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import machine
from flare.config.network_groups import OptimizerOptions
from flare.models import ARCHITECTURES, NetworkConfig, build
from flare.models.normalisation import ChannelNormalisation, Normaliser
from flare.sample import N_CHANNELS, N_STEPS
from flare.training.batches import Batches, DeviceCubes
from flare.training.loop import Training
from flare.training.losses import multitask

SIZES = (128, 256)
DISTINCT = 64  # random samples, of which a set is made
_COUNTED = 2  # samples whose operations are counted: batch normalisation needs two
NORMALISATION = ChannelNormalisation((128.0,) * N_CHANNELS, (74.0,) * N_CHANNELS)


@dataclass(frozen=True)
class Throughput:
    """What one training came to; ``operations`` are those of a step for one sample."""

    samples_per_second: float
    operations: float
    waiting: float
    resident: bool
    gigabytes: float


def matrix_peak(device: torch.device, *, edge: int = 8192, repeats: int = 20) -> float:
    """Return the most operations a second of some products of square bfloat16 matrices."""
    one, two = (torch.randn(edge, edge, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(repeats):
        _wait_for(device)
        start = time.perf_counter()
        one @ two
        _wait_for(device)
        best = min(best, time.perf_counter() - start)
    return 2 * edge**3 / best


def batches_of(samples: int, size: int, batch: int, device: torch.device) -> Batches:
    """Return random samples in batches, their images in the device's memory if it has room."""
    flux = 10 ** np.random.default_rng(1).uniform(-8, -4, samples)
    present = np.ones((samples, N_STEPS, N_CHANNELS), dtype=np.bool_)
    shape = (min(samples, DISTINCT), N_STEPS, N_CHANNELS, size, size)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Batches(
        images[np.arange(samples) % len(images)], present, flux, np.arange(samples), batch
    ).cache_on_device(device)


def throughput(
    architecture: str, size: int, batches: Batches, fabric: Fabric, *, seconds: float
) -> Throughput:
    """Train for some seconds, an epoch at least, after one that does not count."""
    options = OptimizerOptions(
        epochs=10_000, batch_size=batches.batch_size, learning_rate=1e-4, ema=0
    )
    torch.manual_seed(0)
    if fabric.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(fabric.device)
    network = build(NetworkConfig(architecture))
    operations = _operations(network, size, fabric.device)
    records = Training(
        network, Normaliser(NORMALISATION), train=batches, validation=None, options=options,
        loss=multitask(1.0), fabric=fabric,
    ).fit()  # fmt: skip
    next(records)  # kernels are chosen
    measured = [next(records)]
    while sum(one.seconds for one in measured) < seconds:
        measured.append(next(records))
    records.close()
    total = sum(one.seconds for one in measured)
    used = torch.cuda.max_memory_allocated(fabric.device) if fabric.device.type == "cuda" else 0
    return Throughput(
        sum(one.samples_per_second * one.seconds for one in measured) / total,
        operations,
        sum(one.data_wait_share * one.seconds for one in measured) / total,
        isinstance(batches.cubes, DeviceCubes),
        used / 1e9,
    )


def _operations(network: torch.nn.Module, size: int, device: torch.device) -> float:
    """Count the operations of forward and backward for one sample."""
    shape = (_COUNTED, N_STEPS, N_CHANNELS, size, size)
    present = torch.ones(shape[:3], dtype=torch.bool, device=device)
    network.to(device)
    with FlopCounterMode(display=False) as counter:
        log10_flux, logits = network(torch.randn(shape, device=device), present)
        (log10_flux.mean() + logits.mean()).backward()
    network.zero_grad(set_to_none=True)
    return float(counter.get_total_flops()) / _COUNTED


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main(samples: int = 4096, batch: int = 128, seconds: float = 10.0) -> None:
    """Measure and print, or say that there is no GPU."""
    if not torch.cuda.is_available():
        print("not run: this machine has no GPU that PyTorch can use")
        return
    fabric = Fabric(accelerator="gpu", devices=1, precision="bf16-mixed")
    peak = matrix_peak(fabric.device)
    print(f"{torch.cuda.get_device_name(fabric.device)}: {peak / 1e12:.0f} TFLOP/s measured\n")
    print("| architecture | pixels | samples/s | of the peak | waiting | images | GPU memory |")
    print("|---|---:|---:|---:|---:|---|---:|")
    for size in SIZES:
        batches = batches_of(samples, size, batch, fabric.device)
        for architecture in ARCHITECTURES:
            one = throughput(architecture, size, batches, fabric, seconds=seconds)
            share = one.samples_per_second * one.operations / peak
            where = "in GPU memory" if one.resident else "on the host"
            print(
                f"| {architecture} | {size} | {one.samples_per_second:,.0f} | {share:.1%} "
                f"| {one.waiting:.1%} | {where} | {one.gigabytes:.1f} GB |",
                flush=True,
            )
        del batches
    print(f"\n{samples} samples in batches of {batch}, bf16-mixed; {machine('torch')}")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(*map(int, words[:2]), *map(float, words[2:3]))
