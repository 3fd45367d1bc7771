"""Whether a pack may be made somewhere: nothing else lies there, and the disk has room for it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from flare.datasets.pack.storage import Storage, row_bytes
from flare.datasets.pack.unfinished import workshop_of
from flare.errors import DatasetInvalid, DiskTooSmall

_SPARE_BYTES = 64 * 2**20
_BLOCK = 512  # bytes of a block in ``st_blocks``, whatever the file system


def bulk_bytes(
    listing: Mapping[str, str], samples: int, *, storage: Storage, image_size: int
) -> int:
    """Return how many bytes a pack takes at most, but for its small files.

    Parameters
    ----------
    listing
        Of the dataset, as `fingerprint.listing` gives it.
    samples
        How many there are in its tables.
    """
    if storage == "raw":
        return samples * row_bytes(image_size)
    images = (state for name, state in listing.items() if not name.endswith((".csv", " table")))
    return sum(int(state.split()[0]) for state in images if state != "absent")


def check_destination(dest: Path, n_bytes: int, *, instead: str) -> None:
    """Raise where a pack would overwrite something else, or not fit.

    Parameters
    ----------
    n_bytes
        What the pack takes; what an interrupted run has written already is there to be used.
    instead
        What to do about a disk that is too small, beside making room.

    Raises
    ------
    DatasetInvalid
        ``dest`` holds something other than a pack.
    DiskTooSmall
        There is too little room.
    """
    if dest.exists() and not (dest / "pack.json").is_file() and any(dest.iterdir()):
        raise DatasetInvalid(f"{dest} holds something other than a pack; choose another pack_dir")
    existing = next(folder for folder in dest.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(existing).free + _on_disk(workshop_of(dest))
    if free < n_bytes + _SPARE_BYTES:
        raise DiskTooSmall(
            f"the pack takes {n_bytes / 1e9:.2f} GB and {existing} has {free / 1e9:.2f} GB free; "
            f"make room, choose another pack_dir, {instead}"
        )


def _on_disk(folder: Path) -> int:
    """Return what the files below a folder take; a file of holes takes little."""
    return sum(path.stat().st_blocks for path in folder.rglob("*") if path.is_file()) * _BLOCK
