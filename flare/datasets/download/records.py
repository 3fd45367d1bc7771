"""Records of downloads: ``dataset.json`` of a dataset, ``checksums.json`` of addresses."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flare.errors import DatasetInvalid
from flare.files import write_atomically


@dataclass(frozen=True)
class Record:
    """Where a dataset came from, and what it was when it came: the content of ``dataset.json``.

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

    def write(self, folder: Path) -> None:
        """Write ``dataset.json``."""
        write_atomically(folder / "dataset.json", json.dumps(asdict(self), indent=1) + "\n")


def read_record(dest: Path, name: str, *, sha256: str) -> Record | None:
    """Return the record of a finished download, or None where there is nothing yet.

    Raises DatasetInvalid: the folder holds something else than a download of this name and archive.
    """
    if not dest.exists() or (dest.is_dir() and not any(dest.iterdir())):
        return None
    try:
        record = Record(**json.loads((dest / "dataset.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DatasetInvalid(
            f"{dest} exists and was not downloaded; choose another dest, or move it away"
        ) from error
    if record.name != name:
        raise DatasetInvalid(f"{dest} holds {record.name}, not {name}; choose another dest")
    if sha256 and sha256 != record.sha256:
        raise DatasetInvalid(
            f"{dest} was made from an archive of SHA-256 {record.sha256} and not {sha256}; choose "
            "another dest, or delete the folder to download it again"
        )
    return record


@dataclass(frozen=True)
class Checksums:
    """``checksums.json``: the SHA-256 of every address that was downloaded from.

    The archives of branches have no published checksum. The first one received is trusted, and
    other bytes from the same address are refused until the user passes their SHA-256.
    """

    path: Path

    def get(self, url: str) -> dict[str, Any] | None:
        """Return ``sha256``, ``bytes`` and ``first_seen`` of an address."""
        return self._read().get(url)

    def put(self, url: str, sha256: str, n_bytes: int) -> None:
        """Record what an address sent; an equal entry keeps its date."""
        entries = self._read()
        if url in entries and entries[url]["sha256"] == sha256:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entries[url] = {"sha256": sha256, "bytes": n_bytes, "first_seen": now}
        write_atomically(self.path, json.dumps(entries, indent=1) + "\n")

    def _read(self) -> dict[str, dict[str, Any]]:
        if not self.path.exists():
            return {}
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))
            valid = all(len(one["sha256"]) == 64 and one["first_seen"] for one in entries.values())
        except (ValueError, TypeError, AttributeError, KeyError):
            valid = False
        if not valid:
            raise DatasetInvalid(
                f"{self.path} is not a list of checksums; correct it, or delete it to trust the "
                "next download"
            )
        return dict(entries)
