"""Keep the production model live: look for a new version, prove it, swap it in whole.

One thread polls and loads; requests only ever read one reference. A version that cannot be loaded
or fails its self-test changes nothing but ``last_error``. A registry that is away changes nothing
either: what was good last is kept on this disk, and is what a start begins with.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from flare.errors import FlareError, ForecasterInvalid, ModelNotFound, TrackingUnavailable
from serving.models.engine import self_test
from serving.models.source import Loaded, ModelSource, Version

log = logging.getLogger("flare.serving")

#: How long a stop waits for a download or load that is under way.
STOP_SECONDS = 5.0

#: How often the live model's scores and card are asked for again.
RENEW_SECONDS = 60.0


class StillLoading(ModelNotFound):
    """The first look for a model goes on; nobody knows yet whether there is one."""


def _as_it_is(loaded: Loaded) -> Loaded:
    return loaded


class Follower:
    """The live model of one source, and the thread that renews it."""

    def __init__(
        self,
        source: ModelSource,
        *,
        poll_seconds: float,
        prepare: Callable[[Loaded], Loaded] = _as_it_is,
    ) -> None:
        """Follow a source; ``prepare`` is what becomes of every model that was loaded."""
        self._source = source
        self._poll_seconds = poll_seconds
        self._prepare = prepare
        self._live: Loaded | None = None
        # Errors are kept as text: an exception would keep the refused model in memory.
        self._error: str | None = None
        self._unavailable = False  # whether the registry is why
        self._refused: tuple[Version, str] | None = None  # a broken version, and how
        self._polled_at: datetime | None = None
        self._renew_at = 0.0
        self._polling = threading.Lock()
        self._first_poll_done = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    @property
    def live(self) -> Loaded | None:
        """The model that answers now; take it once and use nothing else for a request."""
        return self._live

    @property
    def followed(self) -> str | None:
        """The alias whose changes are followed."""
        return self._source.followed

    @property
    def last_error(self) -> str | None:
        """Why the latest look for a model failed, None if it did not."""
        return self._error

    @property
    def polled_at(self) -> datetime | None:
        """When the source answered last."""
        return self._polled_at

    def snapshot(self) -> Loaded:
        """Return the live model.

        Raises
        ------
        StillLoading, ModelNotFound, TrackingUnavailable
            There is none yet, and why.
        """
        live = self._live
        if live is not None:
            return live
        if self.last_error is None:
            raise StillLoading("no model is loaded: the first one is still being loaded")
        kind = TrackingUnavailable if self._unavailable else ModelNotFound
        raise kind(f"no model is loaded: {self.last_error}")

    def poll_once(self) -> None:
        """Look for another version and, if it proves itself, make it the live one."""
        with self._polling:
            try:
                version = self._source.current_version()
                self._polled_at = datetime.now(UTC)
                if self._refused is not None and version == self._refused[0]:
                    self._note(self._refused[1])  # until another version is promoted
                    return
                if self._live is None or version != self._live.version:
                    self._replace_by(version)
                self._error = self._refused = None
                self._renew()
            except FlareError as error:
                self._note(str(error), unavailable=isinstance(error, TrackingUnavailable))
            except Exception as error:
                told = f"{type(error).__name__} while loading a model; see the server's log"
                if told != self._error:  # once, not at every poll
                    log.exception("looking for a new model failed")
                self._note(told)

    def start(self) -> None:
        """Start polling in the background."""
        self._thread.start()

    def wait_for_first_poll(self, seconds: float) -> None:
        """Return once the first poll has ended, however it ended, or the time is over."""
        self._first_poll_done.wait(seconds)

    def stop(self) -> None:
        """Stop polling."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        self._begin_with_last_good()
        while not self._stopping.is_set():
            self.poll_once()
            self._first_poll_done.set()
            self._stopping.wait(self._poll_seconds)

    def _begin_with_last_good(self) -> None:
        """Go live with what this disk holds, before anybody is asked."""
        try:
            kept = self._source.last_good()
            if kept is not None:
                self._live = self._proved(kept)
                log.info("%s version %s is live, from this disk", kept.name, kept.version.number)
        except ForecasterInvalid as error:
            log.warning("the last good model of this disk is not used: %s", error)
        except Exception:
            log.exception("the last good model of this disk could not be read")

    def _replace_by(self, version: Version) -> None:
        """Load beside the live model, try, then swap by one assignment."""
        try:
            candidate = self._source.load(version)
            try:
                candidate = self._proved(candidate)
            except ForecasterInvalid:
                self._source.refuse(candidate)
                raise
        except ForecasterInvalid as error:
            broken = f"version {version.number}: {error}; promote another version"
            self._refused = version, broken
            raise ForecasterInvalid(broken) from error
        self._live = candidate
        log.info("%s version %s is live", candidate.name, candidate.version.number)
        self._source.accept(candidate)

    def _renew(self) -> None:
        """Ask now and then what else is known of the live model: it may have been evaluated."""
        live = self._live
        if live is not None and time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + RENEW_SECONDS
            self._live = self._source.renewed(live)

    def _proved(self, candidate: Loaded) -> Loaded:
        """Return a model that is prepared, warm, and has shown that it can answer."""
        candidate = self._prepare(candidate)
        self_test(candidate.forecaster)
        if candidate.alone is not None:
            self_test(candidate.alone)
        return candidate

    def _note(self, error: str, *, unavailable: bool = False) -> None:
        if error != self._error:
            log.warning("no new model: %s", error)
        self._error, self._unavailable = error, unavailable
