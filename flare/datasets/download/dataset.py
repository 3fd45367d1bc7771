"""From a list of mirrors to a dataset in its folder: download, unpack, count, then rename."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from flare.datasets.download.records import Checksums, Record, read_record
from flare.datasets.download.sources import SIZES, Mirror, MirrorFailed
from flare.datasets.download.transfer import INSTEAD, Transfer
from flare.datasets.download.unpack import Limits, unpack
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

_UNPACKED = "unpacked.partial"  # in the work folder


@dataclass(frozen=True)
class DownloadRequest:
    """What to download, and where to.

    ``mirrors`` are tried in their order. ``sha256`` is what the archive must have, empty if
    unknown. ``attempts`` and ``timeout`` are the failures in a row, and the seconds without a byte,
    after which a mirror is given up.
    """

    what: str
    dest: Path
    mirrors: Sequence[Mirror]
    sha256: str = ""
    keep_archive: bool = False
    attempts: int = 6
    timeout: float = 60.0
    processes: int | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return f"sdobenchmark-{self.what}"


@dataclass(frozen=True)
class Downloaded:
    """A dataset in its folder. ``fresh`` says whether this call made it."""

    folder: Path
    record: Record
    census: Census
    fresh: bool
    archive: Path | None


@dataclass(frozen=True)
class _Archive:
    """A whole archive; one that the user passed as a file is never deleted (``own`` is False)."""

    path: Path
    sha256: str
    own: bool


def download(request: DownloadRequest) -> Downloaded:
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
    dest = request.dest
    if not dest.name or dest.name == "..":
        raise ConfigInvalid(f"dest={dest} is not the name of a folder; write dest=data/raw")
    if dest.is_mount() or dest.is_symlink():
        raise ConfigInvalid(f"dest={dest} is a mount point or a link; choose a new folder in it")
    record = read_record(dest, request.name, sha256=request.sha256)
    if record is not None:
        return _verify(request, record)
    with _work_folder(dest) as folder:
        failures: list[tuple[Mirror, Exception]] = []
        for mirror in request.mirrors:
            log.info("%s from %s", request.name, mirror.address)
            try:
                return _obtain(request, mirror, folder)
            except (MirrorFailed, DatasetInvalid, DatasetNotFound) as error:
                failures.append((mirror, error))
                if len(request.mirrors) > len(failures):
                    log.info("%s: %s; trying the next mirror", mirror.address, error)
        raise _failure(request, folder, failures)


def _verify(request: DownloadRequest, record: Record) -> Downloaded:
    log.info("%s already holds %s: verifying it", request.dest, request.name)
    census = _count(request.dest, request.processes)
    if census.fingerprint != record.fingerprint:
        raise DatasetInvalid(
            f"{request.dest} has changed since it was downloaded: its fingerprint is "
            f"{census.fingerprint} and was {record.fingerprint}; delete the folder to download it "
            "again"
        )
    return Downloaded(request.dest, record, census, fresh=False, archive=None)


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


def _obtain(request: DownloadRequest, mirror: Mirror, folder: Path) -> Downloaded:
    """Make the dataset from one mirror."""
    checksums = Checksums(request.dest.absolute().parent / "checksums.json")
    archive = _take_file(mirror.file, request.sha256) if mirror.file else None
    archive = archive or _fetch(request, mirror, folder, checksums)
    unpacked = folder / _UNPACKED
    shutil.rmtree(unpacked, ignore_errors=True)  # of a run that was killed
    unpacked.mkdir()
    _unpack(request, archive, unpacked)
    record, census = _describe(request, mirror, archive, unpacked)
    if archive.own:  # not before: an unusable archive may be repaired on the server
        checksums.put(mirror.address, archive.sha256, record.bytes)
    unpacked.replace(request.dest)
    stays = archive.path if archive.own and request.keep_archive else None
    for path in folder.iterdir():
        if path != stays:
            path.unlink()
    return Downloaded(request.dest, record, census, fresh=True, archive=stays)


def _take_file(file: Path, sha256: str) -> _Archive:
    actual = digest_of_file(file)
    if sha256 and actual != sha256:
        raise DatasetInvalid(
            f"it has the SHA-256 {actual} and not {sha256}: it is another file, or damaged"
        )
    return _Archive(file, actual, own=False)


def archive_name(url: str) -> str:
    """Return the file name of an address's archive, the same in every run."""
    key = hashlib.sha256(url.encode()).hexdigest()[:12]
    return f"{urlsplit(url).hostname or 'archive'}-{key}"


