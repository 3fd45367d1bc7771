"""What `GET /metrics` tells Prometheus: requests, times, the queue, the model, its forecasts.

Of one process: several workers of one server answer in turn, each for itself, so run one worker a
server, and several servers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from flare.sample import N_PLANES
from serving.models.source import Loaded
from serving.schemas import Prediction

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LOG10_FLUX = (-9, -8.5, -8, -7.5, -7, -6.5, -6, -5.5, -5, -4.5, -4, -3.5, -3)
_PROBABILITY = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)


class Metrics:
    """The numbers of one application, in a registry of its own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "flare_requests",
            "Requests by method, endpoint and status.",
            ("method", "endpoint", "status"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "flare_request_seconds",
            "Seconds from a request's first byte to its answer's last.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.forecast_seconds = Histogram(
            "flare_forecast_seconds",
            "Seconds that a core checked an upload and forecast.",
            ("source",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.waiting_seconds = Histogram(
            "flare_waiting_seconds",
            "Seconds that a request waited for a core.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue = Gauge(
            "flare_queue_requests",
            "Requests that are uploaded, wait for a core or are computed.",
            registry=registry,
        )
        self.model = Gauge(
            "flare_model_live",
            "1 for the model version that answers now.",
            ("name", "version", "kind"),
            registry=registry,
        )
        self.following = Gauge(
            "flare_following_failed",
            "1 if the latest look for a new version failed.",
            registry=registry,
        )
        self.forecasts = Counter(
            "flare_forecasts",
            "Forecasts by model version and GOES class letter.",
            ("version", "flare_class"),
            registry=registry,
        )
        self.alerts = Counter(
            "flare_alerts", "Forecasts of M or X above the threshold.", registry=registry
        )
        self.log_flux = Histogram(
            "flare_log10_flux",
            "Forecast log10 peak flux in W m^-2.",
            buckets=_LOG10_FLUX,
            registry=registry,
        )
        self.probability = Histogram(
            "flare_mx_probability",
            "Forecast probability of M or X.",
            buckets=_PROBABILITY,
            registry=registry,
        )
        self.images = Counter(
            "flare_images", "Images that samples have room for.", registry=registry
        )
        self.missing = Counter(
            "flare_images_missing", "Those that were missing.", registry=registry
        )

    def count(self, forecasts: Sequence[Prediction]) -> None:
        """Count forecasts."""
        for one in forecasts:
            self.forecasts.labels(one.model_version, one.flare_class).inc()
            self.log_flux.observe(one.log_flux)
            self.probability.observe(one.mx_probability)
            self.alerts.inc(one.alert)
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

    def page(self, live: Loaded | None, *, failed: bool) -> bytes:
        """Return everything in Prometheus' text format."""
        self.following.set(failed)
        self.model.clear()  # no series of a version that answers no more
        if live is not None:
            self.model.labels(live.name, live.version.number, live.forecaster.kind).set(1)
        return generate_latest(self._registry)
