"""Keep the production model live: look for a new version, prove it, swap it in whole.

One thread polls and loads; requests only ever read one reference. A version that cannot be loaded
or fails its self-test changes nothing but ``last_error``.
"""

import logging
import threading

from flare.errors import FlareError, ForecasterInvalid, ModelNotFound, TrackingUnavailable
from serving.engine import self_test
from serving.source import Loaded, ModelSource

logger = logging.getLogger(__name__)

#: How long a stop waits for a download or load that is under way.
STOP_SECONDS = 5.0


class Follower:
    """The live model of one source, and the thread that renews it."""

    def __init__(self, source: ModelSource, *, poll_seconds: float) -> None:
        self._source = source
        self._poll_seconds = poll_seconds
        self._live: Loaded | None = None
        # Errors are kept as text: an exception would keep the refused model in memory.
        self._error: str | None = None
        self._unavailable = False  # whether the registry is why
        self._refused: tuple[str, str] | None = None  # a broken version, and how
        self._polling = threading.Lock()
        self._first_poll_done = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    @property
    def live(self) -> Loaded | None:
        """The model that answers now; take it once and use nothing else for a request."""
        return self._live

    @property
    def last_error(self) -> str | None:
        """Why the latest look for a model failed, None if it did not."""
        return self._error

    def snapshot(self) -> Loaded:
        """Return the live model.

        Raises
        ------
        ModelNotFound, TrackingUnavailable
            There is none yet, and why.
        """
        live = self._live
        if live is not None:
            return live
        reason = self.last_error or "the first one is still being loaded"
        kind = TrackingUnavailable if self._unavailable else ModelNotFound
        raise kind(f"no model is loaded: {reason}")

    def poll_once(self) -> None:
        """Look for another version and, if it proves itself, make it the live one."""
        with self._polling:
            try:
                version = self._source.current_version()
                if self._refused is not None and version == self._refused[0]:
                    self._note(self._refused[1])  # until another version is promoted
                    return
                if self._live is None or version != self._live.version:
                    self._replace_by(version)
                self._error = self._refused = None
            except FlareError as error:
                self._note(str(error), unavailable=isinstance(error, TrackingUnavailable))
            except Exception as error:
                logger.exception("looking for a new model failed")
                kind = type(error).__name__
                self._note(f"{kind} while loading a model; see the server's log")

    def start(self) -> None:
        """Start polling in the background."""
        self._thread.start()

    def wait_for_first_poll(self, seconds: float) -> None:
        """Return once the first poll has ended, however it ended, or the time is over."""
        self._first_poll_done.wait(seconds)

    def stop(self) -> None:
        """Stop polling and free the live model's download."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        if self._live is not None:
            self._source.discard(self._live)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.poll_once()
            self._first_poll_done.set()
            self._stopping.wait(self._poll_seconds)

    def _replace_by(self, version: str) -> None:
        """Load beside the live model, try, then swap by one assignment."""
        try:
            candidate = self._source.load(version)
            try:
                self_test(candidate.forecaster)
            except ForecasterInvalid:
                self._source.discard(candidate)
                raise
        except ForecasterInvalid as error:
            broken = f"version {version}: {error}; promote another version"
            self._refused = version, broken
            raise ForecasterInvalid(broken) from error
        former, self._live = self._live, candidate
        logger.info("%s version %s is live", candidate.name, candidate.version)
        if former is not None:
            self._source.discard(former)

    def _note(self, error: str, *, unavailable: bool = False) -> None:
        if error != self._error:
            logger.warning("no new model: %s", error)
        self._error, self._unavailable = error, unavailable
