"""Two fingerprints of a dataset: of its content, and of the state of its files.

The content fingerprint identifies the dataset in every run and model: equal fingerprints mean equal
labels and images, in any folder. It reads every byte. The state fingerprint uses names, sizes and
modification times alone, and shows in seconds whether four gigabytes may have changed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from flare.datasets.sdobenchmark.labels import available_splits, find_table, read_table
from flare.datasets.sdobenchmark.sample_images import read_files
from flare.files import combine_digests, digest, digest_of_images

SHORT_LENGTH = 16
_SUFFIXES = (".csv", ".jpg", ".jpeg", ".png")


def short(fingerprint: str) -> str:
    """Return the first 16 digits, which distinguish datasets in a table or tag."""
    return fingerprint[:SHORT_LENGTH]


def content_fingerprint(data_dir: Path) -> str:
    """Return the fingerprint of both splits' labels and images, by reading all of them.

    Files that are not read do not count. A pack holds the same fingerprint.
    """
    digests: dict[str, str] = {}
    for split in available_splits(data_dir):
        digests[f"{split}.csv"] = digest(find_table(data_dir, split).read_bytes())
        for row in read_table(data_dir, split).itertuples():
            digests[f"{split}/{row.id}"] = digest_of_images(read_files(Path(str(row.folder))))
    return combine_digests(digests)


def listing_fingerprint(data_dir: Path) -> str:
    """Return a fingerprint of the names, sizes and modification times of a dataset's files."""
    return combine_digests(file_states(data_dir))


def file_states(data_dir: Path) -> dict[str, str]:
    """Return the size and modification time of each of a dataset's tables and images, by name."""
    entries = {"dataset.json": _state(data_dir / "dataset.json")}
    for split in available_splits(data_dir):
        entries[f"{split} table"] = _state(find_table(data_dir, split))
        entries.update(states_below(str(data_dir / split), split))
    return entries


def _state(entry: Path | os.DirEntry[str]) -> str:
    try:
        status = entry.stat()
    except OSError:
        return "absent"
    return f"{status.st_size} {status.st_mtime_ns}"


def states_below(folder: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield (path below ``name``, size and time) of the tables and images below a folder."""
    try:
        entries = os.scandir(folder)
    except OSError:
        return
    with entries:
        for entry in entries:  # names first: most are images, and a test for folders costs a call
            if entry.name.lower().endswith(_SUFFIXES):
                yield f"{name}/{entry.name}", _state(entry)
            elif entry.is_dir():
                yield from states_below(entry.path, f"{name}/{entry.name}")
