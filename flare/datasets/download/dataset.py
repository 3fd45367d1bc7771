"""From a list of mirrors to a dataset in its folder: download, unpack, count, then rename."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from flare.config import DownloadConfig
from flare.datasets.download.sources import Checksums, Mirror
from flare.datasets.download.transfer import INSTEAD, MirrorFailed, Transfer
from flare.datasets.download.unpack import unpack
from flare.datasets.sdobenchmark.census import Census, take_census
from flare.datasets.synthetic.region import FIRST_NUMBER
from flare.errors import (
    ArchiveInvalid,
    ConfigInvalid,
    DatasetInvalid,
    DatasetNotFound,
    DownloadFailed,
    FlareError,
)
from flare.files import digest_of_file, locked, require_space, size_text
from flare.progress import counter

log = logging.getLogger("flare")

#: Approximate bytes of an archive, and of its files on disk. 9,222 samples of about 430 kB are
#: 4.1 GB that do not compress; in 370,000 files of whole blocks of 4 KiB they take a fifth more.
#: The example's few hundred samples are a guess.
_SIZES = {"full": (4_100_000_000, 4_900_000_000), "example": (200_000_000, 240_000_000)}

_UNPACKED = "unpacked.partial"  # in the work folder


class Record(BaseModel, frozen=True):
    """Where a dataset came from, and what it was when it came: the content of ``dataset.json``.

    ``sha256`` and ``bytes`` are the archive's; ``fingerprint`` is that of its labels and images.
    """

    name: str
    synthetic: bool
    source: str
    sha256: str
    bytes: int
    downloaded_at: str
    fingerprint: str
    census: dict[str, Any]


@dataclass(frozen=True)
class Downloaded:
    """A dataset in its folder. ``fresh`` says whether this call made it."""

    folder: Path
    record: Record
    census: Census
    fresh: bool
    archive: Path | None


def download(config: DownloadConfig, mirrors: Sequence[Mirror]) -> Downloaded:
    """Download a dataset to its folder, or verify the one that is there.

    The work is done in a hidden folder next to ``dest``, in which the received bytes stay after
    an interruption; ``dest`` appears when the dataset is complete.

    Raises
    ------
    DatasetInvalid
        ``dest`` holds something else, or has changed since; or the only mirror sent an archive
        that is unsafe (ArchiveInvalid) or cannot be read.
    DownloadFailed
        None of several mirrors delivered it; each is named with its reason.
    DiskTooSmall
        There is no room for it.
    """
    dest = config.dest
    if not dest.name or dest.name == "..":
        raise ConfigInvalid(f"dest={dest} is not the name of a folder; write dest=data/raw")
    if dest.is_mount() or dest.is_symlink():
        raise ConfigInvalid(f"dest={dest} is a mount point or a link; choose a new folder in it")
    if dest.exists() and not (dest.is_dir() and not any(dest.iterdir())):
        return _verify(config)
    with _work_folder(dest) as folder:
        failures: list[str] = []
        for mirror in mirrors:
            log.info("%s from %s", _name(config), mirror.address)
            try:
                return _obtain(config, mirror, folder)
            except (MirrorFailed, DatasetInvalid, DatasetNotFound) as error:
                failures.append(f"{mirror.address}: {error}")
                if len(mirrors) == 1 and isinstance(error, FlareError):
                    raise type(error)(f"{failures[0]}; give another source") from error
                if len(mirrors) > len(failures):
                    log.info("%s; trying the next mirror", failures[-1])
        again = "run it again to resume" if any(folder.glob("*.partial")) else "try again later"
        raise DownloadFailed(
            f"no {_name(config)}: {'; '.join(failures)}; {again}, or pass -P source=FILE with an "
            "archive from elsewhere"
        )


def _name(config: DownloadConfig) -> str:
    return f"sdobenchmark-{config.what}"


def _verify(config: DownloadConfig) -> Downloaded:
    """Compare the dataset in ``dest`` with the record of its download."""
    dest, name, sha256 = config.dest, _name(config), config.sha256
    try:
        record = Record.model_validate_json((dest / "dataset.json").read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetInvalid(
            f"{dest} exists and was not downloaded; choose another dest, or move it away"
        ) from error
    if record.name != name:
        raise DatasetInvalid(f"{dest} holds {record.name}, not {name}; choose another dest")
    if sha256 and sha256 != record.sha256:
        raise DatasetInvalid(
            f"{dest} was made from an archive of SHA-256 {record.sha256} and not {sha256}; choose "
            "another dest, or delete the folder to download it again"
        )
    log.info("%s already holds %s: verifying it", dest, name)
    census = _count(dest, config)
    if census.fingerprint != record.fingerprint:
        raise DatasetInvalid(
            f"{dest} has changed since it was downloaded: its fingerprint is {census.fingerprint} "
            f"and was {record.fingerprint}; delete the folder to download it again"
        )
    return Downloaded(dest, record, census, fresh=False, archive=None)


@contextmanager
def _work_folder(dest: Path) -> Iterator[Path]:
    """Yield the hidden folder in which a dataset is made, by one process at a time."""
    folder = dest.absolute().with_name(f".{dest.name}.download")
    folder.parent.mkdir(parents=True, exist_ok=True)
    busy = f"another download to {dest} is running; wait for its end"
    with locked(folder.with_name(f"{folder.name}.lock"), busy=busy):
        folder.mkdir(exist_ok=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder / _UNPACKED, ignore_errors=True)
            if not any(folder.iterdir()):
                folder.rmdir()


def _obtain(config: DownloadConfig, mirror: Mirror, folder: Path) -> Downloaded:
    """Make the dataset from one mirror; an archive that the user passed as a file stays."""
    checksums = Checksums(config.dest.absolute().parent / "checksums.json")
    # Before the transfer: a damaged list is an error at once.
    first = None if config.sha256 or mirror.file else checksums.get(mirror.address)
    archive = mirror.file or folder / archive_name(mirror.address)
    if not archive.exists():
        _transfer(config, mirror, archive)
    sha256 = _checked_sha256(config, mirror, archive, first)
    unpacked = folder / _UNPACKED
    shutil.rmtree(unpacked, ignore_errors=True)  # of a run that was killed
    unpacked.mkdir()
    n_bytes = archive.stat().st_size
    census = _unpack_and_count(config, mirror, archive, unpacked)
    record = Record(
        name=_name(config),
        synthetic=census.synthetic,
        source=mirror.address,
        sha256=sha256,
        bytes=n_bytes,
        downloaded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=census.fingerprint,
        census=census.as_dict(),
    )
    text = json.dumps(record.model_dump(), indent=1) + "\n"
    (unpacked / "dataset.json").write_text(text, encoding="utf-8")
    if mirror.file is None:  # not before: an unusable archive may be repaired on the server
        checksums.put(mirror.address, sha256, n_bytes)
    unpacked.replace(config.dest)
    stays = archive if mirror.file is None and config.keep_archive else None
    for path in folder.iterdir():
        if path != stays:
            path.unlink()
    return Downloaded(config.dest, record, census, fresh=True, archive=stays)


def archive_name(url: str) -> str:
    """Return the file name of an address's archive, the same in every run."""
    key = hashlib.sha256(url.encode()).hexdigest()[:12]
    return f"{urlsplit(url).hostname or 'archive'}-{key}"


