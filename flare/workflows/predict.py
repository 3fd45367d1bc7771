"""Entry point ``predict``: forecast one sample folder or .npy, or a folder of many samples."""

import logging
from dataclasses import dataclass
from pathlib import Path

from flare.config import PredictConfig
from flare.config.groups import PREDICT_EXAMPLE, base_rates
from flare.datasets.sdobenchmark.labels import identity_above
from flare.datasets.sdobenchmark.sample_images import infer_start, read_images
from flare.errors import ConfigInvalid, DatasetNotFound, InputInvalid
from flare.files import digest, digest_of_images
from flare.forecasters.answer import answers
from flare.images.grey_scale import LEVEL, Scale
from flare.images.npy import cube_of_npy
from flare.images.planes import parse_name
from flare.sample import N_PLANES, Cube, Present, present_of_cube
from flare.tracking.dataset_inputs import log_data
from flare.tracking.runs import start
from flare.workflows.prediction import predict_many
from flare.workflows.prediction.prediction_table import Forecasts, check_output, write_forecasts
from flare.workflows.prediction.resolve_model import resolve

log = logging.getLogger("flare")


@dataclass(frozen=True)
class _Sample:
    id: str
    cube: Cube  # (T, C, H, W)
    present: Present
    digest: str
    synthetic: bool | None  # None: of unknown origin
    scale: Scale = LEVEL


def run(config: PredictConfig) -> Forecasts:
    """Forecast the one sample of ``input``, or every sample of ``data_dir`` into a file."""
    if config.data_dir is None:
        if config.shard:
            raise ConfigInvalid(f"shard={config.shard} is a share of data_dir; give that too")
        return _forecast_one(config)
    if config.input != PREDICT_EXAMPLE:
        raise ConfigInvalid(
            f"input={config.input} and data_dir={config.data_dir} are both given; leave one out"
        )
    return predict_many.run(config.data_dir, config)


def _forecast_one(config: PredictConfig) -> Forecasts:
    if config.output is not None:
        check_output(config.output)
    sample = _sample(config.input, config.scale or None)
    if not sample.present.any():
        raise InputInvalid(f"no image in {config.input} can be used; look at its files")
    with start("predict", name=f"predict {config.input.name}") as tracked:
        tracked.log_config(config)
        log_data(
            tracked,
            name=sample.id,
            fingerprint=sample.digest,
            source=str(config.input),
            synthetic=sample.synthetic,
            context="prediction",
            profile={"samples": 1},
        )
        model = resolve(config.model, config.model_name).at_rates(base_rates(config.base_rates))
        model.log_use(tracked)
        forecast = model.forecaster.predict(sample.cube[None], sample.present[None])
        answer = answers(model.forecaster, forecast)[0]
        missing = N_PLANES - int(sample.present.sum())
        forecasts = Forecasts(
            [{"id": sample.id, **answer, "missing_images": missing, "scale": sample.scale}],
            model.label,
            config.output,
            synthetic=answer["synthetic"],
            synthetic_data=sample.synthetic,
        )
        tracked.log_metrics(forecasts.summary())
        tracked.log_json({"model": model.label, "forecasts": forecasts.rows}, "forecasts.json")
        if config.output is not None:
            write_forecasts(forecasts.rows, config.output)
    return forecasts


def _sample(path: Path, scale: Scale | None) -> _Sample:
    """Read the one sample of the input."""
    if path.is_file():
        return _npy_sample(path, scale)
    if not path.is_dir():
        raise DatasetNotFound(f"no {path}; give a sample folder or a .npy file")
    if _holds_images(path):
        return _folder_sample(path)
    inside = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    samples = [folder for folder in inside if _holds_images(folder)]
    if len(samples) == 1:
        return _folder_sample(samples[0])
    raise DatasetNotFound(
        f"{path} does not hold exactly one sample; give a sample folder or a .npy file, "
        f"or pass -P data_dir={path} for all that it holds"
    )


def _npy_sample(path: Path, scale: Scale | None) -> _Sample:
    content = path.read_bytes()
    try:
        cube, used = cube_of_npy(content, scale=scale)
    except InputInvalid as error:
        raise InputInvalid(f"{path}: {error}") from error
    return _Sample(path.stem, cube, present_of_cube(cube), digest(content), None, used)


def _folder_sample(folder: Path) -> _Sample:
    read, files = read_images(folder, infer_start(folder))
    for file, reason in read.rejected:
        log.info("%s: %s is masked as missing (%s)", folder.name, file, reason)
    identity = identity_above(folder)
    synthetic = None if identity is None else identity.synthetic
    return _Sample(folder.name, read.cube, read.present, digest_of_images(files), synthetic)


def _holds_images(folder: Path) -> bool:
    return any(parse_name(path.name) is not None for path in folder.iterdir())
