"""Where models come from: the registry in production, a folder to try one out, a fake in tests."""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flare.errors import ModelNotFound
from flare.forecasters.base import Forecaster
from flare.forecasters.folder import DESCRIPTION, load, read_description
from serving.settings import Settings

if TYPE_CHECKING:
    from flare.tracking.registry import RegisteredVersion


@dataclass(frozen=True)
class Loaded:
    """One version of a model, whole and ready to forecast.

    ``folder`` is where it was read from; the forecaster needs nothing of it any more.
    """

    forecaster: Forecaster
    version: str
    name: str
    folder: Path | None
    loaded_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class ModelSource(Protocol):
    """What the follower asks, from one thread at a time."""

    def current_version(self) -> str:
        """Name the version to serve now, quickly and without loading it."""

    def load(self, version: str) -> Loaded:
        """Load what ``current_version`` has just named."""

    def discard(self, loaded: Loaded) -> None:
        """Free what ``load`` left on disk; the model has been replaced or refused."""


class RegistrySource:
    """The version that an alias of MLflow's registry marks, downloaded into a temporary folder."""

    def __init__(self, name: str, alias: str, *, tracking_uri: str | None) -> None:
        self._name, self._alias, self._tracking_uri = name, alias, tracking_uri
        self._current: RegisteredVersion | None = None
        self._connected = False
        self._downloads: dict[Path, Path] = {}  # forecaster folder -> temporary folder around it

    def current_version(self) -> str:
        """Ask the registry which version the alias marks."""
        # Importing MLflow takes seconds: here it happens in the follower's thread, once.
        from flare.tracking import registry

        if not self._connected:
            registry.connect(self._tracking_uri)
            self._connected = True
        self._current = registry.production_version(self._name, self._alias)
        return str(self._current.version)

    def load(self, version: str) -> Loaded:
        """Download and load the version that ``current_version`` returned last."""
        from flare.tracking import registry

        if self._current is None or str(self._current.version) != version:
            raise ModelNotFound(
                f"version {version} of {self._name!r} is not what {self._alias!r} marked last; "
                "ask for the current version first"
            )
        download = Path(tempfile.mkdtemp(prefix="flare-serving-"))
        try:
            folder = registry.download_forecaster(self._current, download)
            forecaster = load(folder)
        except BaseException:
            shutil.rmtree(download, ignore_errors=True)
            raise
        self._downloads[folder] = download
        return Loaded(forecaster, version, self._name, folder)

    def discard(self, loaded: Loaded) -> None:
        """Remove the download."""
        download = self._downloads.pop(loaded.folder, None) if loaded.folder else None
        if download is not None:
            shutil.rmtree(download, ignore_errors=True)


class FolderSource:
    """A forecaster folder; its version is the start of the SHA-256 of its description.

    The description holds the digest of every other file, so another forecaster saved in the same
    place is another version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def current_version(self) -> str:
        """Read the description and hash it."""
        read_description(self._folder)  # says what is missing or damaged
        return hashlib.sha256((self._folder / DESCRIPTION).read_bytes()).hexdigest()[:12]

    def load(self, version: str) -> Loaded:
        """Load the folder."""
        return Loaded(load(self._folder), version, self._folder.name, self._folder)

    def discard(self, loaded: Loaded) -> None:
        """Leave the user's folder alone."""


def source_of(settings: Settings) -> ModelSource:
    """Choose between folder and registry."""
    if settings.model_folder is not None:
        return FolderSource(settings.model_folder)
    return RegistrySource(settings.model_name, settings.alias, tracking_uri=settings.tracking_uri)
