"""Unpack an archive that may be hostile: only a dataset's files, and only within bounds.

An archive is read twice. The first pass judges every name and size before anything is written;
the second one writes. Permissions, owners and times in the archive are ignored. The standard
library's filters for tar archives do not know zip archives, nor which files a dataset has.
"""

import re
import shutil
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from flare.datasets.download.archives import Member, damage_as_archive_invalid, members_of
from flare.datasets.download.transfer import INSTEAD, Report
from flare.datasets.sdobenchmark.labels import ROOT_TABLES, SPLITS
from flare.errors import ArchiveInvalid, DatasetInvalid
from flare.files import require_space, size_text

SUFFIXES = (".csv", ".jpg", ".jpeg", ".png", ".txt")

_CHUNK = 2**18
_BLOCK = 4096  # bytes in which a file system stores files

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # characters that control a terminal
_MAX_PART_BYTES, _MAX_DEPTH = 255, 8  # of a path; 255 is the limit of the usual file systems


@dataclass(frozen=True)
class Limits:
    """Bounds far above an honest archive of SDOBenchmark (370,000 files, 4.1 GB).

    ``total_bytes`` and ``file_bytes`` are unpacked. ``ratio`` is unpacked to packed bytes, and
    counts above ``ratio_from`` bytes: JPEGs hardly compress, short tables do.
    """

    members: int = 2_000_000
    files: int = 1_000_000
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
        plan = _Plan(bounds, archive.stat().st_size)
        for member in members_of(archive, max_bytes):
            plan.add(member)
        paths = plan.finish()
        if not paths:
            raise DatasetInvalid("it holds no table or image in a folder training or test")
        require_space(folder, plan.disk_bytes, "unpacking", instead=INSTEAD)
        done = Unpacked(0, 0, plan.n_files - len(paths))
        report(0, len(paths))
        for number, member in enumerate(members_of(archive, max_bytes)):
            if number in paths:
                n_bytes = _write(member, folder / paths[number])
                done = Unpacked(done.files + 1, done.n_bytes + n_bytes, done.ignored)
                report(done.files, len(paths))
    return done


def _write(member: Member, target: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = member.open()
    if source is None:
        raise ArchiveInvalid(f"its member {member.name!r} has no content")
    with source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
        size = file.tell()
    if size != member.size:
        raise ArchiveInvalid(f"its member {member.name!r} is damaged or cut off ({size} bytes)")
    return size


@dataclass
class _Plan:
    """Which members of an archive go where; adding one that is not safe raises ArchiveInvalid.

    ``tables`` are next to the folders of the splits, if ``roots`` turns out to have their folder.
    """

    limits: Limits
    packed_bytes: int
    n_members: int = 0
    n_files: int = 0
    n_bytes: int = 0
    disk_bytes: int = 0
    paths: dict[int, PurePosixPath] = field(default_factory=dict)
    tables: list[tuple[int, str, PurePosixPath, PurePosixPath]] = field(default_factory=list)
    roots: set[PurePosixPath] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def add(self, member: Member) -> None:
        number, self.n_members = self.n_members, self.n_members + 1
        if self.n_members > self.limits.members:
            raise ArchiveInvalid(f"it has more than {self.limits.members} members")
        self.n_files += member.kind == "file"
        place = place_of(member.name)
        in_split = place is not None and len(place[1].parts) > 1
        if member.kind not in ("file", "folder") and (
            in_split or PurePosixPath(member.name).name in SPLITS
        ):
            raise ArchiveInvalid(f"its member {member.name!r} is a {member.kind}, not a file")
        if place is None or member.kind != "file" or place[1].suffix.lower() not in SUFFIXES:
            return
        root, path = place
        self._check_bounds(member)
        if in_split:
            self._assign(number, member.name, path)
            self.roots.add(root)
        else:
            self.tables.append((number, member.name, root, path))

    def finish(self) -> dict[int, PurePosixPath]:
        """Return the path of each member to write, by its number in the archive."""
        for number, name, root, path in self.tables:
            if root in self.roots:
                self._assign(number, name, path)
        return self.paths

    def _assign(self, number: int, name: str, path: PurePosixPath) -> None:
        """Refuse a second file of one path, and a file where another one needs a folder."""
        key = _key_of(path)
        above = [_key_of(parent) for parent in path.parents[:-1]]
        if key in self.files or key in self.folders or self.files.intersection(above):
            raise ArchiveInvalid(f"its member {name!r} would overwrite another one")
        self.files.add(key)
        self.folders.update(above)
        self.paths[number] = path

    def _check_bounds(self, member: Member) -> None:
        name, size = member.name, member.size
        most = self.limits.file_bytes
        if member.packed is not None:
            most = min(most, self.limits.unpacked(member.packed))
        if size < 0:
            raise ArchiveInvalid(f"its member {name!r} claims {size} bytes")
        self.n_bytes += size
        self.disk_bytes += -(-size // _BLOCK) * _BLOCK
        total = self.limits.unpacked(self.packed_bytes)
        too_large = (
            f"its member {name!r} unpacks to more than {size_text(most)}"
            if size > most
            else f"{size_text(self.packed_bytes)} unpack to more than {size_text(total)}"
        )
        if size > most or self.n_bytes > total:
            raise ArchiveInvalid(f"{too_large}: a decompression bomb, or not SDOBenchmark")
        if len(self.paths) + len(self.tables) >= self.limits.files:
            raise ArchiveInvalid(f"it has more than {self.limits.files} files")


def place_of(name: str) -> tuple[PurePosixPath, PurePosixPath] | None:
    """Return the folder of the dataset within an archive, and a member's path below it, or None.

    None is for everything outside ``training`` and ``test``, wherever these are in the archive
    (``SDOBenchmark-data-full/training/...``), except a table's name that some copies have next to
    these; of folders of these names within one another the innermost counts.

    Raises ArchiveInvalid: the name could lead out of a folder on some system: it is absolute,
    climbs with ``..``, has a drive letter, a backslash, or characters that no name of the dataset
    has.
    """
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or _DRIVE.match(name):
        raise ArchiveInvalid(f"its member {name!r} would be written outside the folder")
    if _CONTROL.search(name):
        raise ArchiveInvalid(f"its member {name!r} has control characters in its name")
    parts = [part for part in parts if part not in ("", ".")]
    cuts = [index for index, part in enumerate(parts[:-1]) if part in SPLITS]
    if not cuts and parts and parts[-1] in ROOT_TABLES:
        cuts = [len(parts) - 1]
    if not cuts or any(part.startswith((".", "__MACOSX")) for part in parts):
        return None
    root, path = parts[: cuts[-1]], parts[cuts[-1] :]
    if len(path) > _MAX_DEPTH or any(
        _DRIVE.match(part) or len(part.encode()) > _MAX_PART_BYTES for part in path
    ):
        raise ArchiveInvalid(f"its member {name!r} has a name that not every file system takes")
    return PurePosixPath(*root), PurePosixPath(*path)


def _key_of(path: PurePosixPath) -> str:
    """Return what two paths have in common that some file system takes for the same file."""
    return unicodedata.normalize("NFC", str(path)).casefold()
