"""Entry point ``inspect``: a census of a dataset, and figures of what it holds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from flare.config import InspectConfig
from flare.datasets.sdobenchmark.census import Census, SplitCensus, take_census
from flare.datasets.sdobenchmark.fingerprint import available_splits
from flare.datasets.sdobenchmark.labels import read_table
from flare.datasets.sdobenchmark.sample_images import read_sample
from flare.errors import ConfigInvalid, DatasetNotFound
from flare.files import check_folder, write_atomically
from flare.goes import QUIET_FLUX, class_of_flux
from flare.plots.brightness import brightness_over_time
from flare.plots.census import census_figure, missing_over_time
from flare.plots.labels import label_distributions
from flare.plots.samples import sample_grid
from flare.plots.style import mark_synthetic, save
from flare.progress import counter
from flare.sample import FORECAST_WINDOW_HOURS
from flare.tracking.runs import Run, scratch, start
from flare.workflows.beside import check_beside, draw_beside
from flare.workflows.census_log import log_census
from flare.workflows.fitting.synthetic_data import make_default


@dataclass(frozen=True)
class Inspection:
    """What was counted, which sample was drawn, and where the figures are."""

    census: Census
    sample: str
    folder: Path
    run_id: str


def run(config: InspectConfig) -> Inspection:
    """Count, draw, log and write."""
    check_folder(config.output_dir, "output_dir")
    with start("inspect", name=f"inspect {config.data_dir.name}") as tracked:
        tracked.log_config(config)
        make_default(config.data_dir)
        _check_choice(config)  # before minutes of reading
        if config.beside is not None:
            check_beside(config.beside)
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
        if config.beside is not None:
            figures["beside"] = draw_beside(config.data_dir, config.beside)
        with scratch() as draft:
            _write(draft, census, figures)
            _log(tracked, draft, census, config.data_dir)
            for path in sorted(draft.iterdir()):
                write_atomically(config.output_dir / path.name, path.read_bytes())
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
            f"near it are {', '.join(near)}"
        )


def choose_sample(census: Census, *, split: str = "", sample: str = "") -> tuple[SplitCensus, int]:
    """Return the split and row of the sample with this id, in whichever split it is.

    Without an id it is a sample worth looking at: of the most complete of the split - test where
    none is named and there is one - the one with the largest label.
    """
    for one in census.splits.values():
        rows = np.flatnonzero(one.table["id"] == sample)
        if len(rows):
            return one, int(rows[0])
    chosen = census.splits[split or ("test" if "test" in census.splits else "training")]
    images = chosen.present.sum(axis=(1, 2))
    return chosen, int(np.nanargmax(chosen.table["peak_flux"].where(images == images.max())))


def title_of(split: SplitCensus, row: int) -> str:
    """Say of a sample which region it shows, when it was issued, and its label as in the file."""
    known = split.table.iloc[row]
    flux = float(known["peak_flux"])
    label = "quiet" if flux <= QUIET_FLUX else class_of_flux(flux)
    return (
        f"Active region {known['active_region']}, issued {known['end']:%Y-%m-%d %H:%M} UTC; "
        f"label of the next {FORECAST_WINDOW_HOURS} h: {label}  ({split.name})"
    )


def _draw_sample(data_dir: Path, split: SplitCensus, row: int) -> Figure:
    folder = read_table(data_dir, split.name)["folder"][row]
    sample = read_sample(folder, split.table["start"][row])
    return sample_grid(sample.cube, sample.present, title=title_of(split, row))


def _write(folder: Path, census: Census, figures: Mapping[str, Figure]) -> None:
    """Write ``census.json`` and a PNG of each figure, marked where the data are made up."""
    text = json.dumps(census.as_dict(), indent=1, allow_nan=False)
    (folder / "census.json").write_text(text, encoding="utf-8")
    for name, figure in figures.items():
        save(mark_synthetic(figure) if census.synthetic else figure, folder / f"{name}.png")


def _log(tracked: Run, folder: Path, census: Census, data_dir: Path) -> None:
    log_census(tracked, census, data_dir)
    for path in sorted(folder.iterdir()):
        tracked.log_file(path, "figures" if path.suffix == ".png" else None)
