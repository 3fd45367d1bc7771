"""Where models come from: the registry in production, a folder to try one out, a fake in tests."""

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from flare.errors import ForecasterInvalid, ModelNotFound, TrackingUnavailable
from flare.forecasters.base import Forecaster
from flare.forecasters.storage import DESCRIPTION, load, read_description
from serving.models.cache import KeptModel, KeptModels
from serving.settings import RUN_ID, Settings

if TYPE_CHECKING:
    from flare.tracking.registry import RegisteredVersion

_ALIAS = re.compile(r"models:/(?P<name>[^/@]+)@(?P<alias>[^/@]+)")
_VERSION = re.compile(r"models:/(?P<name>[^/@]+)/(?P<version>\d+)")
_RUN = re.compile(r"runs:/(?P<run_id>[^/]+)/(?P<name>.+)")


class Version(NamedTuple):
    """What a source offers now: what people call it, and what tells it from any other."""

    number: str
    key: str


@dataclass(frozen=True)
class Loaded:
    """One version of a model, whole and ready to forecast.

    ``folder`` is where it was read from; the forecaster needs nothing of it any more. ``uri`` is
    its address, ``details`` what MLflow knows of it, as JSON values. ``alone`` is the same
    forecaster for a request that has all cores to itself; None where that is no other.
    """

    forecaster: Forecaster
    version: Version
    name: str
    folder: Path | None
    uri: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    loaded_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    alone: Forecaster | None = None


class ModelSource(Protocol):
    """What the follower asks, from one thread at a time."""

    @property
    def followed(self) -> str | None:
        """The alias whose changes are followed; None for a folder, and for what cannot change."""

    def current_version(self) -> Version:
        """Name the version to serve now, quickly and without loading it."""

    def load(self, version: Version) -> Loaded:
        """Load what ``current_version`` has just named."""

    def last_good(self) -> Loaded | None:
        """Load what was accepted last, on this machine, without asking anybody; None if nothing."""

    def accept(self, loaded: Loaded) -> None:
        """Remember that a version is good and live."""

    def refuse(self, loaded: Loaded) -> None:
        """Forget a version that turned out to be broken."""

    def renewed(self, loaded: Loaded) -> Loaded:
        """Return the same model with what is known of it now."""


