"""The fast way to the pixels of an ordinary grey JPEG: libjpeg-turbo through simplejpeg.

It takes a third to a half of Pillow's time, and other threads run meanwhile. Of anything that is
not ordinary, None comes back and Pillow decides: both use libjpeg-turbo's exact integer transform,
so pixels are the same (a test compares them), but only Pillow names what is wrong with a file.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

try:
    from simplejpeg import decode_jpeg  # type: ignore[import-untyped]
except ImportError:  # no wheel for this platform: Pillow decodes everything
    decode_jpeg = None

_IMAGE_DESCRIPTION = 0x010E  # EXIF tag
_BEGINS = b"\xff\xd8\xff"
_EXIF = b"Exif\0\0"
# Markers that an ordinary file has before its pixels: tables and comments, which Pillow does not
# refuse; JFIF, EXIF, the frame and the scan are looked at.
_TABLES = frozenset((0xDB, 0xC4, 0xDD, 0xFE))
_FRAMES = frozenset((0xC0, 0xC1, 0xC2))
_JFIF, _APP1, _SCAN = 0xE0, 0xE1, 0xDA


def decode_ordinary(
    data: bytes, size: int, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8] | None:
    """Decode a whole grey JPEG of (size, size) pixels that nobody flagged.

    Parameters
    ----------
    data
        The file's bytes.
    size
        Pixels of an edge.
    out
        C-contiguous (size, size) to decode into; it may hold anything after a None.

    Returns
    -------
    The plane, ``out`` where that is given; None for any other or doubtful file.
    """
    if decode_jpeg is None or not _is_ordinary(data, size):
        return None
    return decode_checked(data, size, out)


def decode_checked(
    data: bytes | NDArray[np.uint8], size: int, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8] | None:
    """Decode like `decode_ordinary` what is known to be a grey image of this size, as in a pack."""
    if decode_jpeg is None:
        return None
    plane = np.empty((size, size), dtype=np.uint8) if out is None else out
    try:
        shape = decode_jpeg(data, "GRAY", buffer=plane, strict=True).shape
    except ValueError:  # cut short, or a warning of libjpeg's
        return None
    return plane if shape == (size, size, 1) else None


def is_flagged(exif: Image.Exif) -> bool:
    """Say whether the instrument team doubts an image and says so in its ImageDescription."""
    return "flagged" in str(exif.get(_IMAGE_DESCRIPTION, "")).lower()


def _is_ordinary(data: bytes, size: int) -> bool:
    """Say whether a header holds nothing that Pillow could refuse, or that is to be refused."""
    if not data.startswith(_BEGINS):
        return False
    place, end, frames, exifs = 2, len(data) - 4, 0, 0
    while place < end and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == _SCAN:
            return frames == 1
        length = data[place + 2] << 8 | data[place + 3]
        if marker in _FRAMES:
            frames += 1
            if not _is_grey_frame(data[place + 4 : place + 2 + length], size):
                return False
        elif marker == _APP1:
            exifs += 1
            if exifs > 1 or not _is_harmless(data[place + 4 : place + 2 + length]):
                return False
        elif marker == _JFIF:
            if length < 16 or data[place + 4 : place + 9] != b"JFIF\0":
                return False
        elif marker not in _TABLES or length < 3:
            return False
        place += 2 + length
    return False


def _is_grey_frame(frame: bytes, size: int) -> bool:
    """Say whether a frame is of 8 bits, size x size pixels and one component."""
    edge = size.to_bytes(2, "big")
    return len(frame) == 9 and frame[:6] == b"\x08" + edge + edge + b"\x01"


@lru_cache(maxsize=256)  # nearly all images of a dataset have the same few
def _is_harmless(segment: bytes) -> bool:
    """Say whether Pillow reads an EXIF segment without a word, and it flags nothing."""
    if not segment.startswith(_EXIF):
        return False
    exif = Image.Exif()
    try:
        exif.load(segment)
        return not is_flagged(exif)
    except Exception:  # whatever it is, it is Pillow's to say
        return False
