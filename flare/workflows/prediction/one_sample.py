"""Read the one sample of an input: a folder of images or a .npy file."""

import logging
from dataclasses import dataclass
from pathlib import Path

from flare.datasets.sdobenchmark.labels import identity_above
from flare.datasets.sdobenchmark.sample_images import infer_start, read_images
from flare.errors import DatasetNotFound, InputInvalid
from flare.files import digest, digest_of_images
from flare.images.grey_scale import LEVEL, Scale
from flare.images.npy import cube_of_npy
from flare.images.planes import parse_name
from flare.sample import Cube, Present, present_of_cube
from flare.tracking.dataset_inputs import log_data
from flare.tracking.runs import Run

log = logging.getLogger("flare")


@dataclass(frozen=True)
class OneSample:
    """A sample: uint8 ``cube`` (T, C, H, W) and which images are ``present``, (T, C).

    ``synthetic`` is None where its origin is unknown.
    """

    id: str
    cube: Cube
    present: Present
    digest: str
    source: Path
    synthetic: bool | None
    scale: Scale = LEVEL

    def log(self, run: Run, *, context: str) -> None:
        """Log it as the data of a run."""
        log_data(
            run,
            name=self.id,
            fingerprint=self.digest,
            source=str(self.source),
            synthetic=self.synthetic,
            context=context,
            profile={"samples": 1},
        )


def read_one(path: Path, scale: Scale | None) -> OneSample:
    """Read a sample folder, a folder with a single one, or a .npy file on a scale if stated.

    Raises
    ------
    DatasetNotFound
        There is nothing, or not exactly one sample.
    InputInvalid
        The file is not a sample, or none of the images can be used.
    """
    sample = _sample(path, scale)
    if not sample.present.any():
        raise InputInvalid(f"no image in {path} can be used; look at its files")
    return sample


def _sample(path: Path, scale: Scale | None) -> OneSample:
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


def _npy_sample(path: Path, scale: Scale | None) -> OneSample:
    content = path.read_bytes()
    try:
        cube, used = cube_of_npy(content, scale=scale)
    except InputInvalid as error:
        raise InputInvalid(f"{path}: {error}") from error
    return OneSample(path.stem, cube, present_of_cube(cube), digest(content), path, None, used)


def _folder_sample(folder: Path) -> OneSample:
    read, files = read_images(folder, infer_start(folder))
    for file, reason in read.rejected:
        log.info("%s: %s is masked as missing (%s)", folder.name, file, reason)
    identity = identity_above(folder)
    synthetic = None if identity is None else identity.synthetic
    content = digest_of_images(files)
    return OneSample(folder.name, read.cube, read.present, content, folder, synthetic)


def _holds_images(folder: Path) -> bool:
    return any(parse_name(path.name) is not None for path in folder.iterdir())
