"""Read SDOBenchmark's files: the table of labels of a split, and the images of one sample.

Layout (i4Ds/SDOBenchmark, STRUCTURE.md): ``{split}/meta_data.csv`` with ``id,start,end,peak_flux``,
and ``{split}/<region>/<rest of the id>/<time>__<channel>.jpg``. The time inside an id is where a
range of samples begins, not the sample: only ``start`` of the table says when a window opens.

A damaged table stops everything, because a label cannot be guessed. A damaged image does not: it
is masked as missing and listed, since gaps are part of this dataset.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from flare.datasets.label_rows import ID_PATTERN, read_rows
from flare.errors import ConfigInvalid, DatasetInvalid, DatasetNotFound
from flare.images import ImageRejected, decode_plane, parse_name
from flare.sample import (
    CHANNELS,
    IMAGE_SIZE,
    N_CHANNELS,
    N_STEPS,
    STEP_OFFSETS_MINUTES,
    Cube,
    Present,
)

SPLITS = ("training", "test")

#: How far an image may lie from its time step: the tolerance of the dataset's own pipeline.
STEP_TOLERANCE_MINUTES = 15.0

#: Where copies of the dataset keep a split's table, the original place first.
_TABLE_PLACES = {
    "training": ("training/meta_data.csv", "training/train.csv", "training.csv", "train.csv"),
    "test": ("test/meta_data.csv", "test/test.csv", "test.csv"),
}
#: Those of them that lie beside the folders of the splits.
ROOT_TABLES = frozenset(
    place for places in _TABLE_PLACES.values() for place in places if "/" not in place
)
#: Times of images that SDO can have taken; a label in another unit is far above any flare.
_SDO_TIMES = (pd.Timestamp("2010-01-01", tz="UTC"), pd.Timestamp("2100-01-01", tz="UTC"))
_LARGEST_FLUX = 0.1


@dataclass(frozen=True)
class DatasetIdentity:
    """What a dataset calls itself, and whether a program made it, from which ``seed``.

    Sets of the same seed share regions, whatever their sizes; None where nobody says.
    """

    name: str
    synthetic: bool
    seed: int | None = None


@dataclass(frozen=True)
class SampleRead:
    """The images of one sample.

    ``cube`` is uint8 (4, 10, S, S), zero where ``present`` (4, 10) is False. ``rejected`` pairs
    the name of each file that could not be used with the reason, ``used`` that of each other one
    with its minutes from the time step, the nearest first.
    """

    cube: Cube
    present: Present
    rejected: tuple[tuple[str, str], ...]
    used: tuple[tuple[str, float], ...]


def dataset_identity(data_dir: Path) -> DatasetIdentity:
    """Read ``dataset.json``, which generated datasets have; the folder's name stands in for it."""
    path = data_dir / "dataset.json"
    if not path.is_file():
        return DatasetIdentity(data_dir.resolve().name, synthetic=False)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        synthetic, seed = bool(content["synthetic"]), content.get("seed")
        known = int(seed) if synthetic and seed is not None else None
        return DatasetIdentity(str(content["name"]), synthetic=synthetic, seed=known)
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetInvalid(
            f"{path} is no JSON object with name and synthetic; make the dataset again "
            "with `mlflow run . -e synthesize`, or delete the file if its images are real"
        ) from error


def identity_above(folder: Path) -> DatasetIdentity:
    """Return the identity of the dataset that a folder of one sample or region lies in, if any."""
    places = (folder, *folder.resolve().parents[:3])
    described = next((place for place in places if (place / "dataset.json").is_file()), folder)
    return dataset_identity(described)


def find_table(data_dir: Path, split: str) -> Path:
    """Return the path of a split's table.

    Raises
    ------
    DatasetNotFound
        There is none in any of the places where copies of the dataset keep it.
    """
    if split not in _TABLE_PLACES:
        raise ConfigInvalid(f"no split is called {split!r}; the splits are {', '.join(SPLITS)}")
    for path in tables_on_disk(data_dir, split):
        return path
    raise DatasetNotFound(
        f"no {_TABLE_PLACES[split][0]} in {data_dir}; "
        f"pass -P data_dir={_dataset_inside(data_dir)} or run `mlflow run . -e synthesize`"
    )


