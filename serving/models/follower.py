"""Follow the production model: look for a new version, test it, and replace the old one at once.

One thread polls and loads; requests only read one reference. A version that cannot be loaded or
fails its self-test changes nothing but ``last_error``, and so does a registry that does not answer:
the last good version is stored on this disk, and a start begins with it.
"""

import logging
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from flare.errors import FlareError, ForecasterInvalid, ModelNotFound, TrackingUnavailable
from flare.forecast import Forecast
from flare.forecasters.answer import answers
from flare.forecasters.base import ONNX_RUNTIME, TORCH, Forecaster, limit_torch
from flare.goes import HEADLINE_EVENT
from flare.sample import CUBE_SHAPE, present_of_cube
from serving.models.source import Loaded, ModelSource, Version

log = logging.getLogger("flare.serving")

#: How long a stop waits for a download or load in progress.
STOP_SECONDS = 5.0

#: Most cores for one request: threads that wait for each other gain less the more there are.
MAX_CORES_PER_REQUEST = 4

#: How often MLflow is asked for new scores and a new card of the live model.
DETAILS_SECONDS = 60.0


class StillLoading(ModelNotFound):
    """The server has not finished its first look for a model."""


class Follower:
    """The live model of one source, and the thread that replaces it."""

    def __init__(self, source: ModelSource, *, poll_seconds: float, cores: int = 1) -> None:
        self._source, self._poll_seconds, self._cores = source, poll_seconds, cores
        self.live: Loaded | None = None
        """The model that answers now; a request reads it once and uses nothing else."""
        self.last_error: str | None = None
        """Why the latest look for a model failed, None if it did not.

        As text: an exception would keep the refused model in memory.
        """
        self.polled_at: datetime | None = None
        """When the source answered last."""
        self._unavailable = False  # whether the registry caused the last error
        self._refused: tuple[Version, str] | None = None  # a broken version, and why
        self._next_details = 0.0
        self._polling = threading.Lock()
        self._first_poll_done = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    @property
    def alias(self) -> str | None:
        """The alias that is followed."""
        return self._source.alias

    def snapshot(self) -> Loaded:
        """Return the live model.

        Raises
        ------
        StillLoading, ModelNotFound, TrackingUnavailable
            There is none yet, and why.
        """
        live = self.live
        if live is not None:
            return live
        if self.last_error is None:
            raise StillLoading("no model is loaded: the first one is still being loaded")
        kind = TrackingUnavailable if self._unavailable else ModelNotFound
        raise kind(f"no model is loaded: {self.last_error}")

    def poll_once(self) -> None:
        """Look for another version and, if it passes its test, make it the live one."""
        with self._polling:
            try:
                version = self._source.current_version()
                self.polled_at = datetime.now(UTC)
                if self._refused is not None and version == self._refused[0]:
                    self._note(self._refused[1])  # until another version is promoted
                    return
                if self.live is None or version != self.live.version:
                    self._replace_by(version)
                self.last_error = self._refused = None
                self._update_details()
            except FlareError as error:
                self._note(str(error), unavailable=isinstance(error, TrackingUnavailable))
            except Exception as error:
                message = f"{type(error).__name__} while loading a model; see the server's log"
                if message != self.last_error:  # once, not at every poll
                    log.exception("looking for a new model failed")
                self._note(message)

    def start(self) -> None:
        """Start polling in the background."""
        self._thread.start()

    def wait_for_first_poll(self, seconds: float) -> None:
        """Return once the first poll has ended, with or without a model, or the time is over."""
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
        """Go live with the model on this disk, before the registry is asked."""
        try:
            model = self._source.last_good()
            if model is not None:
                self.live = self._tested(model)
                log.info("%s version %s is live, from this disk", model.name, model.version.number)
        except ForecasterInvalid as error:
            log.warning("the last good model on this disk is not used: %s", error)
        except Exception:
            log.exception("the last good model on this disk could not be read")

    def _replace_by(self, version: Version) -> None:
        """Load and test next to the live model, then replace it by one assignment."""
        try:
            candidate = self._source.load(version)
            try:
                candidate = self._tested(candidate)
            except ForecasterInvalid:
                self._source.refuse(candidate)
                raise
        except ForecasterInvalid as error:
            reason = f"version {version.number}: {error}; promote another version"
            self._refused = version, reason
            raise ForecasterInvalid(reason) from error
        self.live = candidate
        log.info("%s version %s is live", candidate.name, candidate.version.number)
        self._source.accept(candidate)

    def _update_details(self) -> None:
        if self.live is not None and time.monotonic() >= self._next_details:
            self._next_details = time.monotonic() + DETAILS_SECONDS
            self.live = self._source.with_new_details(self.live)

    def _tested(self, candidate: Loaded) -> Loaded:
        """Return a model that is prepared and has passed its self-test, which also warms it up."""
        candidate = with_threads_for(self._cores, candidate)
        for forecaster in (candidate.forecaster, candidate.multi_core):
            if forecaster is not None:
                self_test(forecaster)
        return candidate

    def _note(self, error: str, *, unavailable: bool = False) -> None:
        if error != self.last_error:
            log.warning("no new model: %s", error)
        self.last_error, self._unavailable = error, unavailable


