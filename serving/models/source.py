"""Where models come from: MLflow in production, a folder to try one out, a fake in tests."""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flare.errors import ForecasterInvalid, ModelNotFound, TrackingUnavailable
from flare.forecasters.base import Forecaster
from flare.forecasters.storage import DESCRIPTION, load, read_description
from serving.models.cache import CachedModel, ModelCache
from serving.settings import RUN_ID, Settings

if TYPE_CHECKING:
    from flare.tracking.registry import RegisteredVersion

_ALIAS = re.compile(r"models:/(?P<name>[^/@]+)@(?P<alias>[^/@]+)")
_VERSION = re.compile(r"models:/(?P<name>[^/@]+)/(?P<version>\d+)")
_RUN = re.compile(r"runs:/(?P<run_id>[^/]+)/(?P<name>.+)")


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


class ModelSource(ABC):
    """What the follower calls, from one thread at a time.

    ``alias`` is the alias that is followed; None for a folder, and for a model that cannot change.
    """

    alias: str | None = None

    @abstractmethod
    def current_version(self) -> Version:
        """Return the version to serve now, quickly and without loading it."""

    @abstractmethod
    def load(self, version: Version) -> Loaded:
        """Load the version that ``current_version`` returned last."""

    def last_good(self) -> Loaded | None:
        """Load, from this machine alone, what was accepted last; None if there is nothing."""
        return None

    def accept(self, loaded: Loaded) -> None:  # noqa: B027
        """Remember that a version is good and live."""

    def refuse(self, loaded: Loaded) -> None:  # noqa: B027
        """Forget a version that turned out to be broken."""

    def with_new_details(self, loaded: Loaded) -> Loaded:
        """Return the same model with what MLflow knows of it now."""
        return loaded


class FolderSource(ModelSource):
    """A forecaster folder; its version is the start of the SHA-256 of its description.

    The description holds the digest of every other file, so another forecaster saved in the same
    place is another version.
    """

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


def _time_and_size(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class _Current(NamedTuple):
    """What the address stands for now; ``name`` is the model's."""

    version: Version
    name: str
    uri: str
    run_id: str | None
    registered: "RegisteredVersion | None" = None


class MLflowSource(ModelSource):
    """A model of MLflow: the version that an alias marks, or a fixed version, run or address."""

    def __init__(
        self, address: str, *, model_name: str, tracking_uri: str | None, cache: ModelCache
    ) -> None:
        self._address, self._model_name, self._tracking_uri = address, model_name, tracking_uri
        match = _ALIAS.fullmatch(address)
        self.alias = match["alias"] if match else None
        self._cache = cache
        self._current: _Current | None = None
        self._connected = False

    def current_version(self) -> Version:
        """Ask the registry which version the alias marks, or once what a fixed address is."""
        if self._current is None or self.alias is not None:
            self._current = self._look_up()
        return self._current.version

    def load(self, version: Version) -> Loaded:
        """Load the version that ``current_version`` returned last, from this disk if it is there.

        A damaged copy is fetched again, once. Of several processes that share the cache one
        fetches, and the others wait for its copy.
        """
        current = self._current
        if current is None or current.version != version:
            raise ModelNotFound(f"version {version.number} is not the current one; ask again")
        with self._cache.locked():
            copy = self._cache.find(version.key)
            if copy is not None:
                try:
                    return _loaded(copy)
                except (ForecasterInvalid, ModelNotFound):
                    self._cache.remove(version.key)
            try:
                return _loaded(self._fetch(current))
            except (ForecasterInvalid, ModelNotFound):
                self._cache.remove(version.key)
                raise

    def last_good(self) -> Loaded | None:
        """Load what was accepted last; None if it is damaged or there is nothing."""
        copy = self._cache.last_good()
        if copy is not None:
            with suppress(ForecasterInvalid, ModelNotFound):
                return _loaded(copy)
        return None

    def accept(self, loaded: Loaded) -> None:
        """Begin with this version at the next start."""
        with self._cache.locked():
            self._cache.mark_good(loaded.version.key)

    def refuse(self, loaded: Loaded) -> None:
        """Remove the copy."""
        with self._cache.locked():
            self._cache.remove(loaded.version.key)

    def with_new_details(self, loaded: Loaded) -> Loaded:
        """Ask MLflow again: a model may be evaluated after it was promoted."""
        if self._current is None or self._current.version != loaded.version:
            return loaded
        details = _details(self._current)
        if details == loaded.details or not details.get("parameters"):
            return loaded
        with self._cache.locked():
            self._cache.update(loaded.version.key, details)
        return replace(loaded, details=details)

    def _look_up(self) -> _Current:
        # Importing MLflow takes seconds: here it happens in the follower's thread, once.
        from flare.tracking import registry

        if not self._connected:
            registry.connect(self._tracking_uri)
            self._connected = True
        registry.check_there(self._model_name)
        if match := _ALIAS.fullmatch(self._address):
            registered = registry.production_version(match["name"], match["alias"])
        elif match := _VERSION.fullmatch(self._address):
            registered = registry.get_version(match["name"], int(match["version"]))
        elif RUN_ID.fullmatch(self._address):
            registered = registry.version_of_run(self._model_name, self._address)
        else:
            run = _RUN.fullmatch(self._address)
            version = Version(self._address.rpartition("/")[2], self._address)
            name, run_id = (run["name"], run["run_id"]) if run else (self._model_name, None)
            return _Current(version, name, self._address, run_id)
        number = str(registered.version)
        version = Version(number, f"{number} {registered.source or registered.run_id}")
        return _Current(version, registered.name, registered.uri, registered.run_id, registered)

    def _fetch(self, current: _Current) -> CachedModel:
        from flare.tracking import registry

        about = {
            "name": current.name,
            "number": current.version.number,
            "uri": current.uri,
            "details": _details(current),
        }
        return self._cache.put(
            current.version.key, about, lambda draft: registry.download_uri(current.uri, draft)
        )


def _details(current: _Current) -> dict[str, Any]:
    from flare.tracking.version_details import details_of

    details = details_of(current.run_id, version=current.registered).as_dict()
    return dict(json.loads(json.dumps(details)))  # equal to what the cache holds as JSON


def _loaded(copy: CachedModel) -> Loaded:
    about = copy.about
    return Loaded(
        load(copy.forecaster),
        Version(str(about.get("number")), copy.key),
        str(about.get("name")),
        copy.forecaster,
        uri=str(about.get("uri")),
        details=dict(about.get("details") or {}),
    )


def source_of(settings: Settings) -> ModelSource:
    """Return the source for FLARE_MODEL, or else for the alias of the registered model."""
    address = settings.model or f"models:/{settings.model_name}@{settings.alias}"
    if ":/" not in address and Path(address).is_dir():
        return FolderSource(Path(address))
    cache = ModelCache(settings.state_dir, f"{settings.tracking_uri or ''} {address}")
    return MLflowSource(
        address, model_name=settings.model_name, tracking_uri=settings.tracking_uri, cache=cache
    )
