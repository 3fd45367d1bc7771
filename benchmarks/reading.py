"""Time how fast images become normalised batches, compared with a DataLoader of image files.

    python -m benchmarks.reading [--data_dir DIR] [--image_size 256] [--samples 240] [--repeats 5]

A pass over the training samples in batches of 16, in shuffled order, to float32 tensors of zero
mean and unit deviation on the CPU. The DataLoader has a Dataset of the plain kind: one sample is
forty files, opened, decoded and averaged down, and its workers last from pass to pass. The pack
is made before, since it is made once. Each way has a process of its own, because ours, like
`train`, changes how memory is handed out; the DataLoader is also shown with that change.
"""

import argparse
import tempfile
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import machine, rate_table, time_in_own_processes
from flare.datasets.pack.reader import PackedSplit, open_pack
from flare.datasets.pack.writer import pack
from flare.datasets.synthetic import synthesize
from flare.models.normalisation import ChannelNormalisation, Normaliser, fit_normalisation
from flare.sample import CHANNELS, STEP_OFFSETS_MINUTES
from flare.training.batches import Batches
from flare.training.processes import keep_freed_memory

BATCH = 16
PEER, TWO_WORKERS = "Pillow, DataLoader, 0 workers", "Pillow, DataLoader, 2 workers"
Samples = Sequence[dict[tuple[int, int], Path]]


class ImageFiles(Dataset[tuple[Tensor, Tensor]]):
    """Samples as files that are opened and decoded each time."""

    def __init__(self, samples: Samples, image_size: int) -> None:
        self._samples, self._size = samples, image_size

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        """Return the cube and the mask of a sample."""
        size, block = self._size, 256 // self._size
        cube = np.zeros((4, 10, size, size), dtype=np.uint8)
        present = np.zeros((4, 10), dtype=np.bool_)
        for (step, channel), path in self._samples[row].items():
            with Image.open(path) as image:
                plane = np.asarray(image)
            if block > 1:
                plane = plane.reshape(size, block, size, block).mean(axis=(1, 3)).astype(np.uint8)
            cube[step, channel] = plane
            present[step, channel] = True
        return torch.from_numpy(cube), torch.from_numpy(present)


def main() -> None:
    """Make the packs, and measure a pass over each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", type=Path)
    parser.add_argument("--image_size", type=int, default=256)
    parser.add_argument("--samples", type=int, default=240, help="of the synthetic set")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flare-") as folder:
        data = given.data_dir
        if data is None:
            data = Path(folder) / "synthetic"
            synthesize(data, n_training=given.samples, n_test=1)
        measure(data, Path(folder), image_size=given.image_size, repeats=given.repeats)


def measure(data_dir: Path, place: Path, *, image_size: int, repeats: int) -> None:
    """Print the table of one dataset."""
    pack(data_dir, place / "pack", image_size=image_size)
    n = len(pack_at(place / "pack"))
    files = partial(pass_over_files, data_dir, place / "pack")
    timings = time_in_own_processes(
        {
            PEER: partial(files, workers=0),
            TWO_WORKERS: partial(files, workers=2),
            "the same, 0 workers, freed memory reused": partial(files, workers=0, keep_memory=True),
            "pack": partial(pass_over_pack, place / "pack"),
        },
        repeats=repeats,
    )
    print(f"{n} samples at {image_size} px, batches of {BATCH}; {repeats} repeats")
    print(machine("pillow", "simplejpeg", "torch", "numpy"))
    print()
    print(rate_table(timings, amount=n, unit="samples", reference=PEER))
    ratio = timings[TWO_WORKERS].median / timings["pack"].median
    print(f"\npack: {ratio:.2f} x the DataLoader with 2 workers")


def pass_over_pack(place: Path) -> float:
    """Read a pack with this project's reader, as `train` does."""
    keep_freed_memory()
    rows, normalise = pack_at(place), Normaliser(normalisation_of(place))
    flux = rows.table["peak_flux"].to_numpy(dtype=np.float64)
    batches = Batches(rows.cubes, rows.present, flux, np.arange(len(rows)), BATCH)
    return sum(float(normalise(b.cubes, b.present)[0, 0, 0, 0, 0]) for b in batches.shuffled(0))


def pass_over_files(
    data_dir: Path, place: Path, *, workers: int, keep_memory: bool = False
) -> float:
    """Read the files with a DataLoader."""
    if keep_memory:
        keep_freed_memory()
    normalise, loader = normalisation_of(place), loader_of(data_dir, place, workers)
    return sum(float(normalise(cubes, present)[0, 0, 0, 0, 0]) for cubes, present in loader)


@cache
def pack_at(place: Path) -> PackedSplit:
    """Open the training split of a pack."""
    return open_pack(place).split("training")


@cache
def normalisation_of(place: Path) -> ChannelNormalisation:
    """Measure the channels of some samples of a pack."""
    rows = pack_at(place)
    return fit_normalisation(rows.cubes, rows.present, np.arange(min(64, len(rows))))


@cache
def loader_of(data_dir: Path, place: Path, workers: int) -> DataLoader[tuple[Tensor, Tensor]]:
    """Make a DataLoader of files, whose workers last from pass to pass."""
    rows = pack_at(place)
    return DataLoader(
        ImageFiles(samples_of(data_dir, rows), rows.cubes.shape[-1]),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )


def samples_of(data_dir: Path, rows: PackedSplit) -> Samples:
    """Find the files of every sample by their names, in the folders that its id gives."""
    samples = []
    for key, start in zip(rows.table["id"], rows.table["start"], strict=True):
        region, rest = key.split("_", 1)
        folder = data_dir / rows.name / region / rest
        files = {}
        for step, minutes in enumerate(STEP_OFFSETS_MINUTES):
            time = (start + np.timedelta64(int(minutes * 60), "s")).strftime("%Y-%m-%dT%H%M%S")
            for channel, name in enumerate(CHANNELS):
                path = folder / f"{time}__{name}.jpg"
                if path.is_file():
                    files[step, channel] = path
        samples.append(files)
    return samples


if __name__ == "__main__":
    main()
