"""Where results may go: looked at before the work, so that no hours are lost to a mistyped name."""

import os
from pathlib import Path

from flare.errors import ConfigInvalid


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
