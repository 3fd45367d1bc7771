"""Entry point ``predict``: forecast one sample folder or .npy, or a folder of many samples."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from flare.config import PredictConfig
from flare.config.groups import PREDICT_EXAMPLE, base_rates
from flare.datasets.sdobenchmark.labels import identity_above
from flare.datasets.sdobenchmark.sample_images import infer_start, read_images
from flare.errors import ConfigInvalid, DatasetNotFound, InputInvalid
from flare.files import digest, digest_of_images
from flare.forecast_facts import (
    SampleFacts,
    Window,
    parse_time,
    region_of_paths,
    window_after_input,
)
from flare.forecasters.answer import answers
from flare.forecasters.training_inputs import check_inputs
from flare.images.grey_scale import LEVEL, Scale
from flare.images.npy import cube_of_npy
from flare.images.planes import parse_name
from flare.sample import Cube, Present, present_of_cube
from flare.tracking.dataset_inputs import log_data
from flare.tracking.runs import start
from flare.workflows.prediction import predict_many
from flare.workflows.prediction.prediction_table import (
    Forecasts,
    check_output,
    identity,
    write_forecasts,
)
from flare.workflows.prediction.resolve_model import resolve

log = logging.getLogger("flare")


@dataclass(frozen=True)
class _Sample:
    id: str
    cube: Cube  # (T, C, H, W)
    present: Present
    facts: SampleFacts
    synthetic: bool | None  # None: of unknown origin
    scale: Scale = LEVEL


def run(config: PredictConfig) -> Forecasts:
    """Forecast the one sample of ``input``, or every sample of ``data_dir`` into a file."""
    if config.data_dir is None:
        return _forecast_one(config)
    if config.input != PREDICT_EXAMPLE:
        raise ConfigInvalid(
            f"input={config.input} and data_dir={config.data_dir} are both given; leave one out"
        )
    if config.issue_time or config.active_region:
        raise ConfigInvalid(
            "issue_time and active_region are of one sample; leave them out with data_dir, whose "
            "samples have their own"
        )
    return predict_many.run(config.data_dir, config)


def _forecast_one(config: PredictConfig) -> Forecasts:
    if config.output is not None:
        check_output(config.output)
    sample = _sample(config.input, config.scale or None, _stated(config))
    if not sample.present.any():
        raise InputInvalid(f"no image in {config.input} can be used; look at its files")
    with start("predict", name=f"predict {config.input.name}") as tracked:
        tracked.log_config(config)
        log_data(
            tracked,
            name=sample.id,
            fingerprint=sample.facts.input_digest,
            source=str(config.input),
            synthetic=sample.synthetic,
            context="prediction",
            profile={"samples": 1},
        )
        model = resolve(config.model, config.model_name).at_rates(base_rates(config.base_rates))
        model.log_use(tracked)
        forecast = model.forecaster.predict(sample.cube[None], sample.present[None])
        answer = answers(model.forecaster, forecast)[0]
        size, training = model.forecaster.spec.image_size, model.forecaster.training_inputs
        (check,) = check_inputs(sample.cube[None], sample.present[None], training, size=size)
        who = identity(model, sample.id, sample.facts, check, sample.present)
        forecasts = Forecasts(
            [{"id": sample.id, **who, **answer, "scale": sample.scale}],
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


def _stated(config: PredictConfig) -> SampleFacts:
    """Return what the parameters state of a sample."""
    issued = parse_time(config.issue_time, "issue_time") if config.issue_time else None
    return SampleFacts("", Window(issued, issued), config.active_region or None)


def _sample(path: Path, scale: Scale | None, stated: SampleFacts) -> _Sample:
    """Read the one sample of the input."""
    if path.is_file():
        return _npy_sample(path, scale, stated)
    if stated.stated.issue_time is not None:
        raise ConfigInvalid(
            f"issue_time is for a .npy file; the images in {path} have it in their names: leave it "
            "out"
        )
    if not path.is_dir():
        raise DatasetNotFound(f"no {path}; give a sample folder or a .npy file")
    if _holds_images(path):
        return _folder_sample(path, stated)
    inside = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    samples = [folder for folder in inside if _holds_images(folder)]
    if len(samples) == 1:
        return _folder_sample(samples[0], stated)
    raise DatasetNotFound(
        f"{path} does not hold exactly one sample; give a sample folder or a .npy file, "
        f"or pass -P data_dir={path} for all that it holds"
    )


def _npy_sample(path: Path, scale: Scale | None, stated: SampleFacts) -> _Sample:
    content = path.read_bytes()
    try:
        cube, used = cube_of_npy(content, scale=scale)
    except InputInvalid as error:
        raise InputInvalid(f"{path}: {error}") from error
    facts = replace(stated, input_digest=digest(content))
    return _Sample(path.stem, cube, present_of_cube(cube), facts, None, used)


def _folder_sample(folder: Path, stated: SampleFacts) -> _Sample:
    start = infer_start(folder)
    read, files = read_images(folder, start)
    for file, reason in read.rejected:
        log.info("%s: %s is masked as missing (%s)", folder.name, file, reason)
    identity = identity_above(folder)
    synthetic = None if identity is None else identity.synthetic
    region = stated.active_region or region_of_paths("/".join(folder.resolve().parts[-2:]))
    facts = SampleFacts(digest_of_images(files), window_after_input(start), region)
    return _Sample(folder.name, read.cube, read.present, facts, synthetic)


def _holds_images(folder: Path) -> bool:
    return any(parse_name(path.name) is not None for path in folder.iterdir())
