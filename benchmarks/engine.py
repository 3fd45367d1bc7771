"""Compare ONNX Runtime with PyTorch: `python -m benchmarks.engine [repeats]`.

From grey levels to log10 flux and logits, one thread each, for untrained networks of the default
width. Three implementations take turns in one process: plain PyTorch, as one would first write the
network (channels first, ReLU before the pooling); PyTorch as in flare, which runs a network that
was not exported; and the graph that is packaged. The result is the median of the ratios within each
turn.
"""

import copy
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.step import Plain
from benchmarks.timing import machine
from flare.forecasters.onnx import ExportedNetwork, difference, export_graph
from flare.models import NetworkConfig, build
from flare.models.blocks import overview, pool
from flare.models.normalisation import ChannelNormalisation
from flare.sample import MAGNETOGRAM, N_CHANNELS, N_STEPS, Cube, Present

_NORMALISATION = ChannelNormalisation((80.0,) * N_CHANNELS, (40.0,) * N_CHANNELS)
_PLAIN, _OURS, _GRAPH = "plain PyTorch", "PyTorch, as here", "ONNX Runtime"


class PlainCNN(nn.Module):
    """The computation of CNN with its weights, as one would first write it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for convolution, normalisation, *_ in network.encoder.blocks:
            layers += [convolution, normalisation, nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        self.blocks = nn.Sequential(*layers)
        self.heads = network.heads

    def forward(self, cubes: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Forecast N samples."""
        steps = cubes.flatten(0, 1)
        frames = torch.cat([steps, steps[:, MAGNETOGRAM : MAGNETOGRAM + 1].abs()], dim=1)
        maps = pool(self.blocks(frames)).view(*present.shape[:2], -1)
        maps = maps * present.any(dim=2, keepdim=True)
        outputs: tuple[Tensor, Tensor] = self.heads(
            torch.cat([maps, overview(cubes, present)], dim=2).flatten(1)
        )
        return outputs


def implementations(
    architecture: str, size: int
) -> tuple[dict[str, Callable[[Cube, Present], object]], float]:
    """Return functions by name, and the largest difference of the graph from PyTorch."""
    torch.manual_seed(0)
    network = build(NetworkConfig(architecture)).eval()
    make = {"cnn": PlainCNN, "stacked_cnn": Plain}[architecture]
    plain = make(copy.deepcopy(network)).eval()  # type: ignore[arg-type]
    mean, std = (
        torch.tensor(numbers)[:, None, None]
        for numbers in (_NORMALISATION.mean, _NORMALISATION.std)
    )

    @torch.inference_mode()
    def run_plain(cubes: Cube, present: Present) -> object:
        images, mask = torch.tensor(cubes), torch.tensor(present)
        return plain((images.float() - mean) / std * mask[..., None, None], mask)

    @torch.inference_mode()
    def run_ours(cubes: Cube, present: Present) -> object:
        images, mask = torch.tensor(cubes), torch.tensor(present)
        return network(_NORMALISATION(images, mask), mask)

    graph = ExportedNetwork(export_graph(network, _NORMALISATION, image_size=size), threads=1)
    apart = difference(graph, network, _NORMALISATION, image_size=size)
    return {_PLAIN: run_plain, _OURS: run_ours, _GRAPH: graph.run}, apart


def print_row(architecture: str, size: int, batch: int, repeats: int) -> None:
    """Let the implementations take turns, and print a row of the table."""
    run, apart = implementations(architecture, size)
    rng = np.random.default_rng(0)
    cubes = rng.integers(0, 256, (batch, N_STEPS, N_CHANNELS, size, size), dtype=np.uint8)
    present = rng.random(cubes.shape[:3]) < 0.95
    milliseconds: dict[str, list[float]] = {name: [] for name in run}
    for turn in range(1 + repeats):
        for name, work in run.items():
            start = time.perf_counter()
            work(cubes, present)
            if turn:  # the first is for memory and caches
                milliseconds[name].append(1000 * (time.perf_counter() - start))
    ratios = {
        name: statistics.median(a / b for a, b in zip(seconds, milliseconds[_GRAPH], strict=True))
        for name, seconds in milliseconds.items()
    }
    medians = " | ".join(f"{statistics.median(seconds):.1f}" for seconds in milliseconds.values())
    print(
        f"| {architecture} | {size} | {batch} | {medians} "
        f"| {ratios[_PLAIN]:.2f} | {ratios[_OURS]:.2f} | {apart:.0e} |",
        flush=True,
    )


def main(repeats: int = 15) -> None:
    """Measure both architectures at both sizes and batches, and print the table."""
    torch.set_num_threads(1)
    print(f"One thread each, {repeats} turns. {machine('torch', 'onnxruntime')}\n")
    print(
        f"| architecture | px | batch | {_PLAIN} (ms) | {_OURS} (ms) | {_GRAPH} (ms) "
        "| ratio to plain | to ours | apart |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for architecture in ("cnn", "stacked_cnn"):
        for size in (128, 256):
            for batch in (1, 8):
                print_row(architecture, size, batch, repeats)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
