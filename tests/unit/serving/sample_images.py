"""Images of one sample by their names, and zips of them, that the serving tests share."""

import io
import zipfile
from functools import lru_cache

import httpx
import numpy as np
from PIL import Image

from flare.sample import CHANNELS

#: The four times of a window that begins at 19:36.
TIMES = ("2013-09-18T193600", "2013-09-19T023600", "2013-09-19T060600", "2013-09-19T072600")
RAMP = np.add.outer(np.arange(256) // 2, np.arange(256) // 2).astype(np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def flagged() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "Flagged by the instrument team"
    return encoded(RAMP, "JPEG", exif=exif)


def name_of(step: int, channel: str, kind: str = "png") -> str:
    return f"{TIMES[step]}__{channel}.{kind}"


@lru_cache(maxsize=1)
def all_images() -> dict[str, bytes]:
    """Return forty images, each with a grey level of its own in the corner."""
    images = {}
    for step in range(len(TIMES)):
        for number, channel in enumerate(CHANNELS):
            pixels = RAMP.copy()
            pixels[0, 0] = 100 + 10 * step + number
            images[name_of(step, channel)] = encoded(pixels, compress_level=1)
    return images


def zip_of(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def form_of(
    files: dict[str, bytes] | list[tuple[str, bytes]], field: str = "files"
) -> tuple[bytes, str]:
    """Return the body and the type of a form with these files."""
    pairs = files.items() if isinstance(files, dict) else files
    many = [(field, (name, data)) for name, data in pairs]
    request = httpx.Request("POST", "http://server", files=many)
    return request.read(), request.headers["content-type"]
