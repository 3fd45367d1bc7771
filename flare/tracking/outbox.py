"""The thread that sends a run's journal, in its own time: logging never waits for a server.

While the server is away it asks again and again, more and more seldom; the journal on this disk
grows meanwhile, and nothing else happens.
"""

import logging
import os
import threading
import time

import mlflow
from mlflow import MlflowClient

from flare.tracking.local_copy import Entry, LocalCopy
from flare.tracking.sending import METRICS_A_REQUEST, is_refused, send

log = logging.getLogger("flare")

#: Seconds that the end of a run, or the registration of its model, waits for a server that is away.
PATIENCE, PATIENCE_VARIABLE = 300.0, "FLARE_TRACKING_PATIENCE"

_GATHER = 1.0  # seconds in which entries become one request
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0


def patience() -> float:
    """Return how many seconds to wait for a server that is away."""
    try:
        return max(0.0, float(os.environ.get(PATIENCE_VARIABLE, PATIENCE)))
    except ValueError:
        return PATIENCE


class Outbox:
    """Sends what is appended to a run's local copy, in order, one request at a time."""

    def __init__(self, client: MlflowClient, run_id: str, copy: LocalCopy) -> None:
        self._client, self._run_id, self.copy = client, run_id, copy
        self._uri = mlflow.get_tracking_uri()
        self._changed = threading.Condition()
        self._hurry = self._draining = self._closing = False
        self.failing = ""
        self.refused: list[str] = []
        self._thread = threading.Thread(target=self._work, name=f"outbox {run_id}", daemon=True)
        self._thread.start()

    def append(self, entry: Entry) -> None:
        """Keep an entry on disk, for the thread to send."""
        self.copy.append(entry)
        with self._changed:
            self._changed.notify_all()

    def hurry(self) -> None:
        """Have everything sent soon, without waiting for it."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Wait until everything was sent, at most so long; return whether it was."""
        ends = time.monotonic() + seconds
        told = False
        with self._changed:
            self._draining = True
            self._changed.notify_all()
            while self.copy.behind and (left := ends - time.monotonic()) > 0:
                if self.failing and not told:
                    told = True
                    log.warning("waiting up to %.0f s for MLflow at %s to answer", left, self._uri)
                self._changed.wait(min(0.5, left))
            self._draining = False
            return not self.copy.behind

    def close(self, seconds: float) -> bool:
        """Drain, end the thread and let go of the folder; return whether everything was sent."""
        try:
            return self.drain(seconds)
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            self._thread.join(timeout=2.0)
            self.copy.close()

    def _work(self) -> None:
        pause = _FIRST_PAUSE
        while self._wait_for_something():
            entries, end = self.copy.unsent(METRICS_A_REQUEST)
            try:
                self._send(entries)
                self.copy.mark_sent(end)
            except Exception as error:  # whatever a server that is away makes of it
                self._failed(error)
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, timeout=pause)
                    if self._closing:
                        return
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            if self.failing:
                log.info("MLflow answers again: sending what was kept meanwhile")
                self.failing = ""
            with self._changed:
                self._changed.notify_all()

    def _wait_for_something(self) -> bool:
        """Wait for entries, and a little longer for more of them; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self.copy.behind)
            self._changed.wait_for(self._at_once, timeout=_GATHER)
            self._hurry = False
            return not self._closing

    def _at_once(self) -> bool:
        return self._closing or self._hurry or self._draining

    def _send(self, entries: list[Entry]) -> None:
        """Send entries; of those that MLflow refuses for good only those are left out."""
        try:
            send(self._client, self._run_id, self.copy.folder, entries)
        except Exception as error:
            if not is_refused(error):
                raise
            if len(entries) > 1:
                for entry in entries:
                    self._send([entry])
                return
            self.refused.append(_first_line(error))
            log.warning("MLflow refuses an entry of this run: %s", self.refused[-1])

    def _failed(self, error: Exception) -> None:
        if not self.failing:
            log.warning(
                "MLflow at %s does not answer (%s); the run goes on, and what it logs is kept in "
                "%s until it does",
                self._uri,
                _first_line(error),
                self.copy.folder,
            )
        self.failing = _first_line(error)


def _first_line(error: Exception) -> str:
    text = str(error)
    return text.splitlines()[0][:300] if text else type(error).__name__
