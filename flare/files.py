"""Where results go: looked at before the work, and written whole after it."""

import os
from pathlib import Path

from flare.errors import ConfigInvalid


def put_file(path: Path, content: bytes) -> None:
    """Write a file, over an older one: whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_folder(folder: Path, parameter: str) -> None:
    """Raise ConfigInvalid unless a folder is, or can be made, where files can be written.

    ``parameter`` is what the user would have to change.
    """
    whole = folder.absolute()
    nearest = next(place for place in (whole, *whole.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigInvalid(
            f"{parameter}={folder}: {nearest} is no folder that can be written to; "
            "give another place"
        )
