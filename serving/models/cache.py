"""Models on this disk, for the next start and for a rollback."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flare.errors import FlareError, TrackingUnavailable
from flare.files import locked, write_atomically

log = logging.getLogger("flare.serving")

FORECASTER, ABOUT, LAST_GOOD, LOCK = "forecaster", "about.json", "last-good.json", ".lock"

#: Models that stay on the disk next to the one in use, for a rollback.
OLD_MODELS = 3

#: Drafts of processes that were killed are removed after this many seconds.
_DRAFT_SECONDS = 3600


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

    def update(self, key: str, details: dict[str, Any]) -> None:
        """Replace the stored details of a model."""
        copy = self.find(key)
        if copy is not None:
            with suppress(OSError):
                content = json.dumps({**copy.about, "details": details})
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
