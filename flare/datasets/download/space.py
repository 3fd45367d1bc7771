"""Whether a disk has room, asked before anything big is written."""

import shutil
from pathlib import Path

from flare.errors import DiskTooSmall

#: What is left free for everything else that writes to the disk.
SPARE_BYTES = 256 * 2**20

_BLOCK = 4096


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise DiskTooSmall unless a folder's disk takes so many bytes more, and some to spare.

    ``folder`` need not exist yet; its nearest parent that does stands for it.
    """
    existing = next(
        place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir()
    )
    free = shutil.disk_usage(existing).free
    if free < needed + SPARE_BYTES:
        raise DiskTooSmall(
            f"{purpose} takes about {size_text(needed)} and {existing} has {size_text(free)} free; "
            "make room, or choose a dest on another disk"
        )


def on_disk(n_bytes: int) -> int:
    """Return what a file takes in whole blocks of 4 KiB."""
    return -(-n_bytes // _BLOCK) * _BLOCK


def size_text(n_bytes: int) -> str:
    """Write a number of bytes as people say it, in powers of 1000."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.2f} {unit}"
    return f"{n_bytes} bytes"
