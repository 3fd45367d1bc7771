"""Name the mirrors of SDOBenchmark, and record the SHA-256 of what each address sent."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import HttpUrl, TypeAdapter, ValidationError

from flare.errors import ConfigInvalid, DatasetInvalid
from flare.files import write_atomically

#: GitHub's archives of a branch: the published address, and the one that it redirects to.
GITHUB = (
    "https://github.com/i4Ds/SDOBenchmark/archive/refs/heads/data-{what}.zip",
    "https://codeload.github.com/i4Ds/SDOBenchmark/zip/refs/heads/data-{what}",
)

#: Kaggle's public data sets need no login; some networks and quotas do.
KAGGLE = "https://www.kaggle.com/api/v1/datasets/download/fhnw-i4ds/sdobenchmark"

_HTTP_URL: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)


@dataclass(frozen=True)
class Mirror:
    """One place to try: an address, or a file on disk.

    ``login`` is sent to the host of the address alone. ``published`` says that it is one of the
    project's own, the size of whose archive is known.
    """

    address: str
    file: Path | None = None
    login: tuple[str, str] | None = field(default=None, repr=False)
    published: bool = False


def mirrors_of(what: str, source: str, environment: Mapping[str, str] = os.environ) -> list[Mirror]:
    """Return the mirrors that a comma-separated ``source`` names, in its order.

    ``source`` has names (``github``, ``kaggle``), http(s) addresses and files; a comma within an
    address is written %2C. ``environment`` has KAGGLE_USERNAME and KAGGLE_KEY.

    Raises ConfigInvalid: a word is none of these, or none of the mirrors has ``what``.
    """
    words = [word.strip() for word in source.split(",") if word.strip()]
    mirrors = [mirror for word in words for mirror in _mirrors_of_word(what, word, environment)]
    if not mirrors:
        raise ConfigInvalid(
            f"source={source} does not have what={what}; Kaggle has only what=full, github has both"
        )
    return mirrors


def _mirrors_of_word(what: str, word: str, environment: Mapping[str, str]) -> list[Mirror]:
    if word == "github":
        return [Mirror(address.format(what=what), published=True) for address in GITHUB]
    if word == "kaggle":
        user, key = environment.get("KAGGLE_USERNAME"), environment.get("KAGGLE_KEY")
        login = (user, key) if user and key else None
        return [Mirror(KAGGLE, login=login, published=True)] if what == "full" else []
    if "://" in word:
        _check_address(word)
        return [Mirror(word)]
    file = Path(word).expanduser()
    if not file.is_file():
        raise ConfigInvalid(
            f"source={word}: choose from github, kaggle, an http(s) address, or an existing "
            "archive file; separate several of them by commas"
        )
    return [Mirror(str(file.absolute()), file=file)]


def _check_address(address: str) -> None:
    """Raise ConfigInvalid for an unusable address, and for a password, which would be logged."""
    try:
        login = _HTTP_URL.validate_python(address).username
    except ValidationError as error:
        raise ConfigInvalid(
            f"source={address} is not an address; write https://host/path or http://..."
        ) from error
    if login is not None:
        raise ConfigInvalid(
            "source holds a user name or password, which would be written into records; "
            "put them into ~/.netrc and leave them out of the address"
        )


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
