"""The endpoints that tell: health, the model, the history, metrics, an example."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import ValidationError

from flare.forecasters.engine import device_of, engine_of
from flare.tracking.names import KIND_TAG
from serving.described import signature_of
from serving.example import EXAMPLES, example_npy
from serving.keys import check_key
from serving.schemas import Health, History, Model, Problem, Ready, ScoreValue
from serving.service import service_of
from serving.source import Loaded

router = APIRouter()

NO_MODEL: dict[int | str, dict[str, Any]] = {
    503: {"model": Problem, "description": "No model yet; `Retry-After` says when to ask again."}
}
NO_KEY: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The API key is missing or wrong."}
}


@router.head("/health", include_in_schema=False)
@router.get("/health", summary="How the server is doing")
async def health(request: Request) -> Health:
    """Say whether a model is loaded, which one, and why the latest look for one failed."""
    service = service_of(request)
    follower, live = service.follower, service.follower.live
    return Health(
        status="no model" if live is None else "ok",
        model_loaded=live is not None,
        device="cpu" if live is None else device_of(live.forecaster),
        engine=None if live is None else engine_of(live.forecaster),
        model_name=service.settings.model_name if live is None else live.name,
        model_version=None if live is None else live.version.number,
        alias=follower.followed,
        checkpoint_path=None if live is None or live.folder is None else str(live.folder),
        loaded_at=None if live is None else live.loaded_at,
        age_seconds=None if live is None else (datetime.now(UTC) - live.loaded_at).total_seconds(),
        polled_at=follower.polled_at,
        last_error=follower.last_error,
    )


@router.head("/ready", include_in_schema=False)
@router.get("/ready", summary="Whether it can forecast", responses=NO_MODEL)
async def ready(request: Request) -> Ready:
    """Answer 200 once a model is loaded, 503 before: for load balancers and start scripts."""
    live = service_of(request).follower.snapshot()
    return Ready(status="ready", model_version=live.version.number)


@router.get(
    "/model",
    summary="The model that answers",
    responses=NO_MODEL | NO_KEY,
    dependencies=[Depends(check_key)],
)
async def model(request: Request) -> Model:
    """Describe it: data, parameters, thresholds, scores with intervals, its card."""
    return _described(service_of(request).follower.snapshot())


@router.get(
    "/history",
    summary="Recent forecasts",
    responses=NO_KEY
    | {422: {"model": Problem, "description": "The limit is no number of 1 to 10000."}},
    dependencies=[Depends(check_key)],
)
async def history(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=10_000, description="How many, the newest first.")] = 200,
) -> History:
    """List what was forecast, without the pixels; kept across restarts."""
    kept = service_of(request).history
    return History(kept=kept.rows, forecasts=await to_thread.run_sync(kept.recent, limit))


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={
        200: {
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "description": "Prometheus' format.",
        },
        **NO_KEY,
    },
    dependencies=[Depends(check_key)],
)
async def metrics(request: Request) -> Response:
    """Tell requests, times, the queue, the live version, and how forecasts are distributed."""
    service = service_of(request)
    page = service.metrics.page(
        service.follower.live,
        failed=service.follower.last_error is not None,
        queue=service.pool.taken,
    )
    return Response(page, media_type=CONTENT_TYPE_LATEST)


@router.head("/sample.npy", include_in_schema=False)
@router.get(
    "/sample.npy",
    summary="An example input",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
            "description": "A .npy file: uint8 (40, 256, 256), grey levels 0..255.",
        },
        404: {"model": Problem, "description": "This installation has no data/example."},
    },
)
def sample_npy() -> Response:  # no coroutine: the first call decodes 40 images, in a thread
    """Download a sample that POST /predict_npy takes as it is."""
    return Response(
        example_npy(EXAMPLES),
        media_type="application/octet-stream",
        headers={"Content-Disposition": 'attachment; filename="sample.npy"'},
    )


def _described(live: Loaded) -> Model:
    forecaster, details = live.forecaster, live.details
    spec, tuning, origin = forecaster.spec, forecaster.tuning, forecaster.origin
    tags = dict(details.get("tags") or {})
    return Model(
        name=live.name,
        version=live.version.number,
        uri=live.uri,
        kind=forecaster.kind,
        family=tags.get(KIND_TAG),
        run_id=details.get("run_id"),
        synthetic=origin.synthetic,
        data_name=origin.data_name,
        data_fingerprint=origin.data_fingerprint,
        n_samples=origin.n_samples,
        n_active_regions=len(origin.active_regions),
        image_size=spec.image_size,
        channels=list(spec.channels),
        step_offsets_minutes=list(spec.step_offsets_minutes),
        events=list(spec.events),
        window_hours=spec.window_hours,
        interval_level=spec.interval_level,
        thresholds=dict(tuning.thresholds),
        base_rates={**tuning.rates, **tuning.stated_rates},
        signature=signature_of(spec),
        parameters=dict(details.get("parameters") or {}),
        tags=tags,
        scores=_scores(details.get("scores") or ()),
        scores_on=details.get("scores_on"),
        card=details.get("card"),
    )


def _scores(found: Iterable[dict[str, Any]]) -> list[ScoreValue]:
    """Return those that are scores: the report may be from another version of this project."""
    scores = []
    for one in found:
        with suppress(ValidationError):
            scores.append(ScoreValue(**one))
    return scores
