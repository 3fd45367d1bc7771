"""Measure a census of a dataset, compared with plain loops over the same files.

``python -m benchmarks.verification`` makes a synthetic set of its own; ``--data_dir`` takes another
one. All files are in the page cache: this measures decoding, not the disk.
"""

import argparse
import hashlib
import io
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.timing import machine, rate_table, time_in_turn
from flare.datasets.sdobenchmark.census import take_census
from flare.datasets.sdobenchmark.labels import available_splits, read_table
from flare.datasets.synthetic import synthesize

PEER = "Pillow loop: decode"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, help="dataset; left out: a synthetic one is made")
    parser.add_argument("--samples", type=int, default=300, help="of the synthetic set")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    if given.data_dir is not None:
        measure(given.data_dir, repeats=given.repeats)
        return
    with tempfile.TemporaryDirectory(prefix="flare-") as folder:
        made = Path(folder) / "synthetic"
        test = max(1, given.samples // 5)
        synthesize(made, n_training=given.samples - test, n_test=test)
        measure(made, repeats=given.repeats)


def measure(data_dir: Path, *, repeats: int) -> None:
    """Print the table of one dataset."""
    tables = [read_table(data_dir, split) for split in available_splits(data_dir)]
    folders = [folder for table in tables for folder in table["folder"]]
    files = [path for folder in folders for path in sorted(folder.glob("*.jpg"))]
    timings = time_in_turn(
        {
            PEER: partial(decode_all, files),
            "Pillow loop: decode, np.median, SHA-256": partial(decode_and_count_all, files),
            "census, 1 process": partial(take_census, data_dir, processes=1),
            "census, 2 processes": partial(take_census, data_dir, processes=2),
        },
        repeats=repeats,
    )
    n_bytes = sum(path.stat().st_size for path in files)
    print(f"{len(folders)} samples, {len(files)} images, {n_bytes / 1e6:.0f} MB; {repeats} repeats")
    print(machine("pillow", "numpy"))
    print()
    print(rate_table(timings, amount=len(folders), unit="samples", reference=PEER))


def decode_all(files: list[Path]) -> None:
    """Decode every image: the least that any check of a dataset must do."""
    for path in files:
        with Image.open(path) as image:
            np.asarray(image)


def decode_and_count_all(files: list[Path]) -> None:
    """Decode every image, take its median and its digest: what a script of ten lines would do."""
    for path in files:
        data = path.read_bytes()
        hashlib.sha256(data).hexdigest()
        with Image.open(io.BytesIO(data)) as image:
            np.median(np.asarray(image))


if __name__ == "__main__":
    main()
