"""Training steps on a CPU: `python -m benchmarks.step`.

A step is forward, backward and AdamW. `stacked_cnn` at 256 pixels, batches of 16, next to the same
function in plain PyTorch: channels first, ReLU before the pooling, memory as glibc hands it out.
Then a step of each architecture at 128 pixels.

How glibc hands out memory is a matter of the whole process, so every measurement has its own; the
contestants take turns, and what counts is the median of the ratios within each turn.
"""

import json
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor, nn

from benchmarks.timing import machine
from flare.models import ARCHITECTURES, Network, NetworkConfig, build
from flare.models.blocks import over_time, pool
from flare.sample import MAGNETOGRAM, N_CHANNELS, N_STEPS
from flare.training.processes import keep_freed_memory

_BATCH, _TURNS, _STEPS = 16, 5, 3
_PLAIN, _DEFAULT_MEMORY, _OURS = "plain PyTorch", "stacked_cnn, glibc's memory", "stacked_cnn"


class Plain(nn.Module):
    """What StackedCNN computes with its weights, as one would first write it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for convolution, normalisation, *_ in network.encoder.blocks:
            layers += [convolution, normalisation, nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        self.blocks = nn.Sequential(*layers).to(memory_format=torch.contiguous_format)
        self.overview, self.heads = network.encoder.overview, network.heads

    def forward(self, cubes: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Forecast N samples."""
        planes = torch.cat([cubes.flatten(1, 2), cubes[:, :, MAGNETOGRAM].abs()], dim=1)
        maps = pool(self.blocks(planes))
        overview = over_time(self.overview(cubes, present), present)
        forecast: tuple[Tensor, Tensor] = self.heads(torch.cat([maps, overview], dim=1))
        return forecast


def _samples(size: int, n: int = _BATCH) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    cubes = torch.randn(n, N_STEPS, N_CHANNELS, size, size, generator=generator)
    return cubes, torch.ones(n, N_STEPS, N_CHANNELS, dtype=torch.bool)


def seconds_of_a_step(contestant: str, size: int, threads: int) -> float:
    """Return the median of some steps in this process, after one that does not count."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if contestant not in (_PLAIN, _DEFAULT_MEMORY):
        keep_freed_memory()
    name = contestant if contestant in ARCHITECTURES else "stacked_cnn"
    network: nn.Module = build(NetworkConfig(name))
    if contestant == _PLAIN:
        network = Plain(network)
    optimizer = torch.optim.AdamW(network.parameters())
    cubes, present = _samples(size)
    durations = []
    for _ in range(1 + _STEPS):
        start = time.perf_counter()
        log10_flux, logits = network(cubes, present)
        loss = (log10_flux + 6).abs().mean() + logits.square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations[1:])


def _in_turn(contestants: list[str], size: int, threads: int) -> dict[str, list[float]]:
    """Measure each contestant in a process of its own, all of them in turn."""
    durations: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(_TURNS):
        for name in contestants:
            command = [sys.executable, "-m", "benchmarks.step", name, str(size), str(threads)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            durations[name].append(json.loads(output))
    return durations


def _difference() -> float:
    """Return how far two evaluations, plain and ours, are apart at most."""
    torch.manual_seed(0)
    network = build(NetworkConfig("stacked_cnn")).train()
    cubes, present = _samples(64)
    with torch.no_grad():
        ours = network(cubes, present)  # batch statistics are now known
        ours = network.eval()(cubes, present)
        plain = Plain(network).eval()(cubes, present)
    return max(float((one - two).abs().max()) for one, two in zip(ours, plain, strict=True))


def _print_beside_plain(threads: int) -> None:
    durations = _in_turn([_PLAIN, _DEFAULT_MEMORY, _OURS], 256, threads)
    print("| | median step (s) | shortest to longest (s) | samples/s | ratio | its range |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, seconds in durations.items():
        ratios = [plain / own for plain, own in zip(durations[_PLAIN], seconds, strict=True)]
        median = statistics.median(seconds)
        print(
            f"| {name} | {median:.2f} | {min(seconds):.2f} to {max(seconds):.2f} "
            f"| {_BATCH / median:.1f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f} to {max(ratios):.2f} |"
        )


def _print_architectures(threads: int) -> None:
    durations = _in_turn(list(ARCHITECTURES), 128, threads)
    print("| architecture | parameters | median step (s) | samples/s |")
    print("|---|---:|---:|---:|")
    for name, seconds in durations.items():
        parameters = sum(p.numel() for p in build(NetworkConfig(name)).parameters())
        median = statistics.median(seconds)
        print(f"| {name} | {parameters:,} | {median:.2f} | {_BATCH / median:.0f} |")


def main() -> None:
    """Measure and print, or measure one contestant for the process that asks."""
    if len(sys.argv) > 2:
        name, size, threads = sys.argv[1:]
        print(json.dumps(seconds_of_a_step(name, int(size), int(threads))))
        return
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads()
    _print_beside_plain(threads)
    print(f"\n256 px, batches of {_BATCH}; the two differ by {_difference():.0e} at most.\n")
    _print_architectures(threads)
    print(f"\n128 px; {threads} threads, {_TURNS} turns of {_STEPS} steps. {machine('torch')}")


if __name__ == "__main__":
    main()
