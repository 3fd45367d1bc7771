"""Entry point ``inspect``: take a census of a dataset, and draw what it holds."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.config import InspectConfig
from flare.datasets.sdobenchmark.census import Census, SplitCensus, take_census
from flare.datasets.sdobenchmark.labels import available_splits, dataset_identity, read_table
from flare.datasets.sdobenchmark.sample_images import read_sample
from flare.errors import ConfigInvalid, DatasetNotFound
from flare.features.statistics import histograms
from flare.files import check_folder, write_atomically
from flare.goes import QUIET_FLUX, class_of_flux
from flare.images.planes import SampleRead
from flare.plots.census import census_figure, label_distributions
from flare.plots.over_time import brightness_over_time, missing_over_time
from flare.plots.samples import Row, sample_grid, side_by_side
from flare.plots.style import mark_synthetic, save
from flare.progress import counter
from flare.sample import FORECAST_WINDOW_HOURS, N_CHANNELS, N_STEPS
from flare.tracking.run import Run, log_data
from flare.tracking.runs import start
from flare.workflows.fitting.training_data import ensure_synthetic

#: Of each dataset in a comparison: samples that are drawn, and samples of the histograms.
_SAMPLES_DRAWN, _SAMPLES_COUNTED = 3, 24


@dataclass(frozen=True)
class Inspection:
    """The census, the id of the sample in the figures, and the folder of the figures."""

    census: Census
    sample: str
    folder: Path
    run_id: str


def run(config: InspectConfig) -> Inspection:
    """Take the census, draw the figures, and log both."""
    check_folder(config.output_dir, "output_dir")
    with start("inspect", name=f"inspect {config.data_dir.name}") as tracked:
        tracked.log_config(config)
        ensure_synthetic(config.data_dir)
        _check_choice(config)  # before minutes of reading
        if config.compare_with is not None:
            available_splits(config.compare_with)  # raises where there is no dataset
        with counter("inspect") as progress:
            census = take_census(
                config.data_dir, processes=config.processes or None, progress=progress
            )
        split, row = choose_sample(census, split=config.split, sample=config.sample)
        figures = {
            "sample": _draw_sample(config.data_dir, split, row),
            "labels": label_distributions(census.splits),
            "missing": missing_over_time(census.splits),
            "brightness": brightness_over_time(census.splits),
            "census": census_figure(census.splits),
        }
        if config.compare_with is not None:
            figures["comparison"] = draw_comparison(config.compare_with, config.data_dir)
        log_census(tracked, census, config.data_dir)
        counts = json.dumps(census.as_dict(), indent=1, allow_nan=False)
        write_atomically(config.output_dir / "census.json", counts)
        tracked.log_text(counts, "census.json")
        for name, figure in figures.items():
            path = config.output_dir / f"{name}.png"
            save(mark_synthetic(figure) if census.synthetic else figure, path)
            tracked.log_file(path, "figures")
    return Inspection(census, str(split.table["id"][row]), config.output_dir, tracked.id)


def _check_choice(config: InspectConfig) -> None:
    """Raise for a split that is not there, or a sample that no split has."""
    splits = available_splits(config.data_dir)
    if config.split and config.split not in splits:
        raise DatasetNotFound(
            f"{config.data_dir} has no {config.split} split, only {', '.join(splits)}; "
            f"pass -P split={splits[0]}"
        )
    ids = [key for split in splits for key in read_table(config.data_dir, split)["id"]]
    if config.sample and config.sample not in ids:
        near = get_close_matches(config.sample, ids, n=3, cutoff=0.3) or ids[:3]
        raise ConfigInvalid(
            f"sample={config.sample}: {config.data_dir} has no sample of this id; "
            f"similar ids are {', '.join(near)}"
        )


def choose_sample(census: Census, *, split: str = "", sample: str = "") -> tuple[SplitCensus, int]:
    """Return the split and row of the sample with this id, in whichever split it is.

    Without an id it is the one with the largest label among the most complete samples of the split;
    without a split that is the test split, if there is one.
    """
    for one in census.splits.values():
        rows = np.flatnonzero(one.table["id"] == sample)
        if len(rows):
            return one, int(rows[0])
    chosen = census.splits[split or ("test" if "test" in census.splits else "training")]
    images = chosen.present.sum(axis=(1, 2))
    return chosen, int(np.nanargmax(chosen.table["peak_flux"].where(images == images.max())))


def title_of(split: SplitCensus, row: int) -> str:
    """Return a sample's region, issue time, and label as in the file."""
    known = split.table.iloc[row]
    return (
        f"Active region {known['active_region']}, issued {known['end']:%Y-%m-%d %H:%M} UTC; "
        f"label of the next {FORECAST_WINDOW_HOURS} h: {_class_of(known)}  ({split.name})"
    )


