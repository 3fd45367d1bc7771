"""What the endpoints share while the application runs, and how an upload becomes forecasts."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from flare.forecasters.explanation.occlusion import Explanation, Occlusion, prepare, with_features
from serving.history import History
from serving.http.connections import Shutdown
from serving.metrics import Metrics
from serving.models.engine import forecast_with, predict
from serving.models.follower import Follower
from serving.models.pool import Place, Pool, TimeLimit
from serving.models.source import Loaded
from serving.schemas import Prediction
from serving.settings import Settings
from serving.uploads.body import Buffers, Pace, read_body
from serving.uploads.files import check_encoding
from serving.uploads.samples import BatchUpload, Samples
from serving.uploads.statements import refused


@dataclass(frozen=True)
class Service:
    """The parts of the application, in ``app.state.service``."""

    settings: Settings
    follower: Follower
    pool: Pool
    buffers: Buffers
    history: History
    metrics: Metrics
    shutdown: Shutdown


@dataclass(frozen=True)
class Forecasts:
    """The forecasts of N samples, all by one model, their ids, and the images left out."""

    live: Loaded
    predictions: list[Prediction]
    ids: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def service_of(request: Request) -> Service:
    """Return the application's service."""
    return cast(Service, request.app.state.service)


async def forecast(request: Request, read: Callable[[bytes], Samples], *, source: str) -> Forecasts:
    """Forecast from one sample: in one thread, with the model that is live when it is checked.

    ``read`` turns the body into a sample; the thread calls it.
    """
    service = service_of(request)
    async with _upload(request) as body, _place(request) as place:
        timer = _Timer(service.metrics)

        def work() -> Forecasts:
            with timer:
                samples = read(body)
                return _forecasts(service, service.follower.snapshot(), samples)

        result = await place.run(work)
    return _recorded(request, result, source, timer)


async def forecast_batch(
    request: Request, open_batch: Callable[[bytes], BatchUpload], *, source: str
) -> Forecasts:
    """Forecast from many samples, a few at a time, all with one model."""
    service = service_of(request)
    async with _upload(request) as body, _place(request, batch=True) as place:
        timer = _Timer(service.metrics)

        def start() -> tuple[Loaded, BatchUpload]:
            with timer:
                return service.follower.snapshot(), open_batch(body)

        live, batch = await place.run(start)
        place.take(batch.n_samples - 1)

        def next_piece() -> Forecasts | None:
            with timer:
                samples = next(batch.pieces, None)
                return None if samples is None else _forecasts(service, live, samples)

        pieces = []
        while (piece := await place.run(next_piece)) is not None:
            pieces.append(piece)
    result = Forecasts(
        live,
        [prediction for piece in pieces for prediction in piece.predictions],
        tuple(name for piece in pieces for name in piece.ids),
    )
    return _recorded(request, result, source, timer)


async def explain(
    request: Request, read: Callable[[bytes], Samples], *, event: str
) -> tuple[Loaded, Explanation]:
    """Explain the forecast of one sample by occlusion, a few variants at a time."""
    service = service_of(request)
    limit = TimeLimit(service.settings.explain_seconds, "FLARE_EXPLAIN_SECONDS")
    async with _upload(request) as body, _place(request, batch=True, limit=limit) as place:
        timer = _Timer(service.metrics)

        def start() -> tuple[Loaded, Occlusion]:
            with timer:
                live, samples = service.follower.snapshot(), read(body)
                cube, present = samples.cubes[0], samples.present[0]
                return live, prepare(live.forecaster, cube, present, event=event)

        live, occlusion = await place.run(start)
        batches = occlusion.batches()

        def next_batch() -> NDArray[np.float64] | None:
            with timer:
                batch, alone = next(batches, None), service.pool.requests == 1
                if batch is None:
                    return None
                return forecast_with(live, *batch, all_cores=alone).probability_of(event)

        pieces = []
        while (piece := await place.run(next_batch)) is not None:
            pieces.append(piece)

        def finish() -> Explanation:
            with timer:
                explanation = occlusion.explanation(np.concatenate(pieces), event)
                return with_features(explanation, live.forecaster, occlusion)

        explanation = await place.run(finish)
    service.metrics.forecast_seconds.labels("explain").observe(timer.seconds)
    request.state.log_fields = {"model_version": live.version.number}
    return live, explanation


def _forecasts(service: Service, live: Loaded, samples: Samples) -> Forecasts:
    only_request = service.pool.requests == 1
    with refused("wrong_time"):
        predictions = predict(
            live, samples.cubes, samples.present, facts=samples.facts, all_cores=only_request
        )
    scaled = [
        prediction.model_copy(update={"scale": scale})
        for prediction, scale in zip(predictions, samples.scales, strict=True)
    ]
    return Forecasts(live, scaled, samples.ids, samples.left_out)


@asynccontextmanager
async def _upload(request: Request) -> AsyncIterator[bytes]:
    """Read the body of a request for a forecast; its memory counts until the block ends."""
    service = service_of(request)
    service.shutdown.check()
    check_encoding(",".join(request.headers.getlist("content-encoding")))
    service.follower.snapshot()  # refuse the upload where there is no model
    address = request.client.host if request.client else ""
    pace = Pace(
        seconds=service.settings.upload_seconds,
        grace=service.settings.upload_grace_seconds,
        bytes_per_second=service.settings.min_upload_rate,
    )
    with service.metrics.in_progress(), service.buffers.upload(address) as upload:
        yield await read_body(request, upload, pace=pace)


@asynccontextmanager
async def _place(
    request: Request, *, batch: bool = False, limit: TimeLimit | None = None
) -> AsyncIterator[Place]:
    pool = service_of(request).pool
    async with pool.place(batch=batch, gone=request.is_disconnected, limit=limit) as place:
        yield place


class _Timer:
    """Seconds that a request waited for its first core, and that cores worked for it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._ready = metrics, time.perf_counter()
        self.seconds, self._turns = 0.0, 0

    def __enter__(self) -> None:
        self._start = time.perf_counter()
        if not self._turns:
            self._metrics.waiting_seconds.observe(self._start - self._ready)
        self._turns += 1

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._start


def _recorded(request: Request, result: Forecasts, source: str, timer: _Timer) -> Forecasts:
    """Count the forecasts, and add them to the history and to the request's line in the log."""
    service = service_of(request)
    service.metrics.forecast_seconds.labels(source).observe(timer.seconds)
    service.metrics.count(result.predictions)
    service.history.add(source, result.predictions)
    version = result.live.version.number
    request.state.log_fields = {"model_version": version, "forecasts": len(result.predictions)}
    return result
