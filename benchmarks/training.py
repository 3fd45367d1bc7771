"""An epoch of training, and the reading alone, against the plain way with Pillow and PyTorch.

    python -m benchmarks.training [samples] [repeats]

The plain way opens the 40 JPEGs of a sample with Pillow when the sample's turn comes, stacks them
as the channels of one picture, and takes a step of an eager network in PyTorch's own memory layout
for every two samples. Ours packs the images once, which is not counted, and calls ``fit`` with
batches of 16, in float32 and in ``bf16-mixed``, which pays on processors with AMX or on a GPU.
Each way has a process of its own, because ours changes how memory is handed out.
"""

import itertools
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import machine, time_in_own_processes
from flare.config.network_groups import OptimizerOptions
from flare.datasets.pack.writer import ensure_pack
from flare.datasets.synthetic import synthesize
from flare.goes import EVENTS, event_outcomes
from flare.models import NetworkConfig, build
from flare.models.normalisation import ChannelNormalisation, Normaliser, fit_normalisation
from flare.sample import N_PLANES
from flare.training.batches import Batches
from flare.training.loop import Training
from flare.training.losses import multitask
from flare.training.processes import keep_freed_memory

ARCHITECTURE, WIDTH, SIZE, BATCH, PLAIN_BATCH = "stacked_cnn", 16, 256, 16, 2


class Jpegs(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Samples of a dataset, each of 40 files that are decoded when it is asked for."""

    def __init__(self, data: Path) -> None:
        rows = ensure_pack(data, data / "pack", image_size=SIZE, processes=2).split("training")
        self.flux = rows.table["peak_flux"].to_numpy(dtype=np.float64)
        # Which label goes with which sample does not matter for how long it takes.
        folders = sorted(path for path in (data / "training").glob("*/*") if path.is_dir())
        assert len(folders) == len(rows)
        self.files = [sorted(folder.glob("*.jpg"))[:N_PLANES] for folder in folders]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor, Tensor]:
        planes = np.zeros((N_PLANES, SIZE, SIZE), dtype=np.float32)
        for plane, file in zip(planes, self.files[row], strict=False):
            with Image.open(file) as image:
                plane[:] = np.asarray(image.convert("L"), dtype=np.float32) / 255
        flux = self.flux[row : row + 1]
        return (
            torch.from_numpy(planes),
            torch.from_numpy(np.log10(flux).astype(np.float32)),
            torch.from_numpy(event_outcomes(flux)[0].astype(np.float32)),
        )


def plain_network() -> nn.Module:
    """Three blocks of the widths of ours, pooling and one linear layer for flux and events."""
    maps = [N_PLANES, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH]
    blocks: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(maps):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        blocks += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    ending = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps[-1], 64), nn.ReLU()
    return nn.Sequential(*blocks, *ending, nn.Linear(64, 1 + len(EVENTS)))


def plain_epoch(data: Path) -> None:
    """Train for an epoch, sample after sample from their files."""
    network = plain_network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for planes, flux, events in DataLoader(Jpegs(data), batch_size=PLAIN_BATCH, shuffle=True):
        predictions = network(planes)
        loss = nn.functional.l1_loss(predictions[:, 0], flux[:, 0])
        loss = loss + nn.functional.binary_cross_entropy_with_logits(predictions[:, 1:], events)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def packed(data: Path) -> tuple[Batches, ChannelNormalisation]:
    """Return the samples as training reads them."""
    rows = ensure_pack(data, data / "pack", image_size=SIZE, processes=2).split("training")
    flux = rows.table["peak_flux"].to_numpy(dtype=np.float64)
    some = np.arange(len(rows))
    batches = Batches(rows.cubes, rows.present, flux, some, BATCH)
    return batches, fit_normalisation(rows.cubes, rows.present, some[:8])


def our_epoch(data: Path, precision: str = "32-true") -> None:
    """Train for an epoch with ``Training``."""
    keep_freed_memory()
    batches, normalisation = packed(data)
    records = Training(
        build(NetworkConfig(architecture=ARCHITECTURE, width=WIDTH)),
        Normaliser(normalisation),
        train=batches,
        validation=None,
        options=OptimizerOptions(
            epochs=1, batch_size=BATCH, learning_rate=1e-3, ema=0, accelerator="cpu"
        ),
        loss=multitask(1.0),
        fabric=Fabric(accelerator="cpu", devices=1, precision=precision),  # type: ignore[arg-type]
    ).fit()
    for _record in records:
        pass


def plain_reading(data: Path) -> None:
    """Take every sample from a DataLoader without workers."""
    for planes, _flux, _events in DataLoader(Jpegs(data), batch_size=BATCH, shuffle=True):
        assert planes.dtype == torch.float32


def our_reading(data: Path) -> None:
    """Take every batch from the reader, ten times over, and normalise it."""
    keep_freed_memory()
    batches, normalisation = packed(data)
    normalise = Normaliser(normalisation)
    for epoch in range(_PASSES):
        for batch in batches.shuffled(epoch):
            assert normalise(batch.cubes, batch.present).dtype == torch.float32


_PASSES = 10

Work = Callable[[Path], None]


def compare(data: Path, ways: Mapping[str, tuple[Work, int]], repeats: int) -> str:
    """Time each way in a process of its own, turn about; return a table with the first as 1.

    Each way comes with how many samples it handles.
    """
    timings = time_in_own_processes(
        {name: partial(work, data) for name, (work, _) in ways.items()}, repeats=repeats
    )
    lines = [
        "| | samples/s | ratio | shortest to longest (s) | processors (ms a sample) | ratio |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    clock, used = (dict.fromkeys(ways, 0.0) for _ in range(2))
    for name, (_, samples) in ways.items():
        clock[name] = timings[name].median / samples
        used[name] = timings[name].cpu_median / samples
        first = next(iter(ways))
        lines.append(
            f"| {name} | {1 / clock[name]:.1f} | {clock[first] / clock[name]:.1f} "
            f"| {timings[name].spread} | {1000 * used[name]:.1f} | {used[first] / used[name]:.1f} |"
        )
    return "\n".join(lines)


def main(samples: int, repeats: int) -> None:
    """Make a dataset in a temporary folder, and print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        synthesize(data, n_training=samples, n_test=2, processes=2)
        ensure_pack(data, data / "pack", image_size=SIZE, processes=2)
        plain, ours = (plain_reading, samples), (our_reading, samples * _PASSES)
        reading = {"Pillow, DataLoader, 0 workers": plain, "reader, normalised": ours}
        print(compare(data, reading, repeats))
        half = partial(our_epoch, precision="bf16-mixed")
        epochs = {
            "plain epoch": (plain_epoch, samples),
            "fit": (our_epoch, samples),
            "fit, bf16-mixed": (half, samples),
        }
        print("\n" + compare(data, epochs, repeats))
    print(f"\n{samples} samples, {SIZE} px, {ARCHITECTURE} of width {WIDTH}; {repeats} repeats; "
          f"{machine('torch', 'numpy', 'pillow')}")  # fmt: skip


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers + [64, 5][len(numbers) :]))
