"""The example input: the committed images of one sample, as a client would upload them."""

import io
from functools import lru_cache
from pathlib import Path

import numpy as np

from flare.errors import DatasetNotFound
from flare.images.npy import PLANES_SHAPE
from flare.images.places import sample_of_files, start_of
from flare.images.planes import parse_name

EXAMPLES = Path(__file__).resolve().parents[2] / "data" / "example"


@lru_cache(maxsize=1)
def example_npy(examples: Path) -> bytes:
    """Return the first sample of ``<examples>/<id>/*.jpg`` as a .npy file of (40, 256, 256).

    Raises
    ------
    DatasetNotFound
        There are no images of a sample.
    """
    paths = [path for path in sorted(examples.glob("*/*.jpg")) if parse_name(path.name)]
    files = {path.name: path.read_bytes() for path in paths if path.parent == paths[0].parent}
    start = start_of(files)
    if start is None:
        raise DatasetNotFound(f"no images in {examples}; check the project out again, with data/")
    file = io.BytesIO()
    np.save(file, sample_of_files(files, start).cube.reshape(PLANES_SHAPE), allow_pickle=False)
    return file.getvalue()
