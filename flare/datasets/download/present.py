"""What a finished download says of itself, ``dataset.json``, and whether it is still true."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flare.errors import DatasetInvalid


@dataclass(frozen=True)
class Record:
    """Where a dataset came from, and what it was when it came.

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

    def as_dict(self) -> dict[str, Any]:
        """Return what ``dataset.json`` holds."""
        return asdict(self)


def read_record(dest: Path, name: str, *, sha256: str) -> Record | None:
    """Return the record of a finished download, or None where there is nothing yet.

    Raises
    ------
    DatasetInvalid
        There is something, and it is no download of this name, or of another archive.
    """
    if not dest.exists() or (dest.is_dir() and not any(dest.iterdir())):
        return None
    path = dest / "dataset.json"
    try:
        record = Record(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DatasetInvalid(
            f"{dest} holds something that no download put there; choose another dest, or move it "
            "away"
        ) from error
    if record.name != name:
        raise DatasetInvalid(
            f"{dest} holds {record.name}, and {name} is asked for; choose another dest"
        )
    if sha256 and sha256 != record.sha256:
        raise DatasetInvalid(
            f"{dest} was made from an archive of SHA-256 {record.sha256} and not {sha256}; choose "
            "another dest, or delete the folder to download it again"
        )
    return record


def check_unchanged(dest: Path, record: Record, fingerprint: str) -> None:
    """Raise DatasetInvalid unless a folder still is what was downloaded."""
    if fingerprint != record.fingerprint:
        raise DatasetInvalid(
            f"{dest} has changed since it was downloaded: its fingerprint is {fingerprint} and was "
            f"{record.fingerprint}; delete the folder to download it again"
        )
