"""Models of MLflow: an alias, a version or a run; with copies on this disk for the next start."""

import atexit
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flare.errors import FlareError, ForecasterInvalid, ModelNotFound, TrackingUnavailable
from flare.files import locked, write_atomically
from flare.forecasters.storage import load
from serving.models.source import FolderSource, Loaded, ModelSource, Version
from serving.settings import RUN_ID, Settings

if TYPE_CHECKING:
    from flare.tracking.registry import RegisteredVersion

log = logging.getLogger("flare.serving")

_ALIAS = re.compile(r"models:/(?P<name>[^/@]+)@(?P<alias>[^/@]+)")
_VERSION = re.compile(r"models:/(?P<name>[^/@]+)/(?P<version>\d+)")
_RUN = re.compile(r"runs:/(?P<run_id>[^/]+)/(?P<name>.+)")

FORECASTER, ABOUT, LAST_GOOD, LOCK = "forecaster", "about.json", "last-good.json", ".lock"

#: Models that stay on the disk next to the one in use, for a rollback.
OLD_MODELS = 3

#: Drafts of processes that were killed are removed after this many seconds.
_DRAFT_SECONDS = 3600


def source_of(settings: Settings) -> ModelSource:
    """Return the source for FLARE_MODEL, or else for the alias of the registered model."""
    address = settings.model or f"models:/{settings.model_name}@{settings.alias}"
    if ":/" not in address and Path(address).is_dir():
        return FolderSource(Path(address))
    cache = ModelCache(settings.state_dir, f"{settings.tracking_uri or ''} {address}")
    return MLflowSource(
        address, model_name=settings.model_name, tracking_uri=settings.tracking_uri, cache=cache
    )


class _Current(NamedTuple):
    """What the address stands for now; ``name`` is the model's."""

    version: Version
    name: str
    uri: str
    run_id: str | None
    registered: "RegisteredVersion | None" = None


class MLflowSource:
    """A model of MLflow: the version that an alias marks, or a fixed version, run or address."""

    def __init__(
        self, address: str, *, model_name: str, tracking_uri: str | None, cache: "ModelCache"
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
            self._cache.update(loaded.version.key, {"details": details})
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

    def _fetch(self, current: _Current) -> "CachedModel":
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


def _loaded(copy: "CachedModel") -> Loaded:
    about = copy.about
    return Loaded(
        load(copy.forecaster),
        Version(str(about.get("number")), copy.key),
        str(about.get("name")),
        copy.forecaster,
        uri=str(about.get("uri")),
        details=dict(about.get("details") or {}),
    )


@dataclass(frozen=True)
class CachedModel:
    """One model on this disk: the forecaster's folder, and JSON values about it."""

    key: str
    forecaster: Path
    about: dict[str, Any]


class ModelCache:
    """The models that were fetched for one address, in a folder that several servers may share.

    Each has a folder of its own, which appears complete or not at all, with the forecaster and what
    the registry knew of it. A file that is replaced in one step names the last good one.
    """

    def __init__(self, state_dir: Path, address: str) -> None:
        """Make the folder; where that is impossible, a temporary one for this process."""
        name = hashlib.sha256(address.encode()).hexdigest()[:12]
        self.folder = state_dir.absolute() / "models" / name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
        except OSError as error:
            log.warning("cannot store models in %s (%s); set FLARE_STATE_DIR", state_dir, error)
            self.folder = Path(tempfile.mkdtemp(prefix="flare-serving-"))
            atexit.register(shutil.rmtree, self.folder, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time fetch, replace or remove models."""
        with ExitStack() as stack:
            with suppress(OSError):  # a full disk
                stack.enter_context(locked(self.folder / LOCK))
            yield

    def find(self, key: str) -> CachedModel | None:
        """Return a model that was fetched before."""
        folder = self._folder_of(key)
        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            if about["key"] == key and (folder / FORECASTER).is_dir():
                return CachedModel(key, folder / FORECASTER, dict(about))
        except (OSError, ValueError, TypeError, KeyError):
            pass
        return None

    def put(self, key: str, about: dict[str, Any], fetch: Callable[[Path], Path]) -> CachedModel:
        """Store what ``fetch`` writes below the folder that it is called with; it returns where.

        Each process has a draft of its own: on a file system without locks several fetch at once.
        """
        about = {**about, "key": key}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(
                prefix=".draft-", dir=self.folder, ignore_cleanup_errors=True
            ) as temporary:
                draft = Path(temporary, "model")
                draft.mkdir()
                fetched = fetch(draft)
                if fetched != draft / FORECASTER:
                    fetched.rename(draft / FORECASTER)
                (draft / ABOUT).write_text(json.dumps(about), encoding="utf-8")
                self._publish(draft, key)
        except FlareError:  # some are OSErrors too
            raise
        except OSError as error:
            raise TrackingUnavailable(
                f"cannot store a model in {self.folder}: {error.strerror or error}; free some "
                "space, change the permissions, or set FLARE_STATE_DIR"
            ) from error
        return CachedModel(key, self._folder_of(key) / FORECASTER, about)

    def _publish(self, draft: Path, key: str) -> None:
        try:
            draft.rename(self._folder_of(key))
        except OSError:  # there is one: damaged, or another process was faster and reads it now
            if self.find(key) is None:
                self.remove(key)
                draft.rename(self._folder_of(key))

    def update(self, key: str, about: dict[str, Any]) -> None:
        """Replace some stored details of a model."""
        copy = self.find(key)
        if copy is not None:
            with suppress(OSError):
                content = json.dumps({**copy.about, **about})
                write_atomically(copy.forecaster.parent / ABOUT, content)

    def remove(self, key: str) -> None:
        """Remove a damaged model."""
        shutil.rmtree(self._folder_of(key), ignore_errors=True)

    def mark_good(self, key: str) -> None:
        """Note which model the next start begins with, and remove the oldest others."""
        try:
            write_atomically(self.folder / LAST_GOOD, json.dumps({"key": key}))
            os.utime(self._folder_of(key))
        except OSError as error:
            log.warning("cannot note the last good model in %s: %s", self.folder, error)
        with suppress(OSError):  # another process removes the same ones
            good = self._folder_of(key)
            others = [p for p in self.folder.glob("[!.]*") if p.is_dir() and p != good]
            others.sort(key=lambda path: path.stat().st_mtime)
            hidden = [p for p in self.folder.glob(".*") if p.is_dir()]
            drafts = [p for p in hidden if time.time() - p.stat().st_mtime > _DRAFT_SECONDS]
            for path in others[:-OLD_MODELS] + drafts:
                shutil.rmtree(path, ignore_errors=True)

    def last_good(self) -> CachedModel | None:
        """Return the model that was good last; None where there is none."""
        try:
            key = json.loads((self.folder / LAST_GOOD).read_text(encoding="utf-8"))["key"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return self.find(str(key))

    def _folder_of(self, key: str) -> Path:
        """Return a readable folder name, which no key can turn into another path."""
        readable = re.sub(r"[^0-9A-Za-z-]+", "-", key).strip("-")[:24]
        return self.folder / f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
