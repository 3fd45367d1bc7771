"""The example input: the committed images of one sample, as a client would upload them."""

import io
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from flare.errors import DatasetNotFound
from flare.images import ImageRejected, decode_plane, parse_name
from flare.npy import PLANES_SHAPE
from flare.sample import CHANNELS, CUBE_SHAPE, STEP_OFFSETS_MINUTES

EXAMPLES = Path(__file__).resolve().parents[1] / "data" / "example"


@lru_cache(maxsize=1)
def example_npy(examples: Path) -> bytes:
    """Return the first sample of ``<examples>/<id>/*.jpg`` as a .npy file of (40, 256, 256).

    An image belongs to the time step whose offset from the earliest image is nearest.

    Raises
    ------
    DatasetNotFound
        There are no images of a sample.
    """
    named = {path: parse_name(path.name) for path in sorted(examples.glob("*/*.jpg"))}
    found = [(path, *name) for path, name in named.items() if name is not None]
    if not found:
        raise DatasetNotFound(f"no images in {examples}; check the project out again, with data/")
    sample = found[0][0].parent
    found = [entry for entry in found if entry[0].parent == sample]
    start = min(time for _, time, _ in found)
    offsets = np.array(STEP_OFFSETS_MINUTES)
    cube = np.zeros(CUBE_SHAPE, dtype=np.uint8)
    for path, time, channel in found:
        minutes = (time - start).total_seconds() / 60
        step = int(np.abs(offsets - minutes).argmin())
        with suppress(ImageRejected):  # stays zero, so missing
            cube[step, CHANNELS.index(channel)] = decode_plane(path.read_bytes())
    file = io.BytesIO()
    np.save(file, cube.reshape(PLANES_SHAPE), allow_pickle=False)
    return file.getvalue()
