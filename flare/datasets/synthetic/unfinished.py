"""The hidden folder beside a synthetic dataset's place, where it is made and gone on with."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flare.files import locked

#: How the names of regions end that are not whole yet.
PARTIAL = ".partial"

_DESCRIPTION = "dataset.json"


@contextmanager
def unfinished(dest: Path, description: Mapping[str, object]) -> Iterator[Path]:
    """Give a folder that takes the name ``dest`` when the block ends without an error.

    Otherwise it stays as it is, and the next call with the same description gets it again; what
    one with another description left is deleted. ``dataset.json`` with the description is in it.

    Raises
    ------
    DatasetInvalid
        Another process is making a dataset in the same place.
    """
    workshop = dest.absolute().with_name(f".{dest.name}.synthesize")
    workshop.mkdir(parents=True, exist_ok=True)
    taken = f"another process is making {dest}; wait for it, or choose another data_dir"
    with locked(workshop / "lock", busy=taken):
        folder, text = workshop / "set", json.dumps(dict(description), indent=2) + "\n"
        if not _is_same(folder / _DESCRIPTION, text):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / _DESCRIPTION).write_text(text, encoding="utf-8")
        try:
            _sweep(folder)
            yield folder
            _sweep(folder)
            folder.rename(dest)
        finally:
            if not any(folder.glob("*/[0-9]*")):  # nothing worth keeping, or all in its place
                shutil.rmtree(workshop)


def _sweep(folder: Path) -> None:
    """Delete the halves that a killed process left."""
    for half in folder.glob(f"*/.*{PARTIAL}"):
        shutil.rmtree(half, ignore_errors=True)


def _is_same(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except OSError:
        return False
