"""Unpack an archive that may be hostile: only a dataset's files, and only within bounds.

An archive is read twice. The first pass judges every name and size before anything is written;
the second one writes. Permissions, owners and times in the archive are ignored. The standard
library's filters for tar archives do not know zip archives, nor which files a dataset has.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flare.datasets.download.archives import Member, damage_as_archive_invalid, members_of
from flare.datasets.download.transfer import INSTEAD, Report
from flare.datasets.sdobenchmark.labels import ROOT_TABLES, SPLITS
from flare.errors import ArchiveInvalid, DatasetInvalid
from flare.files import require_space, size_text

SUFFIXES = (".csv", ".jpg", ".jpeg", ".png", ".txt")

_CHUNK = 2**18
_BLOCK = 4096  # bytes in which a file system stores files

#: A name that could lead out of a folder on some system: it is absolute, climbs with ``..``, or has
#: a drive letter, a backslash or a character that controls a terminal.
_ELSEWHERE = re.compile(r"/|[A-Za-z]:|(.*/)?\.\.(/|\Z)|.*[\\\x00-\x1f\x7f]", re.DOTALL)
_PART = re.compile(r"[\w .,+()@=-]{1,255}", re.ASCII)  # of a path that every file system takes
_MAX_DEPTH = 8


@dataclass(frozen=True)
class Limits:
    """Bounds far above an honest archive of SDOBenchmark (370,000 files, 4.1 GB).

    ``total_bytes`` and ``file_bytes`` are unpacked. ``ratio`` is unpacked to packed bytes, and
    counts above ``ratio_from`` bytes: JPEGs hardly compress, short tables do.
    """

    members: int = 1_000_000
    total_bytes: int = 20_000_000_000
    file_bytes: int = 64 * 2**20
    ratio: int = 100
    ratio_from: int = 32 * 2**20

    def unpacked(self, packed_bytes: int) -> int:
        """Return the most bytes that so many packed ones may become."""
        return min(self.total_bytes, max(self.ratio_from, packed_bytes * self.ratio))


@dataclass(frozen=True)
class Unpacked:
    """The number and size of the files written; ``ignored`` files are not part of a dataset."""

    files: int
    n_bytes: int
    ignored: int


@dataclass(frozen=True)
class _Target:
    """Where a member goes: ``path`` is below ``root``, the dataset's folder in the archive."""

    name: str
    root: PurePosixPath
    path: PurePosixPath
    size: int

    @property
    def in_split(self) -> bool:
        return len(self.path.parts) > 1


