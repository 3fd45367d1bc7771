"""How fast images become normalised batches, beside a DataLoader that opens files with Pillow.

    python -m benchmarks.reading [--data_dir DIR] [--image_size 256] [--samples 240] [--repeats 5]

A pass over the training samples in batches of 16, in shuffled order, to float32 tensors of zero
mean and unit deviation on the CPU. The DataLoader has a Dataset of the plain kind: one sample is
forty files, opened, decoded and averaged down, and its workers are kept from pass to pass. Packs
are made before, since they are made once.
"""

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import machine, rate_table, time_in_turn
from flare.datasets.packed import PackedSplit
from flare.datasets.packing import pack
from flare.datasets.stored import Storage
from flare.datasets.synthetic import synthesize
from flare.models.normalisation import ChannelNormalisation, Normaliser, fit_normalisation
from flare.sample import CHANNELS, STEP_OFFSETS_MINUTES
from flare.training.allocator import keep_freed_memory
from flare.training.batches import Batches

BATCH = 16
PEER = "Pillow, DataLoader, 0 workers"
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
    keep_freed_memory()  # as `train` does; the DataLoader gains by it too
    with tempfile.TemporaryDirectory(prefix="flare-") as folder:
        data = given.data_dir
        if data is None:
            data = Path(folder) / "synthetic"
            synthesize(data, n_training=given.samples, n_test=1)
        measure(data, Path(folder), image_size=given.image_size, repeats=given.repeats)


def measure(data_dir: Path, place: Path, *, image_size: int, repeats: int) -> None:
    """Print the table of one dataset."""
    rows = {storage: _packed(data_dir, place, storage, image_size) for storage in ("raw", "jpeg")}
    raw = rows["raw"]
    normalise = fit_normalisation(raw.cubes, raw.present, np.arange(min(64, len(raw))))
    kept = Normaliser(normalise)
    files = ImageFiles(samples_of(data_dir, raw), image_size)
    loaders = {n: _loader(files, workers=n) for n in (0, 2)}
    timings = time_in_turn(
        {
            PEER: partial(pass_over_files, loaders[0], normalise),
            "Pillow, DataLoader, 2 workers": partial(pass_over_files, loaders[2], normalise),
            "raw pack": partial(pass_over_pack, raw, kept),
            "JPEG pack": partial(pass_over_pack, rows["jpeg"], kept),
        },
        repeats=repeats,
    )
    print(f"{len(raw)} samples at {image_size} px, batches of {BATCH}; {repeats} repeats")
    print(machine("pillow", "simplejpeg", "torch", "numpy"))
    print()
    print(rate_table(timings, amount=len(raw), unit="samples", beside=PEER))
    two = timings["Pillow, DataLoader, 2 workers"].median
    print()
    for name in list(timings)[2:]:
        print(f"{name}: {two / timings[name].median:.2f} x the DataLoader with 2 workers")


def pass_over_pack(rows: PackedSplit, normalise: Normaliser) -> float:
    """Read a pack with this project's reader, as training does."""
    flux = rows.table["peak_flux"].to_numpy(dtype=np.float64)
    batches = Batches(rows.cubes, rows.present, flux, np.arange(len(rows)), BATCH)
    return sum(float(normalise(b.cubes, b.present)[0, 0, 0, 0, 0]) for b in batches.shuffled(0))


def pass_over_files(
    loader: DataLoader[tuple[Tensor, Tensor]], normalise: ChannelNormalisation
) -> float:
    """Read files with the DataLoader."""
    return sum(float(normalise(cubes, present)[0, 0, 0, 0, 0]) for cubes, present in loader)


def samples_of(data_dir: Path, rows: PackedSplit) -> Samples:
    """Find the files of every sample by their names alone, as its ids say where they are."""
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


def _packed(data_dir: Path, place: Path, storage: Storage, image_size: int) -> PackedSplit:
    made = pack(data_dir, place / storage, image_size=image_size, storage=storage)
    return made.split("training")


def _loader(files: ImageFiles, *, workers: int) -> DataLoader[tuple[Tensor, Tensor]]:
    return DataLoader(
        files,
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )


if __name__ == "__main__":
    main()