def tables_on_disk(data_dir: Path, split: str) -> list[Path]:
    """Return the tables of a split that are there; the first is the one that is read."""
    places = [data_dir / place for place in _TABLE_PLACES[split]]
    return [path for path in places if path.is_file()]


def _dataset_inside(data_dir: Path) -> str:
    """Name a folder inside that is a dataset, as unpacked archives have one, or three dots."""
    inside = sorted(data_dir.iterdir()) if data_dir.is_dir() else []
    for folder in inside:
        hidden = folder.name.startswith(".")  # half-made, or somebody's trash
        if not hidden and any(tables_on_disk(folder, split) for split in SPLITS):
            return str(folder)
    return "..."


def read_table(data_dir: Path, split: str) -> pd.DataFrame:
    """Read and check the labels of a split, ``training`` or ``test``.

    Returns
    -------
    One row per sample in the file's order, with the columns ``id``, ``active_region`` (NOAA
    number), ``start`` and ``end`` of the input window (datetime64, UTC without a zone),
    ``peak_flux`` (W m^-2), ``window_index`` (number of the sample within its range: those above 0
    may see the flare that they are to forecast) and ``folder`` (Path of its images, which need
    not exist).

    Raises
    ------
    DatasetNotFound
        The folder or the table is not there.
    DatasetInvalid
        A column is missing, an id occurs twice or has another form, a time or label is unusable.
    """
    path = find_table(data_dir, split)
    rows = read_rows(path)
    parts = rows["id"].str.extract(rf"^{ID_PATTERN}$")
    _refuse(path, rows, parts[0].isna(), "id", "write <region>_<YYYY_MM_DD_HH_MM_SS>_<number>")
    _refuse(path, rows, rows["id"].duplicated(), "id", "it is there twice; keep one row of it")
    table = pd.DataFrame({"id": rows["id"], "active_region": parts[0].astype("int64")})
    for column in ("start", "end"):
        times = pd.to_datetime(rows[column], format="ISO8601", errors="coerce", utc=True)
        times = times.where(times.between(*_SDO_TIMES))
        _refuse(path, rows, times.isna(), column, "write a time as 2012-01-15 12:00:00")
        table[column] = times.dt.tz_localize(None).astype("datetime64[ns]")
    _refuse(path, rows, table["end"] <= table["start"], "end", "it must come after start")
    flux = pd.to_numeric(rows["peak_flux"], errors="coerce").astype("float64")
    unusable = ~(flux.gt(0) & flux.lt(_LARGEST_FLUX))  # NaN compares false
    _refuse(path, rows, unusable, "peak_flux", "write W m^-2, 1e-9 where nothing flared")
    table["peak_flux"] = flux
    table["window_index"] = parts[2].astype("int64")
    folders = [data_dir / split / part[0] / part[1] for part in parts.itertuples(index=False)]
    table["folder"] = pd.Series(folders, dtype="object")
    return table


def region_of_id(sample_id: str) -> int | None:
    """Return the NOAA number that a sample's id begins with; None if it is no such id."""
    match = re.fullmatch(ID_PATTERN, sample_id)
    return int(match[1]) if match else None


def _refuse(path: Path, rows: pd.DataFrame, bad: "pd.Series[bool]", column: str, hint: str) -> None:
    """Raise DatasetInvalid for the first bad row, named by its id."""
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DatasetInvalid(
            f"{path}, sample {rows['id'][row] or f'in row {row + 1}'}: "
            f"{column} is {rows[column][row]!r}; {hint}"
        )


def read_sample(folder: Path, start: datetime, *, size: int = IMAGE_SIZE) -> SampleRead:
    """Read the images of one sample.

    A folder that does not exist is a sample without images.

    Parameters
    ----------
    folder
        Where the images lie.
    start
        Beginning of the input window, UTC without a zone.
    size
        Pixels of an image's edge; any other size is rejected.
    """
    return sample_of_files(read_files(folder), start, size=size)