def unpack(
    archive: Path, folder: Path, *, report: Report, limits: Limits | None = None
) -> Unpacked:
    """Write the files of ``training`` and ``test``, and tables next to these, to an empty folder.

    After an error the folder must be deleted.

    ``archive`` is a zip, tar or tar.gz; ``report`` gets the number of files written, and of all.

    Raises
    ------
    ArchiveInvalid
        The archive is damaged, cut off or encrypted; it holds a link, a device, a name that leads
        elsewhere or occurs twice; or it exceeds the limits.
    DatasetInvalid
        It is intact, but has no file in ``training`` or ``test``.
    DiskTooSmall
        There is no room for its files.
    """
    bounds = limits or Limits()
    max_bytes = bounds.unpacked(archive.stat().st_size)
    with damage_as_archive_invalid():
        targets, n_files = _targets(members_of(archive, max_bytes), bounds, max_bytes)
        if not targets:
            raise DatasetInvalid("it holds no table or image in a folder training or test")
        disk_bytes = sum(-(-target.size // _BLOCK) * _BLOCK for target in targets.values())
        require_space(folder, disk_bytes, "unpacking", instead=INSTEAD)
        report(0, len(targets))
        done = 0
        for number, member in enumerate(members_of(archive, max_bytes)):
            if number in targets:
                _write(member, folder / targets[number].path)
                done += 1
                report(done, len(targets))
    n_bytes = sum(target.size for target in targets.values())
    return Unpacked(done, n_bytes, ignored=n_files - done)


def _write(member: Member, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    source = member.open()
    if source is None:
        raise ArchiveInvalid(f"its member {member.name!r} has no content")
    with source, file.open("xb") as target:
        shutil.copyfileobj(source, target, _CHUNK)
        size = target.tell()
    if size != member.size:
        raise ArchiveInvalid(f"its member {member.name!r} is damaged or cut off ({size} bytes)")


def _targets(
    members: Iterable[Member], limits: Limits, max_bytes: int
) -> tuple[dict[int, _Target], int]:
    """Return where members go, by their number in the archive, and how many files it has.

    Raises ArchiveInvalid: a member is not safe.
    """
    targets: dict[int, _Target] = {}
    n_files = n_bytes = 0
    for number, member in enumerate(members):
        if number >= limits.members:
            raise ArchiveInvalid(f"it has more than {limits.members} members")
        n_files += member.kind == "file"
        place = _place_of(member)
        if place is None or member.kind != "file":
            continue
        targets[number] = _Target(member.name, *place, member.size)
        n_bytes += member.size
        if not 0 <= member.size <= limits.file_bytes:
            raise ArchiveInvalid(
                f"its member {member.name!r} claims {member.size} bytes, and a file of "
                f"SDOBenchmark has at most {size_text(limits.file_bytes)}"
            )
        if n_bytes > max_bytes:
            raise ArchiveInvalid(
                f"it unpacks to more than {size_text(max_bytes)}: a decompression bomb, or not "
                "SDOBenchmark"
            )
    roots = {target.root for target in targets.values() if target.in_split}
    chosen = {
        number: target
        for number, target in targets.items()
        if target.in_split or target.root in roots
    }
    _refuse_overwriting(chosen.values())
    return chosen, n_files


def _place_of(member: Member) -> tuple[PurePosixPath, PurePosixPath] | None:
    """Return the folder of the dataset within an archive, and a member's path below it, or None.

    None is for other types of files and for everything outside ``training`` and ``test``, wherever
    these are in the archive (``SDOBenchmark-data-full/training/...``), except a table's name that
    some copies have next to these; of folders of these names within one another the innermost
    counts.

    Raises ArchiveInvalid: the name is not safe, or it is that of a link or device.
    """
    name = member.name
    if _ELSEWHERE.match(name):
        raise ArchiveInvalid(f"its member {name!r} would be written outside the folder")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    cuts = [index for index, part in enumerate(parts[:-1]) if part in SPLITS]
    if not cuts and parts and parts[-1] in ROOT_TABLES:
        cuts = [len(parts) - 1]
    if member.kind == "link or device" and (cuts or parts[-1:] in ([split] for split in SPLITS)):
        raise ArchiveInvalid(f"its member {name!r} is a link or device, not a file")
    if not cuts or any(part.startswith((".", "__MACOSX")) for part in parts):
        return None
    root, path = parts[: cuts[-1]], parts[cuts[-1] :]
    if PurePosixPath(path[-1]).suffix.lower() not in SUFFIXES:
        return None
    if len(path) > _MAX_DEPTH or not all(map(_PART.fullmatch, path)):
        raise ArchiveInvalid(f"its member {name!r} has a name that no file of SDOBenchmark has")
    return PurePosixPath(*root), PurePosixPath(*path)


def _refuse_overwriting(targets: Iterable[_Target]) -> None:
    """Raise ArchiveInvalid for a second file of one path, or a file where a folder is needed.

    Paths that differ in case alone are one path on some file systems.
    """
    files: set[str] = set()
    folders: set[str] = set()
    for target in targets:
        key = str(target.path).lower()
        above = [str(parent).lower() for parent in target.path.parents[:-1]]
        if key in files or key in folders or files.intersection(above):
            raise ArchiveInvalid(f"its member {target.name!r} would overwrite another one")
        files.add(key)
        folders.update(above)
