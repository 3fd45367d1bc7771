"""Read the one sample of an input: a folder of images or a .npy file."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from flare.datasets.sdobenchmark.labels import identity_above
from flare.datasets.sdobenchmark.sample_images import infer_start, read_images
from flare.errors import ConfigInvalid, DatasetNotFound, InputInvalid
from flare.files import digest, digest_of_images
from flare.forecast_facts import SampleFacts, region_of_paths, window_after_input
from flare.images.grey_scale import LEVEL, Scale
from flare.images.npy import cube_of_npy
from flare.images.planes import parse_name
from flare.sample import Cube, Present, present_of_cube
from flare.tracking.run import Run, log_data

log = logging.getLogger("flare")

NOTHING_STATED = SampleFacts()


@dataclass(frozen=True)
class OneSample:
    """A sample: uint8 ``cube`` (T, C, H, W) and which images are ``present``, (T, C).

    ``facts`` are its times, region and digest, ``synthetic`` is None where its origin is unknown.
    """

    id: str
    cube: Cube
    present: Present
    facts: SampleFacts
    source: Path
    synthetic: bool | None
    scale: Scale = LEVEL

    def log(self, run: Run, *, context: str) -> None:
        """Log it as the data of a run."""
        log_data(
            run,
            name=self.id,
            fingerprint=self.facts.input_digest,
            source=str(self.source),
            synthetic=self.synthetic,
            context=context,
            profile={"samples": 1},
        )


def read_one(path: Path, scale: Scale | None, stated: SampleFacts = NOTHING_STATED) -> OneSample:
    """Read a sample folder, a folder with a single one, or a .npy file on a scale if stated.

    Images have their times in their names, and folders may have the region in theirs; other times
    and regions can be ``stated``.

    Raises
    ------
    DatasetNotFound
        There is nothing, or not exactly one sample.
    ConfigInvalid
        A time is stated for images.
    InputInvalid
        The file is not a sample, or none of the images can be used.
    """
    sample = _sample(path, scale, stated)
    if not sample.present.any():
        raise InputInvalid(f"no image in {path} can be used; look at its files")
    return sample


def _sample(path: Path, scale: Scale | None, stated: SampleFacts) -> OneSample:
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


def _npy_sample(path: Path, scale: Scale | None, stated: SampleFacts) -> OneSample:
    content = path.read_bytes()
    try:
        cube, used = cube_of_npy(content, scale=scale)
    except InputInvalid as error:
        raise InputInvalid(f"{path}: {error}") from error
    facts = replace(stated, input_digest=digest(content))
    return OneSample(path.stem, cube, present_of_cube(cube), facts, path, None, used)


def _folder_sample(folder: Path, stated: SampleFacts) -> OneSample:
    start = infer_start(folder)
    read, files = read_images(folder, start)
    for file, reason in read.rejected:
        log.info("%s: %s is masked as missing (%s)", folder.name, file, reason)
    identity = identity_above(folder)
    synthetic = None if identity is None else identity.synthetic
    region = stated.active_region or region_of_paths("/".join(folder.resolve().parts[-2:]))
    facts = SampleFacts(digest_of_images(files), window_after_input(start), region)
    return OneSample(folder.name, read.cube, read.present, facts, folder, synthetic)


def _holds_images(folder: Path) -> bool:
    return any(parse_name(path.name) is not None for path in folder.iterdir())
