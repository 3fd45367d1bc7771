"""Where models come from: MLflow in production, a folder to try one out, a fake in tests."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from flare.errors import TrackingUnavailable
from flare.forecasters.base import Forecaster
from flare.forecasters.storage import DESCRIPTION, load, read_description


class Version(NamedTuple):
    """One version of a model: ``number`` is what people call it, ``key`` identifies it."""

    number: str
    key: str


@dataclass(frozen=True)
class Loaded:
    """One version of a model, whole and ready to forecast.

    ``folder`` is where it was read from; the forecaster does not need it any more. ``uri`` is its
    address, ``details`` what MLflow knows of it, as JSON values. ``multi_core`` is the same
    forecaster for a request that has all cores to itself; None where that makes no difference.
    """

    forecaster: Forecaster
    version: Version
    name: str
    folder: Path | None
    uri: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    loaded_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    multi_core: Forecaster | None = None


class ModelSource(Protocol):
    """What the follower calls, from one thread at a time."""

    @property
    def alias(self) -> str | None:
        """The alias that is followed; None for a folder, and for a model that cannot change."""

    def current_version(self) -> Version:
        """Return the version to serve now, quickly and without loading it."""

    def load(self, version: Version) -> Loaded:
        """Load the version that ``current_version`` returned last."""

    def last_good(self) -> Loaded | None:
        """Load, from this machine alone, what was accepted last; None if there is nothing."""

    def accept(self, loaded: Loaded) -> None:
        """Remember that a version is good and live."""

    def refuse(self, loaded: Loaded) -> None:
        """Forget a version that turned out to be broken."""

    def with_new_details(self, loaded: Loaded) -> Loaded:
        """Return the same model with what MLflow knows of it now."""


class FolderSource:
    """A forecaster folder; its version is the start of the SHA-256 of its description.

    The description holds the digest of every other file, so another forecaster saved in the same
    place is another version.
    """

    alias = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def current_version(self) -> Version:
        """Read the description and hash it."""
        description = read_description(self._folder)  # the error names the missing or damaged part
        digest = hashlib.sha256((self._folder / DESCRIPTION).read_bytes()).hexdigest()
        # A folder that is still being copied is refused; the key changes when the copy is complete.
        state = [_time_and_size(self._folder / name) for name in sorted(description["sha256"])]
        return Version(digest[:12], f"{digest} {state}")

    def load(self, version: Version) -> Loaded:
        """Load the folder."""
        loaded = Loaded(
            load(self._folder), version, self._folder.name, self._folder, uri=str(self._folder)
        )
        if self.current_version() != version:
            raise TrackingUnavailable(f"{self._folder} changed while it was read; it is read again")
        return loaded

    def last_good(self) -> Loaded | None:
        """Return None: the folder is on this machine itself."""
        return None

    def accept(self, loaded: Loaded) -> None:
        """Do nothing: the folder is the user's."""

    def refuse(self, loaded: Loaded) -> None:
        """Do nothing: the folder is the user's."""

    def with_new_details(self, loaded: Loaded) -> Loaded:
        """Return the model as it is: nothing else is known of a folder."""
        return loaded


def _time_and_size(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
