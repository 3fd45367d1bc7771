"""The hidden folder beside a dataset's place, where it is downloaded and unpacked."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flare.errors import ConfigInvalid
from flare.files import locked

_LOCK, _UNPACKED = "lock", "unpacked.partial"


@contextmanager
def workshop(dest: Path) -> Iterator[Path]:
    """Give the folder in which a dataset is made, to one process at a time.

    It lies on the disk of ``dest`` and has the same name on every run, so that a transfer goes on
    where the last run left it.

    Raises
    ------
    DatasetInvalid
        Another download to the same place is running.
    """
    folder = dest.absolute().with_name(f".{dest.name}.download")
    folder.mkdir(parents=True, exist_ok=True)
    taken = f"another download to {dest} is running; wait for it, or choose another dest"
    with locked(folder / _LOCK, busy=taken):
        try:
            yield folder
        finally:
            if [path.name for path in folder.glob("*")] == [_LOCK]:
                shutil.rmtree(folder)


@contextmanager
def unpacking_folder(workshop_folder: Path) -> Iterator[Path]:
    """Give an empty folder to unpack into; whatever is still in it afterwards is deleted."""
    folder = workshop_folder / _UNPACKED
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear(workshop_folder: Path, *, keep: Path | None) -> None:
    """Delete what a finished download leaves, but for a file that is to be kept."""
    if keep is None:
        shutil.rmtree(workshop_folder)
        return
    for path in workshop_folder.iterdir():
        if path != keep:
            path.unlink()


def check_dest(dest: Path) -> None:
    """Raise ConfigInvalid where a dataset cannot take its name by a rename at the end."""
    if not dest.name or dest.name == "..":
        raise ConfigInvalid(f"dest={dest} has no name of its own; write dest=data/raw or the like")
    if dest.is_mount() or dest.is_symlink():
        raise ConfigInvalid(
            f"dest={dest} is the top of a disk or a link; choose a new folder inside of it, or "
            "name the place it leads to"
        )
