"""The endpoints that inform: health, the history, metrics, an example input."""

import io
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST

from flare.errors import DatasetNotFound
from flare.forecast_facts import parse_time
from flare.images.npy import PLANES_SHAPE
from flare.images.planes import parse_name, sample_of_files, start_of
from serving.http.access import check_key, holds_key
from serving.http.problems import problem_responses, without_places
from serving.schemas import Health, History, Ready
from serving.service import service_of
from serving.uploads.upload import refused

router = APIRouter()

FORECASTS: list[str | Enum] = ["forecasts"]
MODEL: list[str | Enum] = ["model"]
OPERATIONS: list[str | Enum] = ["operations"]

EXAMPLES = Path(__file__).resolve().parents[2] / "data" / "example"

#: Forecasts in one answer of GET /history; its `next` leads to the next page.
MAX_ROWS = 500
MAX_EXPORT = 100_000


def success(media_type: str, description: str, **schema: str) -> dict[int | str, dict[str, Any]]:
    """Describe an answer that is no JSON for OpenAPI."""
    content = {media_type: {"schema": {"type": "string", **schema}}}
    return {200: {"content": content, "description": description}}


NO_MODEL = problem_responses({503: "No model yet; `Retry-After` says when to ask again."})
NO_KEY = problem_responses({401: "The API key is missing or wrong."})


@router.head("/health", include_in_schema=False)
@router.get(
    "/health", summary="The state of the server", operation_id="get_health", tags=OPERATIONS
)
async def health(request: Request) -> Health:
    """Report the loaded model, if any, and why the latest look for one failed.

    Paths and addresses are only shown to requests with the API key.
    """
    service = service_of(request)
    follower, live = service.follower, service.follower.live
    has_key, error = holds_key(request), follower.last_error
    return Health(
        status="no model" if live is None else "ok",
        model_loaded=live is not None,
        device="cpu" if live is None else live.forecaster.device,
        engine=None if live is None else live.forecaster.engine,
        model_name=service.settings.model_name if live is None else live.name,
        model_version=None if live is None else live.version.number,
        alias=follower.alias,
        checkpoint_path=str(live.folder) if has_key and live and live.folder else None,
        loaded_at=None if live is None else live.loaded_at,
        age_seconds=None if live is None else (datetime.now(UTC) - live.loaded_at).total_seconds(),
        polled_at=follower.polled_at,
        last_error=error if has_key or error is None else without_places(error),
    )


@router.head("/ready", include_in_schema=False)
@router.get(
    "/ready",
    summary="Whether the server can forecast",
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
    "/history",
    summary="Recent forecasts",
    operation_id="list_forecasts",
    tags=FORECASTS,
    response_model=History,
    responses=NO_KEY | problem_responses({422: f"`limit` must be between 1 and {MAX_ROWS}."}),
    dependencies=[Depends(check_key)],
)
def history(  # not a coroutine: it reads SQLite and writes JSON in a thread
    request: Request,
    limit: Annotated[
        int, Query(ge=1, le=MAX_ROWS, description="How many, the newest first.")
    ] = 200,
    before: Annotated[
        int | None, Query(ge=1, description="Only those before this `id`: `next` of a page.")
    ] = None,
) -> Response:
    """List recent forecasts without the pixels, those before a restart too."""
    page = service_of(request).history.page(limit, before=before)
    return Response(page.model_dump_json(), media_type="application/json")


@router.get(
    "/history.csv",
    operation_id="export_forecasts",
    tags=FORECASTS,
    summary="Recent forecasts as a table",
    response_class=Response,
    responses=success(
        "text/csv", "CSV with a header. `Link` leads to the next page, if there is one."
    )
    | NO_KEY
    | problem_responses({422: "A parameter is out of its bounds or malformed."}),
    dependencies=[Depends(check_key)],
)
def history_csv(
    request: Request,
    limit: Annotated[
        int, Query(ge=0, le=MAX_EXPORT, description="How many, the first issued first; 0: all.")
    ] = 0,
    since: Annotated[
        str, Query(description="Only those issued at or after: ISO 8601 with a zone.")
    ] = "",
    after: Annotated[str, Query(description="Cursor in the `Link` of the page before.")] = "",
) -> Response:
    """Export recent forecasts by the time of their issue, as `verify -P forecasts=` takes them."""
    with refused("invalid_request"):
        begin = parse_time(since, "since") if since else None
        lines, cursor = service_of(request).history.export(limit=limit, since=begin, after=after)
    headers = {"Content-Disposition": 'attachment; filename="history.csv"'}
    if cursor is not None:
        query = urlencode({"limit": limit, "after": cursor})
        headers["Link"] = f'</history.csv?{query}>; rel="next"'
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    tags=OPERATIONS,
    summary="Metrics for Prometheus",
    response_class=Response,
    responses=success("text/plain", "Prometheus' format.") | NO_KEY,
    dependencies=[Depends(check_key)],
)
def metrics(request: Request) -> Response:  # not a coroutine: it reads SQLite in a thread
    """Report requests, times, the queue, the live version, forecasts, and how far they moved."""
    service = service_of(request)
    failed = service.follower.last_error is not None
    page = service.metrics.page(service.follower.live, service.history, failed=failed)
    return Response(page, media_type=CONTENT_TYPE_LATEST)


@router.head("/sample.npy", include_in_schema=False)
@router.get(
    "/sample.npy",
    operation_id="get_sample",
    tags=MODEL,
    summary="An example input",
    response_class=Response,
    responses=success(
        "application/octet-stream",
        "A .npy file: uint8 (40, 256, 256), grey levels 0..255.",
        format="binary",
    )
    | problem_responses({404: "This installation has no data/example."}),
)
def sample_npy() -> Response:  # not a coroutine: the first call decodes 40 images in a thread
    """Download a sample that POST /predict_npy takes as it is."""
    return Response(
        example_npy(EXAMPLES),
        media_type="application/octet-stream",
        headers={"Content-Disposition": 'attachment; filename="sample.npy"'},
    )


@lru_cache(maxsize=1)
def example_npy(examples: Path) -> bytes:
    """Return the first sample of ``<examples>/<id>/*.jpg`` as a .npy file of (40, 256, 256).

    Raises DatasetNotFound: there are no images of a sample.
    """
    paths = [path for path in sorted(examples.glob("*/*.jpg")) if parse_name(path.name)]
    files = {path.name: path.read_bytes() for path in paths if path.parent == paths[0].parent}
    start = start_of(files)
    if start is None:
        raise DatasetNotFound(f"no images in {examples}; check the project out again, with data/")
    file = io.BytesIO()
    np.save(file, sample_of_files(files, start).cube.reshape(PLANES_SHAPE), allow_pickle=False)
    return file.getvalue()
