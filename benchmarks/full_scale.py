"""SDOBenchmark's size: pack 8,336 + 886 samples and train one epoch; seconds and memory of each.

``python -m benchmarks.full_scale SOURCE WORK`` fills WORK with as many samples as SDOBenchmark has.
Their images are hard links to those of SOURCE, any dataset in the layout, used again and again
under new regions: what is measured is the machine's work, which does not ask whether two samples
look alike. A model of such a set means nothing. WORK takes 6.1 GB at 128 pixels next to
the links, and must lie on the disk of SOURCE.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psutil

from benchmarks.timing import machine
from flare.datasets.sdobenchmark.labels import read_table
from flare.images.planes import parse_name
from flare.sample import INPUT_WINDOW_HOURS

#: Samples of SDOBenchmark by split (i4Ds/SDOBenchmark), and of each of our regions.
SAMPLES = {"training": 8336, "test": 886}
PER_REGION = 8
FIRST_REGION = {"training": 40001, "test": 60001}
_BEGIN = {"training": datetime(2010, 6, 1), "test": datetime(2015, 1, 1)}


def fill(source: Path, dest: Path) -> None:
    """Link a dataset of full size together; the samples of SOURCE's splits in turn."""
    for split, n_samples in SAMPLES.items():
        table = read_table(source, split)
        rows = ["id,start,end,peak_flux"]
        for k in range(n_samples):
            region, window = divmod(k, PER_REGION)
            like = table.iloc[k % len(table)]
            begin = _BEGIN[split] + timedelta(hours=30 * region)
            start = begin + timedelta(hours=window)
            rest = f"{begin:%Y_%m_%d_%H_%M_%S}_{window}"
            number = FIRST_REGION[split] + region
            folder = dest / split / str(number) / rest
            folder.mkdir(parents=True)
            _link(like["folder"], folder, start - like["start"].to_pydatetime())
            end = start + timedelta(hours=INPUT_WINDOW_HOURS)
            rows.append(f"{number}_{rest},{start},{end},{float(like['peak_flux'])!r}")
        (dest / split / "meta_data.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")
    identity = {"name": "full-scale", "synthetic": True}
    (dest / "dataset.json").write_text(json.dumps(identity), encoding="utf-8")


def _link(images: Path, folder: Path, later: timedelta) -> None:
    for image in images.iterdir():
        parsed = parse_name(image.name)
        if parsed is not None:
            time_of_image = parsed[0] + later
            os.link(image, folder / f"{time_of_image:%Y-%m-%dT%H%M%S}__{parsed[1]}.jpg")


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and the most memory that a process and its children held at once.

    ``private`` bytes are their own; ``resident`` counts pages of mapped files too, which the system
    takes back when it needs them, and counts what processes share once for each.
    """

    seconds: float
    private: float
    resident: float


def cost_of(arguments: list[str], environment: dict[str, str]) -> Cost:
    """Run a command of this project, and watch it."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], env=environment)
    peaks = [0.0, 0.0]
    watch = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peaks))
    watch.start()
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    seconds = time.perf_counter() - started
    watch.join()
    return Cost(seconds, *peaks)


def _watch(root: psutil.Process, peaks: list[float]) -> None:
    while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
        private = resident = 0
        try:
            for process in [root, *root.children(recursive=True)]:
                memory = process.memory_info()
                resident += memory.rss
                private += memory.rss - memory.shared
        except psutil.NoSuchProcess:
            continue
        peaks[:] = max(peaks[0], private), max(peaks[1], resident)
        time.sleep(0.2)


def main() -> None:
    """Parse, fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("work", type=Path, help="a new folder")
    given = parser.parse_args()
    started = time.perf_counter()
    fill(given.source, given.work)
    print(f"linked {sum(SAMPLES.values())} samples in {time.perf_counter() - started:.0f} s")
    where = ["--data_dir", str(given.work), "--image_size", "128"]
    train = ["--epochs", "1", "--folds", "0", "--resamples", "100"]
    with tempfile.TemporaryDirectory() as store:
        environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{store}/mlflow.db"}
        costs = {
            "pack": cost_of(["-m", "entrypoints.pack", *where], environment),
            "train, one epoch": cost_of(["-m", "entrypoints.train", *where, *train], environment),
        }
    print("| | seconds | samples/s | private memory (GB) | with mapped files (GB) |")
    print("|---|---:|---:|---:|---:|")
    n = sum(SAMPLES.values())
    for name, cost in costs.items():
        print(
            f"| {name} | {cost.seconds:.0f} | {n / cost.seconds:.0f} | {cost.private / 1e9:.2f} "
            f"| {cost.resident / 1e9:.2f} |"
        )
    print(f"\n{SAMPLES['training']} + {SAMPLES['test']} samples at 128 px; {machine('torch')}")


if __name__ == "__main__":
    main()
