"""The endpoints that inform: health, the model, the history, metrics, an example input."""

import io
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ValidationError

from flare.errors import DatasetNotFound
from flare.forecast_facts import parse_time
from flare.forecasters.base import ForecasterSpec
from flare.forecasters.drift import Drift, drifts, summaries
from flare.images.npy import PLANES_SHAPE
from flare.images.planes import parse_name, sample_of_files, start_of
from flare.sample import IMAGE_SIZE
from flare.tracking.tags import KIND_TAG
from serving.history import History as Stored
from serving.http.access import check_key, holds_key
from serving.http.problems import Problem, without_places
from serving.models.source import Loaded
from serving.schemas import Health, History, Model, Prediction, Ready, ReliabilityBin, ScoreValue
from serving.service import service_of
from serving.uploads.statements import refused

router = APIRouter()

FORECASTS: list[str | Enum] = ["forecasts"]
MODEL: list[str | Enum] = ["model"]
OPERATIONS: list[str | Enum] = ["operations"]

EXAMPLES = Path(__file__).resolve().parents[2] / "data" / "example"

#: Forecasts in one answer of GET /history; its `next` leads to the next page.
MAX_ROWS = 500
MAX_EXPORT = 100_000

#: Forecasts of the live version that GET /metrics compares with the training inputs.
RECENT = 500

NO_MODEL: dict[int | str, dict[str, Any]] = {
    503: {"model": Problem, "description": "No model yet; `Retry-After` says when to ask again."}
}
NO_KEY: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The API key is missing or wrong."}
}


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
    "/model",
    operation_id="get_model",
    tags=MODEL,
    summary="The model that answers",
    responses=NO_MODEL | NO_KEY,
    dependencies=[Depends(check_key)],
)
async def model(request: Request) -> Model:
    """Describe the model: data, parameters, thresholds, scores with intervals, model card."""
    return _described(service_of(request).follower.snapshot())


@router.get(
    "/history",
    summary="Recent forecasts",
    operation_id="list_forecasts",
    tags=FORECASTS,
    response_model=History,
    responses=NO_KEY
    | {422: {"model": Problem, "description": f"`limit` must be between 1 and {MAX_ROWS}."}},
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
    responses={
        200: {
            "content": {"text/csv": {"schema": {"type": "string"}}},
            "description": "CSV with a header. `Link` leads to the next page, if there is one.",
        },
        **NO_KEY,
        422: {"model": Problem, "description": "A parameter is out of its bounds or malformed."},
    },
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
    responses={
        200: {
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "description": "Prometheus' format.",
        },
        **NO_KEY,
    },
    dependencies=[Depends(check_key)],
)
def metrics(request: Request) -> Response:  # not a coroutine: it reads SQLite in a thread
    """Report requests, times, the queue, the live version, forecasts, and how far they moved."""
    service = service_of(request)
    follower = service.follower
    live = follower.live
    moved = [] if live is None else _drifts(live, service.history)
    page = service.metrics.page(live, failed=follower.last_error is not None, moved=moved)
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
def sample_npy() -> Response:  # not a coroutine: the first call decodes 40 images in a thread
    """Download a sample that POST /predict_npy takes as it is."""
    return Response(
        example_npy(EXAMPLES),
        media_type="application/octet-stream",
        headers={"Content-Disposition": 'attachment; filename="sample.npy"'},
    )


def _drifts(live: Loaded, history: Stored) -> list[Drift]:
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
        signature=_signature(spec),
        parameters=dict(details.get("parameters") or {}),
        tags=tags,
        scores=_readable(ScoreValue, details.get("scores") or ()),
        reliability=_readable(ReliabilityBin, details.get("reliability") or ()),
        scores_on=details.get("scores_on"),
        card=details.get("card"),
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


def _signature(spec: ForecasterSpec) -> dict[str, Any]:
    steps, channels = len(spec.step_offsets_minutes), len(spec.channels)
    fields = Prediction.model_json_schema()["properties"]
    return {
        "inputs": {
            "name": "cube",
            "dtype": "uint8",
            "shape": [steps, channels, IMAGE_SIZE, IMAGE_SIZE],
            "axes": ["time step", "channel", "row", "column"],
            "unit": "SDOBenchmark's grey levels 0..255",
        },
        "outputs": {name: field.get("description", "") for name, field in fields.items()},
    }


Part = TypeVar("Part", bound=BaseModel)


def _readable(kind: type[Part], reported: Iterable[dict[str, Any]]) -> list[Part]:
    """Return what can be read: another version of this project may have written it."""
    parts = []
    for one in reported:
        with suppress(ValidationError):
            parts.append(kind(**one))
    return parts
