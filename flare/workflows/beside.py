"""A figure of two datasets side by side, such as synthetic regions beside real ones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.datasets.sdobenchmark.fingerprint import available_splits
from flare.datasets.sdobenchmark.labels import dataset_identity, read_table
from flare.datasets.sdobenchmark.sample_images import read_sample
from flare.errors import DatasetNotFound
from flare.features.statistics import histograms
from flare.goes import QUIET_FLUX, class_of_flux
from flare.images.places import SampleRead
from flare.plots.samples import Row, side_by_side
from flare.sample import N_CHANNELS, N_STEPS

_DRAWN = 3  # samples of each dataset
_COUNTED = 24  # samples of each dataset whose grey levels are counted


def check_beside(data_dir: Path) -> None:
    """Raise, before minutes of other work, where there is no dataset to draw beside another."""
    available_splits(data_dir)


def draw_beside(data_dir: Path, other: Path) -> Figure:
    """Draw samples of a dataset below samples of another, with the grey levels of both.

    Raises
    ------
    DatasetNotFound
        One of them has no table, or no image.
    """
    rows: list[Row] = []
    counts: dict[str, NDArray[np.int64]] = {}
    for folder in (other, data_dir):
        name = _name(folder, taken=set(counts))
        table = pd.concat([read_table(folder, split) for split in available_splits(folder)])
        levels = np.zeros((N_CHANNELS, 256), dtype=np.int64)
        drawn = 0
        for known, sample in _samples(table, _COUNTED):
            row = _row(name, known, sample)
            levels[row.present] += histograms(row.planes[row.present])
            if drawn < _DRAWN:
                rows.append(row)
                drawn += 1
        if not drawn:
            raise DatasetNotFound(f"no image of any sample is in {folder}; copy them there")
        counts[name] = levels
    return side_by_side(rows, counts)


def _name(folder: Path, *, taken: set[str]) -> str:
    identity = dataset_identity(folder)
    name = identity.name
    if identity.synthetic:
        name = name.upper() if name == "synthetic" else f"{name} (SYNTHETIC)"
    return f"{name}, {folder}" if name in taken else name


def _samples(table: pd.DataFrame, most: int) -> Iterator[tuple[pd.Series, SampleRead]]:
    """Yield samples spread evenly over a dataset by their label, the largest first."""
    ordered = table.sort_values("peak_flux", ascending=False, kind="stable")
    places = np.unique(np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round())
    # First the largest, the middle and the smallest label, which are the ones that are drawn.
    chosen = [places[0], places[len(places) // 2], places[-1], *places]
    for place in dict.fromkeys(int(one) for one in chosen):
        known = ordered.iloc[place]
        sample = read_sample(known["folder"], known["start"].to_pydatetime())
        if sample.present.any():
            yield known, sample


def _row(name: str, known: pd.Series, sample: SampleRead) -> Row:
    newest = N_STEPS - 1 - sample.present[::-1].argmax(axis=0)  # (C,)
    flux = float(known["peak_flux"])
    label = "quiet" if flux <= QUIET_FLUX else class_of_flux(flux)
    return Row(
        name,
        f"{known['active_region']}, {known['end']:%Y}: {label}",
        sample.cube[newest, np.arange(N_CHANNELS)],
        np.asarray(sample.present.any(axis=0)),
    )