def _class_of(known: pd.Series) -> str:
    flux = float(known["peak_flux"])
    return "quiet" if flux <= QUIET_FLUX else class_of_flux(flux)


def _draw_sample(data_dir: Path, split: SplitCensus, row: int) -> Figure:
    folder = read_table(data_dir, split.name)["folder"][row]
    sample = read_sample(folder, split.table["start"][row])
    return sample_grid(sample.cube, sample.present, title=title_of(split, row))


def log_census(tracked: Run, census: Census, data_dir: Path) -> None:
    """Attach each split to a run, and log its counts as ``training/samples`` and the like."""
    for name, split in census.splits.items():
        log_data(
            tracked,
            name=census.name,
            fingerprint=census.fingerprint,
            source=str(data_dir),
            synthetic=census.synthetic,
            context=name,
            profile=split.counts,
        )
        missing = {f"missing/{key}": sum(counts) for key, counts in split.missing.items()}
        checks = {f"checks/{key}": finding.count for key, finding in split.findings.items()}
        metrics = {**split.counts, **missing, **checks, "minutes_off": split.minutes_off}
        tracked.log_metrics({f"{name}/{key}": value for key, value in metrics.items()})
    tracked.set_tags({"flare.matches_published": str(census.matches_published).lower()})


def draw_comparison(first: Path, second: Path) -> Figure:
    """Draw samples of two datasets, the first above the second, and the grey levels of both.

    Raises DatasetNotFound: one of them has no table, or no image.
    """
    rows: list[Row] = []
    counts: dict[str, NDArray[np.int64]] = {}
    for folder in (first, second):
        name = _dataset_title(folder, others=set(counts))
        table = pd.concat([read_table(folder, split) for split in available_splits(folder)])
        levels = np.zeros((N_CHANNELS, 256), dtype=np.int64)
        n_drawn = 0
        for known, sample in _samples_by_label(table, _SAMPLES_COUNTED):
            row = _row(name, known, sample)
            levels[row.present] += histograms(row.planes[row.present])
            if n_drawn < _SAMPLES_DRAWN:
                rows.append(row)
                n_drawn += 1
        if not n_drawn:
            raise DatasetNotFound(
                f"no image of any sample is in {folder}; download the dataset again"
            )
        counts[name] = levels
    return side_by_side(rows, counts)


def _dataset_title(folder: Path, *, others: set[str]) -> str:
    identity = dataset_identity(folder)
    name = identity.name
    if identity.synthetic:
        name = name.upper() if name == "synthetic" else f"{name} (SYNTHETIC)"
    return f"{name}, {folder}" if name in others else name


def _samples_by_label(table: pd.DataFrame, most: int) -> Iterator[tuple[pd.Series, SampleRead]]:
    """Yield samples spread evenly over a dataset by their label, the largest first."""
    ordered = table.sort_values("peak_flux", ascending=False, kind="stable")
    places = np.unique(np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round())
    # First the largest, the middle and the smallest label: these samples are drawn.
    chosen = [places[0], places[len(places) // 2], places[-1], *places]
    for place in dict.fromkeys(int(one) for one in chosen):
        known = ordered.iloc[place]
        sample = read_sample(known["folder"], known["start"].to_pydatetime())
        if sample.present.any():
            yield known, sample


def _row(name: str, known: pd.Series, sample: SampleRead) -> Row:
    newest = N_STEPS - 1 - sample.present[::-1].argmax(axis=0)  # (C,)
    return Row(
        name,
        f"{known['active_region']}, {known['end']:%Y}: {_class_of(known)}",
        sample.cube[newest, np.arange(N_CHANNELS)],
        np.asarray(sample.present.any(axis=0)),
    )
