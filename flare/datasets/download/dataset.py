"""From a list of mirrors to a dataset in its place: fetched, unpacked, counted, then named."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from flare.datasets.download.checksums import Pins
from flare.datasets.download.fetch import Archive, fetch, take_file
from flare.datasets.download.patience import Patience
from flare.datasets.download.present import Record, check_unchanged, read_record
from flare.datasets.download.sources import SIZES, Mirror, MirrorFailed
from flare.datasets.download.space import size_text
from flare.datasets.download.stages import Stage, unseen
from flare.datasets.download.unpack import Limits, unpack
from flare.datasets.download.workshop import check_dest, clear, unpacking_folder, workshop
from flare.datasets.sdobenchmark.census import Census, SplitCensus, take_census
from flare.datasets.synthetic.region import FIRST_NUMBER
from flare.errors import ArchiveInvalid, DatasetInvalid, DatasetNotFound, DownloadFailed, FlareError

log = logging.getLogger("flare")


@dataclass(frozen=True)
class Downloaded:
    """A dataset in its place. ``fresh`` tells whether this call put it there."""

    folder: Path
    record: Record
    census: Census
    fresh: bool
    archive: Path | None

    def lines(self) -> list[str]:
        """Say where it is, what it is, and what to do with it."""
        record = self.record
        came = "from" if self.fresh else "was here already and is unchanged; it came from"
        told = [
            f"{self.folder}: {record.name} {came} {record.source}",
            f"archive of {size_text(record.bytes)}, SHA-256 {record.sha256}",
        ]
        if self.archive is not None:
            told.append(
                f"the archive is kept as {self.archive}; pass it as source= to use it again"
            )
        if record.synthetic:
            told.append("its regions have the numbers of synthetic ones, so it is called SYNTHETIC")
        elif record.name == "sdobenchmark-full" and not self.census.matches_published:
            told.append(
                "CAUTION: what=full, but samples, regions or classes are not the published ones "
                "(first table above)"
            )
        return [*told, f"next: mlflow run . -e pack -P data_dir={self.folder}"]


@dataclass(frozen=True)
class Demand:
    """What is wanted, and where.

    Parameters
    ----------
    what
        ``full`` or ``example``.
    dest
        The folder to be made.
    mirrors
        Where to look, in this order.
    sha256
        What the archive must have; empty if that is not known.
    keep_archive
        Whether a downloaded archive stays when the dataset is there.
    processes
        How many read images; by default one per core.
    """

    what: str
    dest: Path
    mirrors: Sequence[Mirror]
    sha256: str = ""
    keep_archive: bool = False
    processes: int | None = None
    patience: Patience = field(default_factory=Patience)
    stage: Stage = unseen
    limits: Limits = field(default_factory=Limits)

    @property
    def name(self) -> str:
        """What the dataset is called from now on."""
        return f"sdobenchmark-{self.what}"


def download(demand: Demand) -> Downloaded:
    """Put a dataset in its place, or verify the one that is there.

    Everything happens in a hidden folder beside ``dest``, which keeps what has arrived when it is
    interrupted; ``dest`` appears when the dataset is whole.

    Raises
    ------
    DatasetInvalid
        ``dest`` holds something else, or has changed since; or the only place there is to get it
        from gave an archive that cannot be trusted (ArchiveInvalid) or read.
    DownloadFailed
        None of several places gave it; each is named with its reason.
    DiskTooSmall
        There is no room for it.
    """
    check_dest(demand.dest)
    record = read_record(demand.dest, demand.name, sha256=demand.sha256)
    if record is not None:
        return _verify(demand, record)
    with workshop(demand.dest) as folder:
        failures: list[tuple[Mirror, Exception]] = []
        for mirror in demand.mirrors:
            log.info("%s from %s", demand.name, mirror.address)
            try:
                return _obtain(demand, mirror, folder)
            except (MirrorFailed, DatasetInvalid, DatasetNotFound) as error:
                failures.append((mirror, error))
                if len(demand.mirrors) > len(failures):
                    log.info("%s: %s; trying the next place", mirror.address, error)
        raise _failed(demand, folder, failures)


def _verify(demand: Demand, record: Record) -> Downloaded:
    """Count what is in place already, and compare its fingerprint with the record."""
    log.info("%s holds %s already: verifying it", demand.dest, demand.name)
    census = _count(demand, demand.dest)
    check_unchanged(demand.dest, record, census.fingerprint)
    return Downloaded(demand.dest, record, census, fresh=False, archive=None)


def _obtain(demand: Demand, mirror: Mirror, folder: Path) -> Downloaded:
    """Make the dataset from one mirror."""
    pins = Pins(demand.dest.absolute().parent / "checksums.json")
    if mirror.file is not None:
        archive = take_file(mirror.file, sha256=demand.sha256)
    else:
        archive = fetch(
            mirror,
            folder,
            expected=SIZES[demand.what] if mirror.published else None,
            sha256=demand.sha256,
            pins=pins,
            patience=demand.patience,
            stage=demand.stage,
        )
    with unpacking_folder(folder) as unpacked:
        _unpack(demand, archive, unpacked)
        record, census = _describe(demand, archive, unpacked)
        if not archive.kept:  # not before: it would stand against the repair of one without use
            pins.put(mirror.address, archive.sha256, archive.bytes)
        unpacked.replace(demand.dest)
    keep = archive.path if demand.keep_archive and not archive.kept else None
    clear(folder, keep=keep)
    return Downloaded(demand.dest, record, census, fresh=True, archive=keep)


def _unpack(demand: Demand, archive: Archive, folder: Path) -> None:
    began = time.monotonic()
    try:
        with demand.stage("unpack", unit="files") as report:
            done = unpack(archive.path, folder, report=report, limits=demand.limits)
    except ArchiveInvalid as error:
        end = _end_of(archive, keep=False)
        raise ArchiveInvalid(f"this archive cannot be trusted: {error}{end}") from error
    except DatasetInvalid as error:
        raise DatasetInvalid(f"{error}{_end_of(archive, keep=demand.keep_archive)}") from error
    log.info(
        "unpacked %d files, %s, in %.0f s; files that no dataset needs, left out: %d",
        done.files,
        size_text(done.n_bytes),
        time.monotonic() - began,
        done.ignored,
    )


def _end_of(archive: Archive, *, keep: bool) -> str:
    """Delete an archive without use, unless it is to be kept or the user's; return what to say.

    One that stays is what the next run takes, whatever the server has by then.
    """
    if archive.kept:
        return ""
    if keep:
        return f"; the archive is kept as {archive.path} (delete it to ask the server again)"
    archive.path.unlink()
    return "; it is deleted"


def _describe(demand: Demand, archive: Archive, folder: Path) -> tuple[Record, Census]:
    """Count what was unpacked, and write dataset.json last."""
    path = folder / "dataset.json"
    # Its name first, for whoever asks for it while counting.
    path.write_text(json.dumps({"name": demand.name, "synthetic": False}), encoding="utf-8")
    try:
        census = _count(demand, folder)
    except (DatasetInvalid, DatasetNotFound) as error:
        told = str(error).replace(f"{folder}/", "").replace(str(folder), "it")
        end = _end_of(archive, keep=True)
        raise DatasetInvalid(f"what it holds cannot be read: {told}{end}") from error
    made = any(_is_made_up(split) for split in census.splits.values())
    census = replace(census, synthetic=made)
    record = Record(
        name=demand.name,
        synthetic=made,
        source=archive.source,
        sha256=archive.sha256,
        bytes=archive.bytes,
        downloaded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=census.fingerprint,
        census=census.as_dict(),
    )
    path.write_text(json.dumps(record.as_dict(), indent=1) + "\n", encoding="utf-8")
    return record, census


def _is_made_up(split: SplitCensus) -> bool:
    """Tell whether a split has regions that only this project's generator numbers so high."""
    return bool((split.table["active_region"] >= min(FIRST_NUMBER.values())).any())


def _count(demand: Demand, folder: Path) -> Census:
    with demand.stage("count", unit="samples") as report:
        return take_census(folder, processes=demand.processes, progress=report)


def _failed(
    demand: Demand, folder: Path, failures: Sequence[tuple[Mirror, Exception]]
) -> FlareError:
    """Return the error that names every place with its reason."""
    told = "; ".join(f"{mirror.address}: {error}" for mirror, error in failures)
    kept = any(path.suffix == ".partial" for path in folder.iterdir())
    (_, error), *others = failures
    if not others and isinstance(error, FlareError):
        return type(error)(f"{told}; give another source")
    again = "run it again to go on from what has arrived" if kept else "try again later"
    return DownloadFailed(
        f"no {demand.name}: {told}; {again}, or pass -P source=FILE with an archive from elsewhere"
    )