def read_files(folder: Path) -> dict[str, bytes] | None:
    """Return the bytes of each of a folder's images of the ten channels, sorted by name.

    None if there is no such folder. A file that cannot be read counts as empty, and so becomes an
    unreadable image of its sample instead of the end of a run over thousands.
    """
    names = list_names(folder)
    if names is None:
        return None
    files = {}
    for name in filter(parse_name, names):
        try:
            files[name] = (folder / name).read_bytes()
        except OSError:
            files[name] = b""
    return files


def list_names(folder: Path) -> list[str] | None:
    """Return the sorted names of everything in a folder; None if there is no such folder."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return None


def sample_of_files(
    files: Mapping[str, bytes] | None, start: datetime, *, size: int = IMAGE_SIZE
) -> SampleRead:
    """Put images where their names say; see `read_sample`.

    An image belongs to the nearest time step within 15 minutes. Of several for one place the
    nearest that can be used is taken.
    """
    cube = np.zeros((N_STEPS, N_CHANNELS, size, size), dtype=np.uint8)
    present = np.zeros((N_STEPS, N_CHANNELS), dtype=np.bool_)
    if files is None:
        return SampleRead(cube, present, (("", "no folder"),), ())
    rejected: list[tuple[str, str]] = []
    used: list[tuple[str, float]] = []
    for distance, name, step, channel in sorted(image_places(files, start)):
        if distance > STEP_TOLERANCE_MINUTES:
            rejected.append((name, "off schedule"))
        elif present[step, channel]:
            rejected.append((name, "duplicate"))
        else:
            try:
                cube[step, channel] = decode_plane(files[name], size=size)
                present[step, channel] = True
                used.append((name, distance))
            except ImageRejected as error:
                rejected.append((name, error.reason))
    return SampleRead(cube, present, tuple(rejected), tuple(used))


def image_places(names: Iterable[str], start: datetime) -> list[tuple[float, str, int, int]]:
    """Return (minutes from the nearest step, name, step, channel) of each image."""
    places = []
    for name in names:
        parsed = parse_name(name)
        if parsed is not None:
            minutes = (parsed[0] - start).total_seconds() / 60
            distances = [abs(minutes - offset) for offset in STEP_OFFSETS_MINUTES]
            step = int(np.argmin(distances))
            places.append((distances[step], name, step, CHANNELS.index(parsed[1])))
    return places


def infer_start(folder: Path) -> datetime:
    """Work out from the images' times when the input window of a lone folder begins.

    It is the start that puts the most images on time steps, then the one that leaves the least
    distance, then the earliest: images of a single time count as the newest of the window.

    Raises
    ------
    DatasetNotFound
        There is no such folder.
    DatasetInvalid
        No file in it is named as an image of a sample.
    """
    if not folder.is_dir():
        raise DatasetNotFound(f"no folder {folder}; name the folder that holds a sample's images")
    parsed = [(path.name, parse_name(path.name)) for path in folder.iterdir()]
    times = {name: image[0] for name, image in parsed if image is not None}
    if not times:
        raise DatasetInvalid(
            f"no image in {folder} has a name such as 2012-01-15T000000__131.jpg, "
            f"with one of the channels {', '.join(CHANNELS)}"
        )
    offsets = [timedelta(minutes=minutes) for minutes in STEP_OFFSETS_MINUTES]
    starts = {time - offset for time in set(times.values()) for offset in offsets}
    return min(starts, key=lambda start: _misfit(times, start))


def _misfit(names: Iterable[str], start: datetime) -> tuple[int, float, datetime]:
    """Return (minus the images on steps, their total distance in minutes, start)."""
    near = [place[0] for place in image_places(names, start) if place[0] <= STEP_TOLERANCE_MINUTES]
    return -len(near), sum(near), start
