"""What the endpoints share while the application lives, and how a forecast is made."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from fastapi import Request

from flare.errors import ModelNotFound, TrackingUnavailable
from serving.body import drop_body, read_body
from serving.engine import predict
from serving.follower import Follower
from serving.history import History
from serving.metrics import Metrics
from serving.pool import Busy, Pool
from serving.schemas import Prediction
from serving.settings import Settings
from serving.source import Loaded
from serving.uploads import Samples


@dataclass(frozen=True)
class Service:
    """Kept in ``app.state.service``."""

    settings: Settings
    follower: Follower
    pool: Pool
    history: History
    metrics: Metrics


@dataclass(frozen=True)
class Forecasts:
    """The forecasts of N samples, all by one model."""

    live: Loaded
    samples: Samples
    predictions: list[Prediction]


def service_of(request: Request) -> Service:
    """Return the application's service."""
    return cast(Service, request.app.state.service)


async def forecast(
    request: Request, read: Callable[[bytes | bytearray], Samples], *, source: str
) -> Forecasts:
    """Read the body, have it checked and forecast by one thread and one model, and remember it.

    ``read`` turns the body into samples; the thread calls it.
    """
    service = service_of(request)
    settings = service.settings
    body: bytes | bytearray | None = None
    try:
        async with service.pool.place() as place:
            service.follower.snapshot()  # there is a model at all
            upload = body = await read_body(
                request, seconds=settings.upload_seconds, max_bytes=settings.max_upload_bytes
            )
            ready = time.perf_counter()

            def work() -> Forecasts:
                began = time.perf_counter()
                service.metrics.waiting_seconds.observe(began - ready)
                samples = read(upload)
                live = service.follower.snapshot()  # this one and no other answers
                alone = service.pool.taken == 1
                predictions = predict(live, samples.cubes, samples.present, alone=alone)
                predictions = [
                    one.model_copy(update={"scale": scale})
                    for one, scale in zip(predictions, samples.scales, strict=True)
                ]
                service.metrics.forecast_seconds.labels(source).observe(time.perf_counter() - began)
                return Forecasts(live, samples, predictions)

            found = await place.run(work)
    except (Busy, ModelNotFound, TrackingUnavailable):
        if body is None:
            await drop_body(request, seconds=settings.upload_seconds)
        raise
    service.metrics.count(found.predictions)
    service.history.add(source, found.predictions)
    version = found.live.version.number
    request.state.said = {"model_version": version, "forecasts": len(found.predictions)}
    return found
