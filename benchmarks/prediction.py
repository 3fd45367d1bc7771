"""Samples a second of bulk prediction against the loop that takes one sample after another.

    python benchmarks/prediction.py [samples] [repeats]

Makes synthetic samples in a temporary folder, and forecasts them with an untrained network and a
small forest: how good they are does not matter for how long they take. The ways take turns, so
that whatever else the machine does hits all of them; the ratio is the median over the turns.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np

from flare.cores import usable_cores
from flare.datasets.listing import list_samples
from flare.datasets.sample_batches import Source, decode_batch, decode_batches
from flare.datasets.sdobenchmark.sample_images import read_sample
from flare.datasets.synthetic import synthesize
from flare.forecasters.base import Forecaster, ForecasterSpec, Origin

# Torch and scikit-learn are imported where they are used: the processes that read import this
# file too, as they import the light `entrypoints.predict` of the real command.

SIZE, BATCH = 128, 16
DISTINCT = 160  # samples that are made; more are the same ones again
Way = Callable[[Forecaster, Sequence[Source]], None]


def one_at_a_time(forecaster: Forecaster, sources: Sequence[Source]) -> None:
    """Forecast as the command did before: read 256 pixels, forecast, the next."""
    for folder, start in sources:
        assert start is not None
        read = read_sample(folder, start)
        forecaster.predict(read.cube[None], read.present[None])


def batches_of(sources: Sequence[Source]) -> list[Sequence[Source]]:
    """Cut the samples as bulk prediction does."""
    return [sources[begin : begin + BATCH] for begin in range(0, len(sources), BATCH)]


def with_thread(forecaster: Forecaster, sources: Sequence[Source]) -> None:
    """Forecast batches while one thread reads the next."""
    with ThreadPoolExecutor(1) as pool:
        for batch in pool.map(lambda some: decode_batch(some, SIZE), batches_of(sources)):
            forecaster.predict(batch.cubes, batch.present)


def with_processes(count: int) -> Way:
    """Forecast batches while so many processes read the next; 1 reads in this one."""

    def way(forecaster: Forecaster, sources: Sequence[Source]) -> None:
        read = decode_batches(batches_of(sources), image_size=SIZE, processes=count)
        with closing(read):
            for batch in read:
                forecaster.predict(batch.cubes, batch.present)

    return way


WAYS: dict[str, Way] = {
    "one at a time": one_at_a_time,
    "batches": with_processes(1),
    "batches, 1 thread reads": with_thread,
    "batches, 2 processes read": with_processes(2),
}


def forecasters(sources: Sequence[Source]) -> Iterator[tuple[str, Forecaster]]:
    """Yield a forest and a network of the default sizes, for the first samples."""
    from flare.features.table import compute_features
    from flare.forecasters.forest import fit_forest
    from flare.forecasters.network import NetworkForecaster
    from flare.models import NetworkConfig, build
    from flare.models.normalisation import fit_normalisation

    some = decode_batch(sources[:32], SIZE)
    spec, rng = ForecasterSpec(image_size=SIZE), np.random.default_rng(0)
    origin = Origin("0" * 64, "benchmark", True, (), len(some.cubes))
    features = compute_features(some.cubes, some.present)
    labels = 10 ** rng.uniform(-9, -4, len(features))
    yield "forest", fit_forest(features, labels, spec=spec, origin=origin, n_trees=300, seed=0)
    config = NetworkConfig()
    normalisation = fit_normalisation(some.cubes, some.present, np.arange(len(some.cubes)))
    yield (
        "cnn",
        NetworkForecaster(build(config).eval(), config, normalisation, spec=spec, origin=origin),
    )


def compare(forecaster: Forecaster, sources: Sequence[Source], repeats: int) -> None:
    """Let the ways take turns, and print what each came to."""
    durations: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, way in WAYS.items():
            began = time.perf_counter()
            way(forecaster, sources)
            durations[name].append(time.perf_counter() - began)
    before = durations["one at a time"]
    for name, seconds in durations.items():
        ratios = [a / b for a, b in zip(before, seconds, strict=True)]
        print(
            f"  {name:26s} {len(sources) / statistics.median(seconds):6.1f} samples/s   "
            f"x {statistics.median(ratios):.2f}  ({min(ratios):.2f} .. {max(ratios):.2f})"
        )


def main(samples: int = 640, repeats: int = 5) -> None:
    """Make the samples and compare both models."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "synthetic"
        synthesize(data, n_training=1, n_test=DISTINCT)
        entries = list_samples(data, "test").entries
        made: list[Source] = [(entry.folder, entry.start) for entry in entries]
        sources = (made * (samples // DISTINCT + 1))[:samples]
        print(f"{samples} samples, averaged to {SIZE} px, {usable_cores()} cores")
        for name, forecaster in forecasters(sources):
            print(name)
            compare(forecaster, sources, repeats)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