def _transfer(config: DownloadConfig, mirror: Mirror, path: Path) -> None:
    transfer = Transfer(mirror.address, path, config.attempts, config.timeout, mirror.login)
    if mirror.published:
        packed, unpacked = _SIZES[config.what]
        missing = max(0, packed - transfer.received) + unpacked
        what = "the download with its unpacked files"
        require_space(path.parent, missing, what, instead=INSTEAD)
    with counter("download", unit="B") as transfer.report:
        transfer.run()


def _checked_sha256(
    config: DownloadConfig, mirror: Mirror, archive: Path, first: dict[str, Any] | None
) -> str:
    """Return the SHA-256 of an archive, if it is that of the user or of the ``first`` download."""
    actual = digest_of_file(archive)
    log.info("%s, SHA-256 %s", size_text(archive.stat().st_size), actual)
    expected = first["sha256"] if first else config.sha256
    if expected in ("", actual):
        return actual
    if mirror.file:
        raise DatasetInvalid(
            f"it has the SHA-256 {actual} and not {expected}: it is another file, or damaged"
        )
    archive.unlink()
    if first is None:
        raise MirrorFailed(f"it sent a file of SHA-256 {actual} and not {expected}; it is deleted")
    raise MirrorFailed(
        f"it sent other bytes (SHA-256 {actual}) than on {first['first_seen']} ({expected}); they "
        f"are deleted; if the new ones are right, pass -P sha256={actual}"
    )


def _unpack_and_count(
    config: DownloadConfig, mirror: Mirror, archive: Path, folder: Path
) -> Census:
    try:
        began = time.monotonic()
        with counter("unpack", unit="files") as report:
            done = unpack(archive, folder, report=report)
        size, seconds = size_text(done.n_bytes), time.monotonic() - began
        log.info(
            "unpacked %d files, %s, in %.0f s; other files left out: %d",
            done.files,
            size,
            seconds,
            done.ignored,
        )
    except DatasetInvalid as error:
        what = "this archive is unsafe or damaged: " if isinstance(error, ArchiveInvalid) else ""
        end = _fate_of(archive, mirror, keep=config.keep_archive)
        raise type(error)(f"{what}{error}{end}") from error
    try:
        identity = {"name": _name(config), "synthetic": False}  # which the census reads
        (folder / "dataset.json").write_text(json.dumps(identity), encoding="utf-8")
        census = _count(folder, config)
    except (DatasetInvalid, DatasetNotFound) as error:
        reason = str(error).replace(f"{folder}/", "").replace(str(folder), "it")
        end = _fate_of(archive, mirror, keep=True)  # its tables may be repaired by hand
        raise DatasetInvalid(f"what it holds cannot be read: {reason}{end}") from error
    # Only this project's generator gives regions such high numbers.
    regions = [split.table["active_region"].max() for split in census.splits.values()]
    return replace(census, synthetic=bool(max(regions) >= min(FIRST_NUMBER.values())))


def _fate_of(archive: Path, mirror: Mirror, *, keep: bool) -> str:
    """Delete an unusable archive unless it should stay or is the user's; return what to report."""
    if mirror.file:
        return ""
    if keep:
        return f"; the archive stays as {archive} (delete it to ask the server again)"
    archive.unlink()
    return "; it is deleted"


def _count(folder: Path, config: DownloadConfig) -> Census:
    with counter("count") as report:
        return take_census(folder, processes=config.processes or None, progress=report)
