"""Get one archive, from a mirror or from this machine, with its checksum compared."""

import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pooch

from flare.datasets.download.checksums import Pin, Pins, digests_of
from flare.datasets.download.partial import Partial
from flare.datasets.download.patience import Patience
from flare.datasets.download.sources import Mirror, MirrorFailed, Size
from flare.datasets.download.space import require_space, size_text
from flare.datasets.download.stages import Stage
from flare.datasets.download.transfer import Transfer
from flare.errors import DatasetInvalid

log = logging.getLogger("flare")


@dataclass(frozen=True)
class Archive:
    """A whole archive: where it lies, where it came from, and what it is.

    ``kept`` says that it is the user's own file, which is never deleted.
    """

    path: Path
    source: str
    sha256: str
    bytes: int
    kept: bool


def take_file(file: Path, *, sha256: str) -> Archive:
    """Take an archive of this machine.

    Raises
    ------
    DatasetInvalid
        Its SHA-256 is not the wanted one; the file stays as it is.
    """
    found = digests_of(file).sha256
    if sha256 and found != sha256:
        raise DatasetInvalid(
            f"it has the SHA-256 {found} and not {sha256}: it is another file, or damaged"
        )
    return Archive(file, str(file.absolute()), found, file.stat().st_size, kept=True)


def fetch(
    mirror: Mirror,
    folder: Path,
    *,
    expected: Size | None,
    sha256: str,
    pins: Pins,
    patience: Patience,
    stage: Stage,
) -> Archive:
    """Transfer the archive of an address into a folder, or take the whole one that is there.

    Parameters
    ----------
    expected
        About how big it is, where that is known beforehand.
    sha256
        What it must be; if empty, what it was the first time, if there was one.

    Raises
    ------
    MirrorFailed
        The address did not give it, or gave other bytes than those; these are deleted.
    DiskTooSmall
        There is no room for it and for what is in it.
    """
    path = folder / archive_name(mirror.address)
    partial = Partial(path.with_name(f"{path.name}.partial"))
    pin = pins.get(mirror.address)
    wanted = sha256 or (pin.sha256 if pin else "")
    if expected is not None and not path.exists():
        left = max(0, expected.archive - partial.size)
        require_space(folder, left + expected.unpacked, "the download with its unpacked files")

    def require_room(total: int | None, here: int) -> None:
        if total is None:
            require_space(folder, 0, "the rest of the download")
        else:  # images do not compress: what is in it is about as big
            require_space(folder, 2 * total - here, "the archive with its unpacked files")

    with stage("download", unit="B") as report:
        transfer = Transfer(partial, patience, report, require_room, login=mirror.login)
        began = time.monotonic()
        _retrieve(mirror.address, path, wanted, transfer, pin=None if sha256 else pin)
    archive = Archive(
        path,
        mirror.address,
        transfer.sha256 or digests_of(path).sha256,
        path.stat().st_size,
        kept=False,
    )
    if transfer.sha256:
        took = time.monotonic() - began
        log.info("got %s in %.0f s, SHA-256 %s", size_text(archive.bytes), took, archive.sha256)
    else:
        log.info("%s of it are here already, SHA-256 %s", size_text(archive.bytes), archive.sha256)
    return archive


def _retrieve(url: str, path: Path, wanted: str, transfer: Transfer, *, pin: Pin | None) -> None:
    """Let pooch decide whether to transfer, compare the SHA-256, and put the file in place."""
    pooch.get_logger().setLevel("WARNING")  # its advice is about its own arguments
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{wanted}" if wanted else None,
            fname=path.name,
            path=path.parent,
            downloader=transfer,
        )
    except ValueError as error:  # what pooch raises for another checksum, after deleting the file
        if not transfer.sha256:
            raise
        raise MirrorFailed(_other_bytes(transfer.sha256, wanted, pin)) from error


def _other_bytes(found: str, wanted: str, pin: Pin | None) -> str:
    if pin is None:
        return f"it sent a file of SHA-256 {found} and not {wanted}, which is deleted"
    return (
        f"it sent other bytes (SHA-256 {found}) than on {pin.first_seen} ({wanted}), which are "
        f"deleted; if the new ones are right, pass -P sha256={found}"
    )


def archive_name(url: str) -> str:
    """Return the file name under which an address's archive is kept, the same on every run."""
    key = hashlib.sha256(url.encode()).hexdigest()[:12]
    return f"{urlsplit(url).hostname or 'archive'}-{key}"
