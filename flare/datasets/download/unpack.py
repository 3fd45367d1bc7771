"""Unpack an archive that may be hostile: only what a dataset has, and never too much of it.

Names are judged before anything is written (`members`), bytes are counted as they come, and nothing
an archive says of itself is believed. Permissions, owners and times in it are ignored.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from flare.datasets.download.archives import Member, open_archive
from flare.datasets.download.members import Place, is_split_folder, is_wanted, key_of, place_of
from flare.datasets.download.space import on_disk, require_space, size_text
from flare.datasets.download.stages import Report
from flare.errors import ArchiveInvalid, DatasetInvalid

_ASIDE = ".aside"  # no place begins with a dot
_CHUNK = 2**18
_ROOM_EVERY = 256 * 2**20


@dataclass(frozen=True)
class Limits:
    """What no honest archive of SDOBenchmark (370,000 files, 4.1 GB) comes near.

    ``total_bytes`` and ``file_bytes`` are unpacked; ``ratio`` is unpacked to packed bytes, looked
    at beyond ``ratio_from`` bytes, since JPEGs hardly compress and short tables do.
    """

    members: int = 2_000_000
    files: int = 1_000_000
    total_bytes: int = 20_000_000_000
    file_bytes: int = 64 * 2**20
    ratio: int = 100
    ratio_from: int = 32 * 2**20


@dataclass(frozen=True)
class Unpacked:
    """What was written, and how many files of the archive were left where they are."""

    files: int
    n_bytes: int
    ignored: int


def unpack(
    archive: Path, folder: Path, *, report: Report, limits: Limits | None = None
) -> Unpacked:
    """Write the files of ``training`` and ``test``, and tables beside these, to an empty folder.

    What is in the folder after an error must be deleted.

    Parameters
    ----------
    archive
        A zip, tar or tar.gz.
    report
        Called with the files that are written, and those to write in all where that is known.

    Raises
    ------
    ArchiveInvalid
        The archive is damaged, cut off or encrypted; it holds a link, a device, a name that leads
        elsewhere or occurs twice; or it goes beyond the limits.
    DatasetInvalid
        It is sound, but has no file in ``training`` or ``test``.
    DiskTooSmall
        There is no room for its files.
    """
    work = _Unpacking(folder, archive.stat().st_size, limits or Limits())
    most = min(work.limits.total_bytes, work.most_by_ratio(work.packed_bytes))
    with open_archive(archive, most_bytes=most) as listing:
        total = None
        if listing.known is not None:
            total = work.look_through(listing.known)
        report(0, total)
        for member in listing.members:
            if work.take(member):
                report(work.files, total)
    work.settle()
    if not work.files:
        raise DatasetInvalid("it holds no table or image in a folder training or test")
    return Unpacked(work.files, work.n_bytes, work.ignored)


@dataclass
class _Unpacking:
    """An archive on its way to a folder, with everything counted.

    ``tables`` lie aside by their numbers until all is seen: a tar may have the split folders, and
    so the ``roots`` beside which a table is the dataset's, after them.
    """

    folder: Path
    packed_bytes: int
    limits: Limits
    members: int = 0
    files: int = 0
    n_bytes: int = 0
    ignored: int = 0
    room_looked: int = 0
    taken: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    roots: set[PurePosixPath] = field(default_factory=set)
    tables: list[tuple[str, Place]] = field(default_factory=list)

    def most_by_ratio(self, packed: int) -> int:
        """Return how many bytes so many packed ones may become."""
        return max(self.limits.ratio_from, packed * self.limits.ratio)

    def look_through(self, members: tuple[Member, ...]) -> int:
        """Judge a list of members before anything is written; return how many are wanted."""
        judged = _Unpacking(self.folder, self.packed_bytes, self.limits)
        room = 0
        for member in members:
            place = judged.compare_paired(member)
            if place is not None:
                judged.count(member.name, files=1, n_bytes=member.size)
                room += on_disk(member.size)
        judged.check_tables()
        require_space(self.folder, room, "unpacking")
        return judged.files

    def take(self, member: Member) -> bool:
        """Write a member if it is wanted; return whether it was."""
        place = self.compare_paired(member)
        if place is None:
            return False
        self.count(member.name, files=1, n_bytes=0)
        target = self._aside(len(self.tables) - 1) if place.at_root else self.folder / place.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as content, target.open("xb") as file:
            for chunk in self._chunks(member, iter(lambda: content.read(_CHUNK), b"")):
                file.write(chunk)
        return True

    def check_tables(self) -> dict[int, PurePosixPath]:
        """Return the path of each table that is the dataset's by its number; refuse second ones."""
        paths = {}
        for number, (name, place) in enumerate(self.tables):
            if place.root in self.roots:
                self._check_new(name, place.path)
                paths[number] = place.path
        return paths

    def settle(self) -> None:
        """Put the dataset's tables in their places, and delete others of such names."""
        paths = self.check_tables()
        for number in range(len(self.tables)):
            table = self._aside(number)
            if number in paths:
                table.rename(self.folder / paths[number])
            else:
                self.files -= 1
                self.n_bytes -= table.stat().st_size
                self.ignored += 1
                table.unlink()
        if self.tables:
            (self.folder / _ASIDE).rmdir()

    def _aside(self, number: int) -> Path:
        return self.folder / _ASIDE / str(number)

    def compare_paired(self, member: Member) -> Place | None:
        """Return where a member goes, or None if nobody needs it; raise if it is not safe."""
        self.members += 1
        if self.members > self.limits.members:
            raise ArchiveInvalid(f"it has more than {self.limits.members} members")
        place = place_of(member.name)
        within = place is not None and not place.at_root
        if member.kind == "special" and (within or is_split_folder(member.name)):
            raise ArchiveInvalid(f"its member {member.name!r} is a {member.special}, not a file")
        if place is None or member.kind != "file" or not is_wanted(place.path):
            self.ignored += member.kind == "file"
            return None
        if place.at_root:
            self.tables.append((member.name, place))
        else:
            self._check_new(member.name, place.path)
            self.roots.add(place.root)
        self._check_size(member, member.size)
        return place

    def count(self, name: str, *, files: int, n_bytes: int) -> None:
        """Count what is written, and stop at the limits."""
        self.files += files
        self.n_bytes += n_bytes
        if self.files > self.limits.files:
            raise ArchiveInvalid(f"it has more than {self.limits.files} files")
        most = min(self.limits.total_bytes, self.most_by_ratio(self.packed_bytes))
        if self.n_bytes > most:
            raise ArchiveInvalid(
                f"{size_text(self.packed_bytes)} unpack to more than {size_text(most)} by "
                f"{name!r}; this is a bomb, or no SDOBenchmark"
            )

    def _check_new(self, name: str, path: PurePosixPath) -> None:
        """Refuse a second file of one path, and a file where another one needs a folder."""
        key = key_of(path)
        above = [key_of(parent) for parent in path.parents[:-1]]
        if key in self.taken or key in self.folders or self.taken.intersection(above):
            raise ArchiveInvalid(f"its member {name!r} would overwrite another one")
        self.taken.add(key)
        self.folders.update(above)

    def _check_size(self, member: Member, size: int) -> None:
        most = self.limits.file_bytes
        if member.packed is not None:
            most = min(most, self.most_by_ratio(member.packed))
        if size < 0:
            raise ArchiveInvalid(f"its member {member.name!r} claims {size} bytes")
        if size > most:
            raise ArchiveInvalid(
                f"its member {member.name!r} unpacks to more than {size_text(most)}; this is a "
                "bomb, or no SDOBenchmark"
            )

    def _chunks(self, member: Member, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass on a member's bytes as they are counted."""
        size = 0
        for chunk in chunks:
            size += len(chunk)
            self._check_size(member, size)
            self.count(member.name, files=0, n_bytes=len(chunk))
            if self.n_bytes >= self.room_looked + _ROOM_EVERY:
                require_space(self.folder, 0, "unpacking the rest")
                self.room_looked = self.n_bytes
            yield chunk
        if size != member.size:
            raise ArchiveInvalid(
                f"its member {member.name!r} has {size} bytes and not {member.size}: it is "
                "damaged or cut off"
            )
