"""What the endpoints share while the application runs, and how an upload becomes forecasts."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from flare.forecast import Forecast
from flare.forecast_facts import new_forecast_id, now
from flare.forecasters.answer import answers
from flare.forecasters.explanation.occlusion import Explanation, Occlusion, prepare, with_features
from flare.forecasters.training_inputs import check_inputs
from flare.sample import Cube, Present, reduce_cubes
from serving.history import History
from serving.http.connections import Shutdown
from serving.metrics import Metrics
from serving.models.follower import Follower, check_forecast
from serving.models.pool import Place, Pool, TimeLimit
from serving.models.source import Loaded
from serving.schemas import Prediction
from serving.settings import Settings
from serving.uploads.arrays import Samples, open_batch
from serving.uploads.body import Buffers, read_body
from serving.uploads.upload import STATEMENTS, Upload, check_encoding, refused

Result = TypeVar("Result")


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


async def forecast(
    request: Request, read: Callable[[Upload], Samples], *, source: str
) -> Forecasts:
    """Forecast from one sample: in one thread, with the model that is live when it is checked."""
    service = service_of(request)
    async with _turns(request, source) as (upload, turns):

        def work() -> Forecasts:
            samples, live = read(upload), service.follower.snapshot()
            predictions = predict(live, samples, all_cores=service.pool.requests == 1)
            return Forecasts(live, predictions, samples.ids, samples.left_out)

        result = await turns.run(work)
    return _recorded(request, result, source)


async def forecast_batch(request: Request) -> Forecasts:
    """Forecast from many samples, a few at a time, all with one model."""
    service = service_of(request)
    async with _turns(request, "batch", batch=True) as (upload, turns):
        live, batch = await turns.run(
            lambda: (
                service.follower.snapshot(),
                open_batch(upload, most=service.settings.max_batch),
            )
        )
        turns.place.take(batch.n_samples - 1)

        def next_piece() -> tuple[list[Prediction], tuple[str, ...]] | None:
            samples = next(batch.pieces, None)
            if samples is None:
                return None
            return predict(live, samples, all_cores=service.pool.requests == 1), samples.ids

        pieces = await turns.run_until_none(next_piece)
    predictions = [one for piece, _ in pieces for one in piece]
    ids = tuple(name for _, names in pieces for name in names)
    return _recorded(request, Forecasts(live, predictions, ids), "batch")


async def explain(
    request: Request, read: Callable[[Upload], Samples], *, event: str
) -> tuple[Loaded, Explanation]:
    """Explain the forecast of one sample by occlusion, a few variants at a time."""
    service = service_of(request)
    limit = TimeLimit(service.settings.explain_seconds, "FLARE_EXPLAIN_SECONDS")
    async with _turns(request, "explain", batch=True, limit=limit) as (upload, turns):

        def start() -> tuple[Loaded, Occlusion]:
            live, samples = service.follower.snapshot(), read(upload)
            cube, present = samples.cubes[0], samples.present[0]
            return live, prepare(live.forecaster, cube, present, event=event)

        live, occlusion = await turns.run(start)
        batches = occlusion.batches()

        def next_batch() -> NDArray[np.float64] | None:
            batch = next(batches, None)
            if batch is None:
                return None
            alone = service.pool.requests == 1
            return forecast_with(live, *batch, all_cores=alone).probability_of(event)

        chances = np.concatenate(await turns.run_until_none(next_batch))
        explanation = await turns.run(
            lambda: with_features(occlusion.explanation(chances, event), live.forecaster, occlusion)
        )
    request.state.log_fields = {"model_version": live.version.number}
    return live, explanation


def predict(live: Loaded, samples: Samples, *, all_cores: bool = False) -> list[Prediction]:
    """Forecast from N samples with one model; blocks a thread.

    Raises
    ------
    Refused
        422: the stated times contradict each other or the model's window.
    ForecasterInvalid
        The model's numbers are not finite, not ordered or not probabilities.
    """
    spec, training = live.forecaster.spec, live.forecaster.training_inputs
    with refused("wrong_time"):
        windows = [facts.window(spec.window_hours) for facts in samples.facts]
    cubes = reduce_cubes(samples.cubes, spec.image_size)  # once for both
    forecast = forecast_with(live, cubes, samples.present, all_cores=all_cores)
    rows = zip(
        answers(live.forecaster, forecast),
        samples.present,
        samples.facts,
        samples.scales,
        windows,
        check_inputs(cubes, samples.present, training, size=spec.image_size),
        strict=True,
    )
    return [
        Prediction(
            **answer,
            forecast_id=new_forecast_id(),
            issue_time=window.issue_time or now(),
            valid_from=window.valid_from,
            valid_to=window.valid_to,
            active_region=facts.active_region,
            input_digest=facts.input_digest,
            model_name=live.name,
            model_version=live.version.number,
            scale=scale,
            **check.fields(images),
        )
        for answer, images, facts, scale, window, check in rows
    ]


def forecast_with(
    live: Loaded, cubes: Cube, present: Present, *, all_cores: bool = False
) -> Forecast:
    """Return the checked forecast of N samples; see ``predict``."""
    forecaster = live.multi_core if all_cores and live.multi_core else live.forecaster
    forecast = forecaster.predict(cubes, present)
    check_forecast(forecast, n=len(cubes))
    return forecast


class _Turns:
    """The turns of one request at a core: what it runs, how long it waited and how long it took."""

    def __init__(self, place: Place, metrics: Metrics) -> None:
        self.place, self.seconds = place, 0.0
        self._metrics, self._ready = metrics, time.perf_counter()
        self._has_waited = False

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` in a thread once a core is free."""

        def timed() -> Result:
            start = time.perf_counter()
            if not self._has_waited:
                self._metrics.waiting_seconds.observe(start - self._ready)
                self._has_waited = True
            try:
                return work()
            finally:
                self.seconds += time.perf_counter() - start

        return await self.place.run(timed)

    async def run_until_none(self, work: Callable[[], Result | None]) -> list[Result]:
        """Run ``work`` again and again, a turn each; return what it returned before None."""
        results = []
        while (result := await self.run(work)) is not None:
            results.append(result)
        return results


@asynccontextmanager
async def _turns(
    request: Request, source: str, *, batch: bool = False, limit: TimeLimit | None = None
) -> AsyncIterator[tuple[Upload, _Turns]]:
    """Read the upload of a request for a forecast, and take a place until the block ends."""
    service = service_of(request)
    service.shutdown.check()
    check_encoding(",".join(request.headers.getlist("content-encoding")))
    service.follower.snapshot()  # refuse the upload where there is no model
    address = request.client.host if request.client else ""
    with service.metrics.in_progress(), service.buffers.upload(address) as count:
        upload = Upload(
            body=await read_body(request, count, service.settings),
            content_type=request.headers.get("content-type", ""),
            max_bytes=service.settings.max_upload_bytes,
            stated={name: request.query_params.getlist(name) for name in STATEMENTS},
        )
        gone = request.is_disconnected
        async with service.pool.place(batch=batch, gone=gone, limit=limit) as place:
            turns = _Turns(place, service.metrics)
            yield upload, turns
    service.metrics.forecast_seconds.labels(source).observe(turns.seconds)


def _recorded(request: Request, result: Forecasts, source: str) -> Forecasts:
    """Count the forecasts, and add them to the history and to the request's line in the log."""
    service = service_of(request)
    service.metrics.count(result.predictions)
    service.history.add(source, result.predictions)
    version = result.live.version.number
    request.state.log_fields = {"model_version": version, "forecasts": len(result.predictions)}
    return result
