"""Name the mirrors of SDOBenchmark, and the approximate size of its archives."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flare.errors import ConfigInvalid

_REPOSITORY = "i4Ds/SDOBenchmark"
_BRANCHES = {"full": "data-full", "example": "data-example"}

#: Archives of a branch: GitHub's address, and the address that it redirects to.
GITHUB = (
    "https://github.com/{repository}/archive/refs/heads/{branch}.zip",
    "https://codeload.github.com/{repository}/zip/refs/heads/{branch}",
)

#: Kaggle's public data sets need no login; some networks and quotas do.
KAGGLE = "https://www.kaggle.com/api/v1/datasets/download/fhnw-i4ds/sdobenchmark"

NAMES = ("github", "kaggle")


@dataclass(frozen=True)
class Size:
    """Approximate bytes on disk of an archive and of its unpacked files."""

    archive: int
    unpacked: int


#: 8,336 + 886 samples of about 430 kB are 4.1 GB that do not compress; in 370,000 files, each in
#: whole blocks of 4 KiB, they take a fifth more. The example's few hundred samples are a guess.
SIZES = {"full": Size(4_100_000_000, 4_900_000_000), "example": Size(200_000_000, 240_000_000)}

#: The largest archive that is accepted: several times the full set.
MAX_ARCHIVE_BYTES = 20_000_000_000


class MirrorFailed(Exception):
    """One mirror did not deliver the archive; the message says why. The next one may."""


@dataclass(frozen=True)
class Mirror:
    """One place to try: an address, or a file on disk.

    ``name`` is the word of the user. ``login`` is sent to the host of the address alone.
    """

    name: str
    address: str
    file: Path | None = None
    login: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def published(self) -> bool:
        """Whether it is a named mirror, the size of whose archive is known."""
        return self.name in NAMES


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
        places = {"repository": _REPOSITORY, "branch": _BRANCHES[what]}
        return [Mirror("github", address.format(**places)) for address in GITHUB]
    if word == "kaggle":
        user, key = environment.get("KAGGLE_USERNAME"), environment.get("KAGGLE_KEY")
        login = (user, key) if user and key else None
        return [Mirror("kaggle", KAGGLE, login=login)] if what == "full" else []
    if "://" in word:
        _check_address(word)
        return [Mirror(word, word)]
    file = Path(word).expanduser()
    if not file.is_file():
        raise ConfigInvalid(
            f"source={word}: choose from {', '.join(NAMES)}, an http(s) address, or an existing "
            "archive file; separate several of them by commas"
        )
    return [Mirror(word, str(file.absolute()), file=file)]


def _check_address(address: str) -> None:
    """Raise ConfigInvalid for an unusable address, and for a password, which would be logged."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        login = parts.username is not None
        parts.port  # noqa: B018 - raises if it is not a number
    except ValueError:
        usable, login = False, False
    if login:
        raise ConfigInvalid(
            "source holds a user name or password, which would be written into records; "
            "put them into ~/.netrc and leave them out of the address"
        )
    if not usable:
        raise ConfigInvalid(
            f"source={address} is not an address; write https://host/path or http://..."
        )