def with_threads_for(cores: int, loaded: Loaded) -> Loaded:
    """Set the threads of a model for this number of cores.

    A forecast takes one core, so that others run at the same time; the only request takes all of
    them, up to `MAX_CORES_PER_REQUEST`, as threads of ONNX Runtime (equal to within 1e-7).
    """
    forecaster = loaded.forecaster
    if TORCH in forecaster.engine and forecaster.device == "cpu":
        limit_torch(1)
    threads = min(cores, MAX_CORES_PER_REQUEST) if ONNX_RUNTIME in forecaster.engine else 1
    multi_core = forecaster.with_threads(threads) if threads > 1 else None
    return replace(loaded, forecaster=forecaster.with_threads(1), multi_core=multi_core)


def self_test(forecaster: Forecaster) -> None:
    """Forecast from a ramp of grey levels, once complete and once with half the images missing.

    Raises ForecasterInvalid: it fails, or its numbers are not those of a forecast.
    """
    ramp = np.linspace(1, 255, np.prod(CUBE_SHAPE)).astype(np.uint8).reshape(CUBE_SHAPE)
    cubes = np.stack([ramp, ramp])
    cubes[1, :, ::2] = 0
    cubes.flags.writeable = False  # like those of an upload
    try:
        forecast = forecaster.predict(cubes, present_of_cube(cubes))
        check_forecast(forecast, n=2)
        answers(forecaster, forecast)
    except (ForecasterInvalid, MemoryError):
        raise  # there may be enough memory later
    except Exception as error:
        raise ForecasterInvalid(f"the self-test raised {type(error).__name__}: {error}") from error


def check_forecast(forecast: Forecast, *, n: int) -> None:
    """Raise ForecasterInvalid unless it has N rows of finite, ordered fluxes and probabilities."""
    low, flux, high = forecast.lower, forecast.log10_flux, forecast.upper
    probability = forecast.probability
    if {low.shape, flux.shape, high.shape} != {(n,)}:
        raise ForecasterInvalid(f"fluxes have shapes {flux.shape}, {low.shape}, {high.shape}")
    if probability.shape != (n, len(forecast.events)) or HEADLINE_EVENT not in forecast.events:
        raise ForecasterInvalid(
            f"probabilities have shape {probability.shape} for the events {forecast.events}"
        )
    # Written so that NaN fails every comparison.
    if not ((low <= flux) & (flux <= high) & np.isfinite(low) & np.isfinite(high)).all():
        raise ForecasterInvalid(f"the log10 fluxes {flux} are not within {low} and {high}")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ForecasterInvalid(f"the probabilities {probability} are not within 0 and 1")
