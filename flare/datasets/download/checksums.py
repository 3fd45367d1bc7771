"""What is known of a file's bytes: what servers state, and what was seen the first time."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flare.errors import DatasetInvalid

_SHA256_DIGITS = 64
_CHUNK = 2**20


@dataclass(frozen=True)
class Pin:
    """The bytes that an address gave the first time."""

    sha256: str
    bytes: int
    first_seen: str


@dataclass(frozen=True)
class Digests:
    """Checksums of a file, in hexadecimal digits."""

    sha256: str
    md5: str


def digests_of(path: Path) -> Digests:
    """Read a file once for both of its checksums."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
    return Digests(sha256.hexdigest(), md5.hexdigest())


def stated_md5(headers: Mapping[str, str]) -> str:
    """Return the MD5 that an answer with a whole file states, as hexadecimal digits, or nothing.

    Google's storage, where Kaggle's files lie, says ``x-goog-hash: crc32c=...,md5=...``; others
    say ``Content-MD5`` (RFC 1864). Both are base64 of 16 bytes.
    """
    hashes = (part.strip().partition("=") for part in headers.get("x-goog-hash", "").split(","))
    values = [value for kind, _, value in hashes if kind == "md5"]
    for value in (*values, headers.get("Content-MD5", "")):
        try:
            digest = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(digest) == 16:
            return digest.hex()
    return ""


class Pins:
    """``checksums.json``: the SHA-256 of every address that was downloaded from.

    A branch's archive has no published checksum. What came the first time is taken for right, and
    other bytes from the same address are refused until somebody says that they are right too.
    """

    def __init__(self, path: Path):
        self.path = path

    def get(self, url: str) -> Pin | None:
        """Return what an address gave the first time."""
        entry = self._read().get(url)
        return None if entry is None else Pin(**entry)

    def put(self, url: str, sha256: str, n_bytes: int) -> None:
        """Write down what an address gave; an equal entry keeps its date."""
        entries = self._read()
        if url in entries and entries[url]["sha256"] == sha256:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entries[url] = {"sha256": sha256, "bytes": n_bytes, "first_seen": now}
        writing = self.path.with_name(f".{self.path.name}.new")
        writing.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
        writing.replace(self.path)

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))
            sound = all(len(Pin(**entry).sha256) == _SHA256_DIGITS for entry in entries.values())
        except (ValueError, TypeError, AttributeError):
            sound = False
        if not sound:
            raise DatasetInvalid(
                f"{self.path} is no list of checksums any more; put it right, or delete it to take "
                "what the next download gives for right"
            )
        return dict(entries)
