"""Where a file of an archive may be written, judged by its name alone."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

from flare.datasets.sdobenchmark.labels import ROOT_TABLES, SPLITS
from flare.errors import ArchiveInvalid

SUFFIXES = (".csv", ".jpg", ".jpeg", ".png", ".txt")

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # what no name should do to a terminal
_LONGEST_PART = 255  # bytes: the limit of the usual file systems
_DEEPEST = 8


@dataclass(frozen=True)
class Place:
    """Where a member belongs: ``path`` below the dataset's folder, ``root`` in the archive."""

    root: PurePosixPath
    path: PurePosixPath

    @property
    def at_root(self) -> bool:
        """Whether it is a table of the dataset only if ``root`` has the folder of a split too."""
        return len(self.path.parts) == 1


def place_of(name: str) -> Place | None:
    """Return the place of an archive's member, or None.

    None is for everything outside ``training`` and ``test``, wherever these lie in the archive
    (``SDOBenchmark-data-full/training/...``), but for a table's name that some copies have beside
    these; of folders of these names within one another the innermost counts.

    Raises
    ------
    ArchiveInvalid
        The name could lead out of a folder on some system: it is absolute, climbs with ``..``,
        has a drive letter, a backslash, or characters that no name of the dataset has.
    """
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or _DRIVE.match(name):
        raise ArchiveInvalid(f"its member {name!r} would be written outside the folder")
    if _CONTROL.search(name):
        raise ArchiveInvalid(f"its member {name!r} has characters that no file name should have")
    parts = [part for part in parts if part not in ("", ".")]
    cuts = [index for index, part in enumerate(parts[:-1]) if part in SPLITS]
    if not cuts and parts and parts[-1] in ROOT_TABLES:
        cuts = [len(parts) - 1]
    if not cuts or any(part.startswith((".", "__MACOSX")) for part in parts):
        return None
    cut = cuts[-1]
    place = Place(PurePosixPath(*parts[:cut]), PurePosixPath(*parts[cut:]))
    if len(place.path.parts) > _DEEPEST or any(
        _DRIVE.match(part) or len(part.encode()) > _LONGEST_PART for part in place.path.parts
    ):
        raise ArchiveInvalid(f"its member {name!r} has a name that no file system should be given")
    return place


def is_split_folder(name: str) -> bool:
    """Tell whether a member is named as the folder of a split itself."""
    return PurePosixPath(name).name in SPLITS


def is_wanted(path: PurePosixPath) -> bool:
    """Tell whether a file of this path is one that datasets have."""
    return path.suffix.lower() in SUFFIXES


def key_of(path: PurePosixPath) -> str:
    """Return what two paths share that some file system takes for the same file."""
    return unicodedata.normalize("NFC", str(path)).casefold()
