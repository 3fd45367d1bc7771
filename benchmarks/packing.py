"""Time how fast a dataset is packed, compared with a plain loop that decodes with Pillow.

    python -m benchmarks.packing [--data_dir DIR] [--image_size 128] [--samples 300] [--repeats 5]

Without a dataset, a synthetic one is made in a temporary folder. The loop does nothing but open
each file with Pillow, average it down by NumPy's mean over blocks, and write the bytes: no masks,
no labels, no digests, no checks. The ratio by processor time is per core, whatever else the machine
does.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.timing import machine, rate_table, time_in_turn
from flare.datasets.pack.writer import pack
from flare.datasets.sdobenchmark.labels import available_splits, read_table
from flare.datasets.synthetic import synthesize

PEER = "Pillow loop"


def main() -> None:
    """Measure the loop, packs by one process, and packs by all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", type=Path)
    parser.add_argument("--image_size", type=int, default=128)
    parser.add_argument("--samples", type=int, default=300, help="of the synthetic set")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flare-") as folder:
        data = given.data_dir
        if data is None:
            data = Path(folder) / "synthetic"
            test = max(1, given.samples // 5)
            synthesize(data, n_training=given.samples - test, n_test=test)
        measure(data, Path(folder), image_size=given.image_size, repeats=given.repeats)


def measure(data_dir: Path, place: Path, *, image_size: int, repeats: int) -> None:
    """Print the table of one dataset."""
    tables = [read_table(data_dir, split) for split in available_splits(data_dir)]
    folders = [folder for table in tables for folder in table["folder"]]
    done = partial(pack_again, data_dir, place / "pack", image_size)
    timings = time_in_turn(
        {
            PEER: partial(pillow_loop, folders, place / "cubes.u8", image_size),
            "pack, 1 process": partial(done, 1),
            "pack, all cores": partial(done, None),
        },
        repeats=repeats,
    )
    print(f"{len(folders)} samples at {image_size} px; {repeats} repeats")
    print(machine("pillow", "simplejpeg", "numpy"))
    print()
    print(rate_table(timings, amount=len(folders), unit="samples", reference=PEER))
    print()
    loop = timings[PEER].cpu_median
    one = timings["pack, 1 process"].cpu_median
    print(f"pack, 1 process: {loop / one:.2f} x the loop per core")


def pillow_loop(folders: Sequence[Path], dest: Path, image_size: int) -> None:
    """Decode every file with Pillow, average and write it."""
    block = 256 // image_size
    with dest.open("wb") as out:
        for folder in folders:
            for path in sorted(folder.glob("*.jpg")):
                with Image.open(path) as image:
                    plane = np.asarray(image)
                blocks = plane.reshape(image_size, block, image_size, block)
                out.write(blocks.mean(axis=(1, 3)).round().astype(np.uint8).tobytes())


def pack_again(data_dir: Path, dest: Path, image_size: int, processes: int | None) -> None:
    """Pack anew."""
    shutil.rmtree(dest, ignore_errors=True)
    pack(data_dir, dest, image_size=image_size, processes=processes)


if __name__ == "__main__":
    main()
