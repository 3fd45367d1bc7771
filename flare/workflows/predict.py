"""Entry point ``predict``: forecasts for one sample folder, one .npy, or a whole dataset."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from flare.config import PredictConfig
from flare.datasets.sdobenchmark import infer_start, read_sample, read_table
from flare.errors import ConfigInvalid, DatasetNotFound, InputInvalid
from flare.forecasters.answer import answers
from flare.images import parse_name
from flare.npy import cube_of_npy
from flare.sample import N_PLANES, Cube, Present, present_of_cube
from flare.tracking.runs import start
from flare.workflows.models import resolve
from flare.workflows.output import check_folder, put_file
from flare.workflows.progress import bar

log = logging.getLogger("flare")


@dataclass(frozen=True)
class Forecasts:
    """A row a sample in the words of the public answer, after its id; and who made them."""

    rows: list[dict[str, Any]]
    model: str
    output: Path | None


@dataclass(frozen=True)
class _Sample:
    id: str
    cube: Cube  # (T, C, H, W)
    present: Present


def run(config: PredictConfig) -> Forecasts:
    """Forecast every sample of the input, and write the file if one is asked for."""
    if config.output is not None and config.output.suffix not in (".csv", ".json"):
        raise ConfigInvalid(f"output={config.output}: give a name ending in .csv or .json")
    if config.output is not None:
        check_folder(config.output.parent, "output")
    samples, count = _samples(config.input, config.split)
    with start("predict", name=f"predict {config.input.name}") as tracked:
        tracked.log_params(config.model_dump())
        model = resolve(config.model, config.model_name)
        rows: list[dict[str, Any]] = []
        for sample in bar("predict")(samples) if count > 1 else samples:
            if not sample.present.any():
                log.info("%s: no image can be used, so no forecast", sample.id)
                continue
            forecast = model.forecaster.predict(sample.cube[None], sample.present[None])
            answer = answers(model.forecaster, forecast)[0]
            missing = N_PLANES - int(sample.present.sum())
            rows.append({"id": sample.id, **answer, "missing_images": missing})
        if not rows:
            raise InputInvalid(f"no image in {config.input} can be used; look at its files")
        tracked.set_tags({"flare.model": model.label})
        tracked.log_metrics({"forecasts": len(rows)})
        tracked.log_json({"model": model.label, "forecasts": rows}, "forecasts.json")
        if config.output is not None:
            _write(rows, config.output)
    return Forecasts(rows, model.label, config.output)


def _samples(path: Path, split: str) -> tuple[Iterator[_Sample], int]:
    """Find out what the input is; return its samples and how many there are."""
    if path.is_file():
        return iter([_npy_sample(path)]), 1
    if not path.is_dir():
        raise DatasetNotFound(f"no {path}; give a sample folder, a .npy file or a dataset")
    if _holds_images(path):
        return _folders([path]), 1
    if (path / "training").is_dir() or (path / "test").is_dir():
        table = read_table(path, split)
        return _of_table(table), len(table)
    inside = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    inside = [folder for folder in inside if _holds_images(folder)]
    if not inside:
        raise DatasetNotFound(
            f"{path} holds neither images of a sample nor training/ or test/ of a dataset; "
            "give a sample folder, a .npy file or a dataset"
        )
    return _folders(inside), len(inside)


def _npy_sample(path: Path) -> _Sample:
    try:
        cube = cube_of_npy(path.read_bytes())
    except InputInvalid as error:
        raise InputInvalid(f"{path}: {error}") from error
    return _Sample(path.stem, cube, present_of_cube(cube))


def _folders(folders: list[Path]) -> Iterator[_Sample]:
    for folder in folders:
        read = read_sample(folder, infer_start(folder))
        _tell(folder.name, read.rejected)
        yield _Sample(folder.name, read.cube, read.present)


def _of_table(table: pd.DataFrame) -> Iterator[_Sample]:
    for name, folder, begin in zip(table["id"], table["folder"], table["start"], strict=True):
        read = read_sample(Path(folder), begin.to_pydatetime())
        _tell(name, read.rejected)
        yield _Sample(name, read.cube, read.present)


def _tell(name: str, rejected: tuple[tuple[str, str], ...]) -> None:
    for file, reason in rejected:
        log.info("%s: %s is masked as missing (%s)", name, file, reason)


def _holds_images(folder: Path) -> bool:
    return any(parse_name(path.name) is not None for path in folder.iterdir())


def _write(rows: list[dict[str, Any]], output: Path) -> None:
    if output.suffix == ".json":
        text = json.dumps(rows, indent=2, allow_nan=False)
    else:
        frame = pd.DataFrame(rows)
        chances = pd.DataFrame(frame.pop("probabilities").tolist()).add_prefix("probability_")
        text = frame.join(chances).to_csv(index=False)
    put_file(output, text.encode())
