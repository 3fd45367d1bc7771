"""The endpoints that tell: health, the model, the history, metrics, an example."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import ValidationError

from flare.tracking.tags import KIND_TAG
from serving.http.keys import check_key, holds_key
from serving.http.redaction import without_places
from serving.models.source import Loaded
from serving.routes.described import signature_of
from serving.routes.example import EXAMPLES, example_npy
from serving.schemas import Health, History, Model, Problem, Ready, ScoreValue
from serving.service import service_of

router = APIRouter()

FORECASTS: list[str | Enum] = ["forecasts"]
MODEL: list[str | Enum] = ["model"]
OPERATIONS: list[str | Enum] = ["operations"]

#: Forecasts in one answer of GET /history; its `next` leads on.
MOST_ROWS = 500

NO_MODEL: dict[int | str, dict[str, Any]] = {
    503: {"model": Problem, "description": "No model yet; `Retry-After` says when to ask again."}
}
NO_KEY: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The API key is missing or wrong."}
}


@router.head("/health", include_in_schema=False)
@router.get(
    "/health", summary="How the server is doing", operation_id="get_health", tags=OPERATIONS
)
async def health(request: Request) -> Health:
    """Say whether a model is loaded, which one, and why the latest look for one failed.

    Paths and addresses are only for those who have the API key.
    """
    service = service_of(request)
    follower, live = service.follower, service.follower.live
    insider, error = holds_key(request), follower.last_error
    return Health(
        status="no model" if live is None else "ok",
        model_loaded=live is not None,
        device="cpu" if live is None else live.forecaster.device,
        engine=None if live is None else live.forecaster.engine,
        model_name=service.settings.model_name if live is None else live.name,
        model_version=None if live is None else live.version.number,
        alias=follower.followed,
        checkpoint_path=str(live.folder) if insider and live and live.folder else None,
        loaded_at=None if live is None else live.loaded_at,
        age_seconds=None if live is None else (datetime.now(UTC) - live.loaded_at).total_seconds(),
        polled_at=follower.polled_at,
        last_error=error if insider or error is None else without_places(error),
    )


@router.head("/ready", include_in_schema=False)
@router.get(
    "/ready",
    summary="Whether it can forecast",
    operation_id="get_ready",
    tags=OPERATIONS,
    responses=NO_MODEL,
)
async def ready(request: Request) -> Ready:
    """Answer 200 while a model is loaded, 503 before and once the server is to stop."""
    service = service_of(request)
    service.shutdown.check()
    live = service.follower.snapshot()
    return Ready(status="ready", model_version=live.version.number)


@router.get(
    "/model",
    operation_id="get_model",
    tags=MODEL,
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
    operation_id="list_forecasts",
    tags=FORECASTS,
    response_model=History,
    responses=NO_KEY
    | {422: {"model": Problem, "description": f"The limit is not a number of 1 to {MOST_ROWS}."}},
    dependencies=[Depends(check_key)],
)
async def history(
    request: Request,
    limit: Annotated[
        int, Query(ge=1, le=MOST_ROWS, description="How many, the newest first.")
    ] = 200,
    before: Annotated[
        int | None, Query(ge=1, description="Only those before this `id`: `next` of a page.")
    ] = None,
) -> Response:
    """List what was forecast, without the pixels; kept across restarts."""
    forecasts = service_of(request).history

    def page() -> str:
        return forecasts.page(limit, before=before).model_dump_json()

    # In a thread, the writing of JSON too: the loop answers others meanwhile.
    return Response(await to_thread.run_sync(page), media_type="application/json")


@router.get(
    "/metrics",
    operation_id="get_metrics",
    tags=OPERATIONS,
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
    )
    return Response(page, media_type=CONTENT_TYPE_LATEST)


@router.head("/sample.npy", include_in_schema=False)
@router.get(
    "/sample.npy",
    operation_id="get_sample",
    tags=MODEL,
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
    spec, postprocessing, origin = forecaster.spec, forecaster.postprocessing, forecaster.origin
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
        thresholds=dict(postprocessing.thresholds),
        base_rates={**postprocessing.rates, **postprocessing.stated_rates},
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