class MLflowSource:
    """A model of MLflow: what an alias marks, followed, or else any address or run, fixed."""

    def __init__(
        self, address: str, *, model_name: str, tracking_uri: str | None, kept: KeptModels
    ) -> None:
        self._address, self._model_name, self._tracking_uri = address, model_name, tracking_uri
        self._alias = _ALIAS.fullmatch(address)
        self._kept = kept
        self._current: tuple[Version, RegisteredVersion | None] | None = None
        self._connected = False

    @property
    def followed(self) -> str | None:
        """The alias."""
        return self._alias["alias"] if self._alias else None

    def current_version(self) -> Version:
        """Ask the registry which version the alias marks; an address that is fixed is not asked."""
        if self._alias is None and self._current is not None:
            return self._current[0]
        self._current = self._asked()
        return self._current[0]

    def load(self, version: Version) -> Loaded:
        """Load the version that ``current_version`` returned last, from this disk if it is there.

        What lies here and is damaged is fetched again, once. Of several processes that share the
        place one fetches, and the others wait for what it has.
        """
        if self._current is None or self._current[0] != version:
            raise ModelNotFound(f"version {version.number} is not what was current last; ask again")
        with self._kept.alone():
            found = self._kept.find(version.key)
            if found is not None:
                try:
                    return self._loaded(found)
                except (ForecasterInvalid, ModelNotFound):
                    self._kept.remove(version.key)
            try:
                return self._loaded(self._fetched(*self._current))
            except (ForecasterInvalid, ModelNotFound):
                self._kept.remove(version.key)
                raise

    def last_good(self) -> Loaded | None:
        """Load what was accepted last; None if it is damaged."""
        found = self._kept.last_good()
        if found is not None:
            with suppress(ForecasterInvalid, ModelNotFound):
                return self._loaded(found)
        return None

    def accept(self, loaded: Loaded) -> None:
        """Begin with this one at the next start."""
        with self._kept.alone():
            self._kept.mark_good(loaded.version.key)

    def refuse(self, loaded: Loaded) -> None:
        """Remove what was fetched."""
        with self._kept.alone():
            self._kept.remove(loaded.version.key)

    def renewed(self, loaded: Loaded) -> Loaded:
        """Ask MLflow again what it knows: a model may be evaluated after it was promoted."""
        if self._current is None or self._current[0] != loaded.version:
            return loaded
        details = self._details(self._current[1])
        if details == loaded.details or not details.get("parameters"):
            return loaded
        with self._kept.alone():
            self._kept.renew(loaded.version.key, {"details": details})
        return replace(loaded, details=details)

    def _asked(self) -> tuple[Version, "RegisteredVersion | None"]:
        # Importing MLflow takes seconds: here it happens in the follower's thread, once.
        from flare.tracking import registry

        if not self._connected:
            registry.connect(self._tracking_uri)
            self._connected = True
        registry.check_there(self._model_name)
        if self._alias:
            return _of_registry(registry.production_version(*self._alias.group("name", "alias")))
        if found := _VERSION.fullmatch(self._address):
            return _of_registry(registry.get_version(found["name"], int(found["version"])))
        if RUN_ID.fullmatch(self._address):
            return _of_registry(registry.version_of_run(self._model_name, self._address))
        return Version(self._address.rpartition("/")[2], self._address), None

    def _fetched(self, version: Version, registered: "RegisteredVersion | None") -> KeptModel:
        from flare.tracking import registry

        run = _RUN.fullmatch(self._address)
        about = {
            "name": registered.name if registered else run["name"] if run else self._model_name,
            "number": version.number,
            "uri": registered.uri if registered else self._address,
            "details": self._details(registered),
        }
        address = str(about["uri"])
        return self._kept.put(
            version.key, about, lambda draft: registry.download_uri(address, draft)
        )

    def _details(self, registered: "RegisteredVersion | None") -> dict[str, Any]:
        from flare.tracking.version_details import details_of

        run = _RUN.fullmatch(self._address)
        run_id = registered.run_id if registered else run["run_id"] if run else None
        # Through JSON, as it is kept: what was read from this disk compares equal.
        return dict(json.loads(json.dumps(details_of(run_id, version=registered).as_dict())))

    def _loaded(self, found: KeptModel) -> Loaded:
        about = found.about
        return Loaded(
            load(found.forecaster),
            Version(str(about.get("number")), found.key),
            str(about.get("name")),
            found.forecaster,
            uri=str(about.get("uri")),
            details=dict(about.get("details") or {}),
        )


class FolderSource:
    """A forecaster folder; its version is the start of the SHA-256 of its description.

    The description holds the digest of every other file, so another forecaster saved in the same
    place is another version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    @property
    def followed(self) -> str | None:
        """No alias."""
        return None

    def current_version(self) -> Version:
        """Read the description and hash it."""
        description = read_description(self._folder)  # says what is missing or damaged
        digest = hashlib.sha256((self._folder / DESCRIPTION).read_bytes()).hexdigest()
        # A copy that is under way is refused, and is something else once it is complete.
        state = [_state_of(self._folder / name) for name in sorted(description["sha256"])]
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
        """Nothing: the folder is on this machine itself."""
        return None

    def accept(self, loaded: Loaded) -> None:
        """Leave the user's folder alone."""

    def refuse(self, loaded: Loaded) -> None:
        """Leave the user's folder alone."""

    def renewed(self, loaded: Loaded) -> Loaded:
        """Nothing else is known of a folder."""
        return loaded


def source_of(settings: Settings) -> ModelSource:
    """Choose between a folder and MLflow."""
    address = settings.model or f"models:/{settings.model_name}@{settings.alias}"
    if ":/" not in address and Path(address).is_dir():
        return FolderSource(Path(address))
    kept = KeptModels(settings.state_dir, f"{settings.tracking_uri or ''} {address}")
    return MLflowSource(
        address, model_name=settings.model_name, tracking_uri=settings.tracking_uri, kept=kept
    )


def _state_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _of_registry(version: "RegisteredVersion") -> "tuple[Version, RegisteredVersion]":
    number = str(version.version)
    return Version(number, f"{number} {version.source or version.run_id}"), version