def _fetch(
    request: DownloadRequest, mirror: Mirror, folder: Path, checksums: Checksums
) -> _Archive:
    """Transfer the archive of an address, or take the whole one that an earlier run left."""
    path = folder / archive_name(mirror.address)
    first = None if request.sha256 else checksums.get(mirror.address)
    expected = request.sha256 or (first["sha256"] if first else "")
    if not path.exists():
        transfer = Transfer(
            mirror.address, path, request.attempts, request.timeout, login=mirror.login
        )
        if mirror.published:
            size = SIZES[request.what]
            missing = max(0, size.archive - transfer.received) + size.unpacked
            what = "the download with its unpacked files"
            require_space(folder, missing, what, instead=INSTEAD)
        began = time.monotonic()
        with counter("download", unit="B") as transfer.report:
            transfer.run()
        seconds = time.monotonic() - began
        log.info("received %s in %.0f s", size_text(path.stat().st_size), seconds)
    actual = digest_of_file(path)
    log.info("%s, SHA-256 %s", size_text(path.stat().st_size), actual)
    if expected in ("", actual):
        return _Archive(path, actual, own=True)
    path.unlink()
    if first is None:
        raise MirrorFailed(f"it sent a file of SHA-256 {actual} and not {expected}; it is deleted")
    raise MirrorFailed(
        f"it sent other bytes (SHA-256 {actual}) than on {first['first_seen']} ({expected}); they "
        f"are deleted; if the new ones are right, pass -P sha256={actual}"
    )


def _unpack(request: DownloadRequest, archive: _Archive, folder: Path) -> None:
    began = time.monotonic()
    try:
        with counter("unpack", unit="files") as report:
            done = unpack(archive.path, folder, report=report, limits=request.limits)
    except ArchiveInvalid as error:
        end = _fate_of(archive, keep=False)
        raise ArchiveInvalid(f"this archive is unsafe or damaged: {error}{end}") from error
    except DatasetInvalid as error:
        raise DatasetInvalid(f"{error}{_fate_of(archive, keep=request.keep_archive)}") from error
    log.info(
        "unpacked %d files, %s, in %.0f s; other files left out: %d",
        done.files,
        size_text(done.n_bytes),
        time.monotonic() - began,
        done.ignored,
    )


def _fate_of(archive: _Archive, *, keep: bool) -> str:
    """Delete an unusable archive unless it should stay or is the user's; return what to report."""
    if not archive.own:
        return ""
    if keep:
        return f"; the archive stays as {archive.path} (delete it to ask the server again)"
    archive.path.unlink()
    return "; it is deleted"


def _describe(
    request: DownloadRequest, mirror: Mirror, archive: _Archive, folder: Path
) -> tuple[Record, Census]:
    """Count what was unpacked, and write dataset.json last."""
    identity = {"name": request.name, "synthetic": False}  # which the census reads
    (folder / "dataset.json").write_text(json.dumps(identity), encoding="utf-8")
    try:
        census = _count(folder, request.processes)
    except (DatasetInvalid, DatasetNotFound) as error:
        reason = str(error).replace(f"{folder}/", "").replace(str(folder), "it")
        end = _fate_of(archive, keep=True)
        raise DatasetInvalid(f"what it holds cannot be read: {reason}{end}") from error
    regions = [split.table["active_region"].max() for split in census.splits.values()]
    # Only this project's generator gives regions such high numbers.
    census = replace(census, synthetic=bool(max(regions) >= min(FIRST_NUMBER.values())))
    record = Record(
        name=request.name,
        synthetic=census.synthetic,
        source=mirror.address,
        sha256=archive.sha256,
        bytes=archive.path.stat().st_size,
        downloaded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=census.fingerprint,
        census=census.as_dict(),
    )
    record.write(folder)
    return record, census


def _count(folder: Path, processes: int | None) -> Census:
    with counter("count") as report:
        return take_census(folder, processes=processes, progress=report)


def _failure(
    request: DownloadRequest, folder: Path, failures: Sequence[tuple[Mirror, Exception]]
) -> FlareError:
    """Return the error that names every mirror with its reason."""
    reasons = "; ".join(f"{mirror.address}: {error}" for mirror, error in failures)
    (_, error), *others = failures
    if not others and isinstance(error, FlareError):
        return type(error)(f"{reasons}; give another source")
    partial = any(path.suffix == ".partial" for path in folder.iterdir() if path.is_file())
    again = "run it again to resume" if partial else "try again later"
    return DownloadFailed(
        f"no {request.name}: {reasons}; {again}, or pass -P source=FILE with an archive from "
        "elsewhere"
    )
