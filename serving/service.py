"""What the endpoints share while the application lives, and how a forecast is made."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

from fastapi import Request

from serving.history import History
from serving.http.shutdown import Shutdown
from serving.metrics import Metrics
from serving.models.engine import predict
from serving.models.follower import Follower
from serving.models.pool import Place, Pool
from serving.models.source import Loaded
from serving.schemas import Prediction
from serving.settings import Settings
from serving.uploads.body import Pace, read_body
from serving.uploads.buffers import Buffers
from serving.uploads.cubes import BatchUpload, Samples, check_encoding


@dataclass(frozen=True)
class Service:
    """Kept in ``app.state.service``."""

    settings: Settings
    follower: Follower
    pool: Pool
    buffers: Buffers
    history: History
    metrics: Metrics
    shutdown: Shutdown

    @property
    def pace(self) -> Pace:
        """The slowest upload that is accepted."""
        chosen = self.settings
        return Pace(
            seconds=chosen.upload_seconds,
            grace=chosen.upload_grace_seconds,
            bytes_per_second=chosen.min_upload_rate,
        )


@dataclass(frozen=True)
class Forecasts:
    """The forecasts of N samples, all by one model, with their names and the images left out."""

    live: Loaded
    predictions: list[Prediction]
    ids: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...] = ()


def service_of(request: Request) -> Service:
    """Return the application's service."""
    return cast(Service, request.app.state.service)


async def forecast(request: Request, read: Callable[[bytes], Samples], *, source: str) -> Forecasts:
    """Read the body, then take a place; one thread checks it and forecasts with one model.

    ``read`` turns the body into samples; the thread calls it.
    """
    service = service_of(request)
    async with (
        _uploaded(request) as body,
        service.pool.place(gone=request.is_disconnected) as place,
    ):
        watch = _Watch(service.metrics)

        def work() -> Forecasts:
            with watch:
                samples = read(body)
                live = service.follower.snapshot()  # this one and no other answers
                return _forecasts(live, samples, alone=service.pool.requests == 1)

        result = await place.run(work)
    return _recorded(request, result, source, watch)


async def forecast_batch(
    request: Request, open_batch: Callable[[bytes], BatchUpload], *, source: str
) -> Forecasts:
    """Read the body, then take places for its samples, and forecast them a few at a time."""
    service = service_of(request)
    async with (
        _uploaded(request) as body,
        service.pool.place(batch=True, gone=request.is_disconnected) as place,
    ):
        watch = _Watch(service.metrics)
        result = await _in_pieces(service, place, partial(open_batch, body), watch)
    return _recorded(request, result, source, watch)


async def _in_pieces(
    service: Service, place: Place, opened: Callable[[], BatchUpload], watch: "_Watch"
) -> Forecasts:
    def first() -> tuple[Loaded, BatchUpload]:
        with watch:
            return service.follower.snapshot(), opened()

    live, batch = await place.run(first)
    place.take(batch.samples - 1)
    done: list[Forecasts] = []

    def piece() -> Forecasts | None:
        with watch:
            samples = next(batch.pieces, None)
            alone = service.pool.requests == 1
            return None if samples is None else _forecasts(live, samples, alone=alone)

    while (result := await place.run(piece)) is not None:
        done.append(result)
    return Forecasts(
        live,
        [one for piece in done for one in piece.predictions],
        tuple(name for piece in done for name in piece.ids),
    )


def _forecasts(live: Loaded, samples: Samples, *, alone: bool) -> Forecasts:
    predictions = [
        one.model_copy(update={"scale": scale})
        for one, scale in zip(
            predict(live, samples.cubes, samples.present, alone=alone), samples.scales, strict=True
        )
    ]
    return Forecasts(live, predictions, samples.ids, samples.rejected)


@asynccontextmanager
async def _uploaded(request: Request) -> AsyncIterator[bytes]:
    """Read the body of a request for a forecast, and account for it until the block ends."""
    service = service_of(request)
    service.shutdown.check()
    check_encoding(",".join(request.headers.getlist("content-encoding")))
    service.follower.snapshot()  # there is a model at all
    address = request.client.host if request.client else ""
    with service.metrics.in_progress(), service.buffers.upload(address) as upload:
        yield await read_body(request, upload, pace=service.pace)


class _Watch:
    """Seconds that a request waited for a core at first, and that cores worked for it."""

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


def _recorded(request: Request, result: Forecasts, source: str, watch: _Watch) -> Forecasts:
    """Count forecasts, add them to the history, and name them in the log."""
    service = service_of(request)
    service.metrics.forecast_seconds.labels(source).observe(watch.seconds)
    service.metrics.count(result.predictions)
    service.history.add(source, result.predictions)
    version = result.live.version.number
    request.state.said = {"model_version": version, "forecasts": len(result.predictions)}
    return result
