"""The metrics of `GET /metrics` for Prometheus: requests, times, the queue, the model, forecasts.

They are those of one process. Several workers of one server answer in turn, each with its own, so
run one worker a server, and several servers.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from flare.forecasters.drift import Drift, drifts, summaries
from flare.sample import N_PLANES
from serving.history import History
from serving.models.source import Loaded, Version
from serving.schemas import Prediction

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LOG10_FLUX = (-9, -8.5, -8, -7.5, -7, -6.5, -6, -5.5, -5, -4.5, -4, -3.5, -3)
_PROBABILITY = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)


#: Forecasts of the live version that are compared with the training inputs, and how often.
RECENT = 500
DRIFT_SECONDS = 60.0


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self._drift_of: Version | None = None
        self._next_drift = 0.0
        registry = self._registry = CollectorRegistry()
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        seconds = partial(histogram, buckets=_SECONDS)
        self.requests = counter(
            "flare_requests",
            "Requests by method, endpoint and status.",
            ("method", "endpoint", "status"),
        )
        self.request_seconds = seconds(
            "flare_request_seconds",
            "Seconds from a request's first byte to its answer's last.",
            ("endpoint",),
        )
        self.forecast_seconds = seconds(
            "flare_forecast_seconds",
            "Seconds that a core checked an upload and forecast.",
            ("source",),
        )
        self.waiting_seconds = seconds(
            "flare_waiting_seconds", "Seconds that a request waited for a core."
        )
        self.queue = gauge(
            "flare_queue_requests", "Requests that are uploaded, wait for a core or are computed."
        )
        self.model = gauge(
            "flare_model_live",
            "1 for the model version that answers now.",
            ("name", "version", "kind"),
        )
        self.following = gauge(
            "flare_following_failed", "1 if the latest poll for a new version failed."
        )
        self.forecasts = counter(
            "flare_forecasts",
            "Forecasts by model version and GOES class letter.",
            ("version", "flare_class"),
        )
        self.alerts = counter("flare_alerts", "Forecasts of M or X above the threshold.")
        self.log_flux = histogram(
            "flare_log10_flux", "Forecast log10 peak flux in W m^-2.", buckets=_LOG10_FLUX
        )
        self.probability = histogram(
            "flare_mx_probability", "Forecast probability of M or X.", buckets=_PROBABILITY
        )
        self.images = counter("flare_images", "Images of complete samples: 40 for each forecast.")
        self.missing = counter("flare_images_missing", "Images that were missing.")

        moved = partial(gauge, labelnames=("channel",))
        self.psi = moved(
            "flare_input_psi",
            "Population stability index of the newest forecasts' brightness by channel, and of "
            "their M1.0 probability, against the training.",
        )
        self.ks = moved("flare_input_ks", "Kolmogorov-Smirnov distance of the same.")
        self.missing_share = moved("flare_input_missing_share", "Share of missing images of them.")
        self.statuses = counter(
            "flare_forecast_status", "Forecasts that are normal, degraded or abstain.", ("status",)
        )

    def count(self, forecasts: Sequence[Prediction]) -> None:
        """Count forecasts."""
        for one in forecasts:
            self.forecasts.labels(one.model_version, one.flare_class).inc()
            self.log_flux.observe(one.log_flux)
            self.probability.observe(one.mx_probability)
            self.alerts.inc(one.alert)
            self.statuses.labels(one.status).inc()
        self.images.inc(N_PLANES * len(forecasts))
        self.missing.inc(sum(one.missing_images for one in forecasts))

    @contextmanager
    def in_progress(self) -> Iterator[None]:
        """Count a request for a forecast while it is uploaded, waits or is computed."""
        self.queue.inc()
        try:
            yield
        finally:
            self.queue.dec()

    def page(self, live: Loaded | None, history: History, *, failed: bool) -> bytes:
        """Return everything in Prometheus' text format."""
        self.following.set(failed)
        self.model.clear()  # no series of a version that does not answer any more
        if live is not None:
            self.model.labels(live.name, live.version.number, live.forecaster.kind).set(1)
        version = None if live is None else live.version
        now = time.monotonic()
        if version != self._drift_of or now >= self._next_drift:
            self._drift_of, self._next_drift = version, now + DRIFT_SECONDS
            self._set_drift([] if live is None else _drifts(live, history))
        return generate_latest(self._registry)

    def _set_drift(self, channels: list[Drift]) -> None:
        for gauge in (self.psi, self.ks, self.missing_share):
            gauge.clear()
        for one in channels:
            if not math.isnan(one.psi):  # there are enough forecasts
                self.psi.labels(one.name).set(one.psi)
                self.ks.labels(one.name).set(one.ks)
            if not math.isnan(one.missing):
                self.missing_share.labels(one.name).set(one.missing)


def _drifts(live: Loaded, history: History) -> list[Drift]:
    """Compare the newest forecasts of a model with its training inputs, where it has them."""
    training = live.forecaster.training_inputs
    if training is None:
        return []
    stored = history.of_version(live.name, live.version.number, RECENT)
    rows = [row for row in stored if row["brightness"] is not None]
    brightness, missing = summaries(
        [row["brightness"] for row in rows],
        [[one["channel"] for one in row["missing"]] for row in rows],
    )
    chances = np.array([row["mx_probability"] for row in rows], dtype=np.float64)
    return drifts(training, brightness, missing, chances)
