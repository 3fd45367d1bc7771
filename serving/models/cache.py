"""Models on this disk: what was fetched stays, so that a start does without the registry.

Each has a folder of its own that appears whole or not at all, with the forecaster and what the
registry knew of it. Several server processes may share the place. Which one was good last is said
by a file that is replaced in one step.
"""

import atexit
import fcntl
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

from flare.errors import TrackingUnavailable

log = logging.getLogger("flare.serving")

FORECASTER, ABOUT, LAST_GOOD, LOCK = "forecaster", "about.json", "last-good.json", ".lock"

#: Folders that stay beside those in use: a rollback finds its version here.
KEPT = 3

#: Drafts of processes that were killed are removed after this many seconds.
_DRAFT_SECONDS = 3600


@dataclass(frozen=True)
class KeptModel:
    """One model on this disk: its folder's key, the forecaster's folder, and what is known of it.

    ``about`` is JSON values.
    """

    key: str
    forecaster: Path
    about: dict[str, Any]


class KeptModels:
    """The models that were fetched for one address, below a folder."""

    def __init__(self, state_dir: Path, address: str) -> None:
        """Make the place; where that cannot be done, a temporary one for this process."""
        name = hashlib.sha256(address.encode()).hexdigest()[:12]
        self.place = state_dir.absolute() / "models" / name
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            probe = tempfile.TemporaryFile(dir=self.place)  # noqa: SIM115
            probe.close()
        except OSError as error:
            log.warning("no model can be kept in %s (%s); FLARE_STATE_DIR", state_dir, error)
            self.place = Path(tempfile.mkdtemp(prefix="flare-serving-"))
            atexit.register(shutil.rmtree, self.place, ignore_errors=True)
        self._remove_drafts()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from fetching, replacing or removing models meanwhile."""
        with ExitStack() as held:
            with suppress(OSError):  # a full disk, or a network file system without locks
                file = held.enter_context((self.place / LOCK).open("a"))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def find(self, key: str) -> KeptModel | None:
        """Return a model that was fetched before."""
        folder = self.place / _file_name(key)
        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            if about["key"] == key and (folder / FORECASTER).is_dir():
                return KeptModel(key, folder / FORECASTER, dict(about))
        except (OSError, ValueError, TypeError, KeyError):
            pass
        return None

    def put(self, key: str, about: dict[str, Any], fetch: Callable[[Path], Path]) -> KeptModel:
        """Keep what ``fetch`` copies below the folder that it is given and returns."""
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=self.place))
        except OSError as error:
            raise TrackingUnavailable(
                f"no model can be kept in {self.place}: {error.strerror}; make room or rights, or "
                "set FLARE_STATE_DIR"
            ) from error
        try:
            fetched = fetch(draft)
            if fetched != draft / FORECASTER:
                fetched.rename(draft / FORECASTER)
            (draft / ABOUT).write_text(json.dumps({**about, "key": key}), encoding="utf-8")
            folder = self.place / _file_name(key)
            try:
                draft.rename(folder)
            except OSError:
                # Either another process was quicker with the same model, and is reading it now, or
                # what lies there is damaged.
                if self.find(key) is None:
                    self.remove(key)
                    draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return KeptModel(key, folder / FORECASTER, {**about, "key": key})

    def renew(self, key: str, about: dict[str, Any]) -> None:
        """Replace some of what is known of a model, in one step."""
        found = self.find(key)
        if found is None:
            return
        path = found.forecaster.parent / ABOUT
        with suppress(OSError):
            draft = path.with_suffix(".new")
            draft.write_text(json.dumps({**found.about, **about}), encoding="utf-8")
            draft.replace(path)

    def remove(self, key: str) -> None:
        """Remove a model that turned out to be damaged."""
        shutil.rmtree(self.place / _file_name(key), ignore_errors=True)

    def mark_good(self, key: str) -> None:
        """Remember which model to begin with at the next start, and drop the oldest others."""
        try:
            with tempfile.NamedTemporaryFile(
                "w", dir=self.place, prefix=".draft-", delete=False, encoding="utf-8"
            ) as draft:
                json.dump({"key": key}, draft)
            os.replace(draft.name, self.place / LAST_GOOD)  # noqa: PTH105
            os.utime(self.place / _file_name(key))
        except OSError as error:
            log.warning("the last good model cannot be noted in %s: %s", self.place, error)
        with suppress(OSError):  # another process removes the same ones
            self._prune(key)

    def last_good(self) -> KeptModel | None:
        """Return the model that was good last; None where there is none."""
        try:
            key = json.loads((self.place / LAST_GOOD).read_text(encoding="utf-8"))["key"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return self.find(str(key))

    def _prune(self, key: str) -> None:
        folders = [
            (path.stat().st_mtime, path)
            for path in self.place.iterdir()
            if path.is_dir() and not path.name.startswith(".") and path.name != _file_name(key)
        ]
        for _, path in sorted(folders, reverse=True)[KEPT:]:
            shutil.rmtree(path, ignore_errors=True)

    def _remove_drafts(self) -> None:
        for path in self.place.glob(".draft-*"):
            try:
                if time.time() - path.stat().st_mtime < _DRAFT_SECONDS:
                    continue
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError:
                continue


def _file_name(key: str) -> str:
    """Return a folder's name for any key: readable, and never a path."""
    readable = re.sub(r"[^0-9A-Za-z-]+", "-", key).strip("-")[:24]
    return f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
