"""What lies in a split's folder that no row of its table leads to."""

from collections.abc import Collection
from pathlib import Path

from flare.datasets.sdobenchmark.findings import Finding, found


def find_strays(
    split_dir: Path, *, folders: Collection[Path], tables: Collection[Path]
) -> dict[str, Finding]:
    """Return the files outside of the samples' folders, and the folders that have no row.

    Parameters
    ----------
    split_dir
        ``training`` or ``test`` of a dataset; it need not exist.
    folders
        Those of the table's samples.
    tables
        Files that are no strays.
    """
    known = set(folders)
    regions = {folder.parent for folder in known}
    files, without_row = [], []
    for entry in _entries(split_dir):
        if entry in tables:
            continue
        if not entry.is_dir():
            files.append(entry)
            continue
        inside = _entries(entry)
        # One that was listed a moment ago needs no further look: there are thousands.
        kept = [path for path in inside if path not in known]
        files += [path for path in kept if not path.is_dir()]
        without_row += [path for path in kept if path.is_dir()]
        if entry not in regions and not any(path.is_dir() for path in inside):
            without_row.append(entry)
    return {
        "stray_file": found(str(path.relative_to(split_dir)) for path in files),
        "no_row": found(str(path.relative_to(split_dir)) for path in without_row),
    }


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
