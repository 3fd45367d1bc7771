"""Read the images of one sample, ``<time>__<channel>.jpg`` in a folder of its own."""

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from flare.errors import DatasetInvalid, DatasetNotFound
from flare.images.planes import (
    UNREADABLE_NAME,
    SampleRead,
    is_misnamed,
    parse_name,
    sample_of_files,
    start_of,
)
from flare.sample import CHANNELS, IMAGE_SIZE, Cube


def read_sample(folder: Path, start: datetime) -> SampleRead:
    """Read the images of one sample.

    A folder that does not exist is a sample without images.

    ``start`` of the input window is UTC without a zone; images of other than 256 pixels are
    rejected.
    """
    return read_images(folder, start)[0]


def read_images(
    folder: Path, start: datetime, *, size: int = IMAGE_SIZE, cube: Cube | None = None
) -> tuple[SampleRead, dict[str, bytes] | None]:
    """Read the images of one sample, and return the files of ``read_files`` too.

    An image whose name has no time or channel is rejected; files of other kinds are ignored.
    """
    files = read_files(folder)
    sample = sample_of_files(files, start, size=size, cube=cube)
    names = [(name, UNREADABLE_NAME) for name in filter(is_misnamed, list_names(folder) or ())]
    return (replace(sample, rejected=(*sample.rejected, *names)) if names else sample), files


def read_files(folder: Path) -> dict[str, bytes] | None:
    """Return the bytes of each of a folder's images of the ten channels, sorted by name.

    None if there is no such folder. A file that cannot be read counts as empty: an unreadable image
    of its sample, which does not end a run over thousands.
    """
    names = list_names(folder)
    if names is None:
        return None
    files, prefix = {}, f"{folder}{os.sep}"
    for name in filter(parse_name, names):
        try:
            files[name] = read_whole(prefix + name)
        except OSError:
            files[name] = b""
    return files


def read_whole(path: str) -> bytes:
    """Return a file's bytes, in half the time of ``Path.read_bytes``."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.readall()


def list_names(folder: Path) -> list[str] | None:
    """Return the sorted names of everything in a folder; None if there is no such folder."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - a Path of each name takes longer
    except (FileNotFoundError, NotADirectoryError):
        return None


def infer_start(folder: Path) -> datetime:
    """Return the start of the input window of a folder without a table, from its images' times.

    See `flare.images.planes.start_of`.

    Raises
    ------
    DatasetNotFound
        There is no such folder.
    DatasetInvalid
        No file in it is named as an image of a sample.
    """
    if not folder.is_dir():
        raise DatasetNotFound(f"no folder {folder}; name the folder that holds a sample's images")
    start = start_of(path.name for path in folder.iterdir())
    if start is None:
        raise DatasetInvalid(
            f"no image in {folder} has a name such as 2012-01-15T000000__131.jpg, "
            f"with one of the channels {', '.join(CHANNELS)}"
        )
    return start
