"""Turn every exception into a `Problem`: which status and code, and what to do; never a traceback.

The exceptions of `flare.errors` and of this package are expected; any other is a defect, and a 500.
"""

import logging
import math
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from flare.errors import (
    DatasetNotFound,
    FlareError,
    ForecasterInvalid,
    InputInvalid,
    ModelNotFound,
    TrackingUnavailable,
)
from serving.http.access import holds_key
from serving.http.problems import (
    UPLOAD_HINT,
    UploadRejected,
    problem,
    request_id_of,
    without_places,
)
from serving.http.request_log import LOG_HINT, internal_error
from serving.models.follower import StillLoading
from serving.models.pool import Busy, ClientGone, ShuttingDown, TookTooLong
from serving.settings import Settings

log = logging.getLogger("flare.serving")

BUSY_HINT = "ask again after the seconds in Retry-After, or start more servers"
FIXED_HINT = "FLARE_MODEL names the model: put it there, or name another; then wait for GET /ready"
PROMOTE_HINT = "train and promote a model: `mlflow run . -e promote`; then wait for GET /ready"

#: Status, code and hint of the expected errors; the first that fits counts.
ANSWERS: dict[type[FlareError], tuple[int, str, str | None]] = {
    InputInvalid: (422, "invalid_input", None),
    StillLoading: (503, "no_model", "wait for GET /ready; GET /health says why if it takes long"),
    ModelNotFound: (503, "no_model", PROMOTE_HINT),
    TrackingUnavailable: (
        503,
        "registry_unavailable",
        "start the MLflow server, or check FLARE_TRACKING_URI; then wait for GET /ready",
    ),
    ForecasterInvalid: (500, "model_failed", LOG_HINT),
    DatasetNotFound: (404, "no_example", None),
    Busy: (503, "busy", BUSY_HINT),
    TookTooLong: (503, "took_too_long", BUSY_HINT),
    ShuttingDown: (503, "shutting_down", BUSY_HINT),
    ClientGone: (400, "cut_off", None),
}

#: Code and hint of the refusals of FastAPI, of `check_key` and of `BodyLimit`.
REFUSALS = {
    400: ("bad_request", UPLOAD_HINT),
    401: ("unauthorized", "send it in the header X-API-Key, or as a bearer token"),
    404: ("not_found", "GET /docs lists the endpoints"),
    405: ("method_not_allowed", "GET /docs lists the endpoints"),
    413: ("too_large", UPLOAD_HINT),
}


def handle_failures(app: FastAPI, settings: Settings) -> None:
    """Add the exception handlers to the application."""
    app.state.settings = settings
    app.add_exception_handler(FlareError, _expected)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _expected(request: Request, error: Exception) -> JSONResponse:
    request_id = request_id_of(request.scope)
    if isinstance(error, UploadRejected):
        return problem(
            error.status, error.code, error.detail, hint=error.hint, request_id=request_id
        )
    kind = next((kind for kind in ANSWERS if isinstance(error, kind)), None)
    if kind is None:
        return internal_error(request.scope, error)
    settings = cast(Settings, request.app.state.settings)
    status, code, hint = ANSWERS[kind]
    if status == 500:
        log.error("request %s failed: %s", request_id, error)
    headers = None
    if status == 503:
        soon = kind in (Busy, TookTooLong, ShuttingDown)
        headers = {"Retry-After": "1" if soon else str(math.ceil(settings.poll_seconds))}
    return problem(
        status,
        code,
        str(error) if holds_key(request) else without_places(str(error)),
        hint=FIXED_HINT if kind is ModelNotFound and settings.model else hint,
        request_id=request_id,
        headers=headers,
    )


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code, hint = REFUSALS.get(error.status_code, ("bad_request", "GET /docs lists the endpoints"))
    return problem(
        error.status_code,
        code,
        f"{request.method} {request.url.path}: {error.detail}",
        hint=hint,
        request_id=request_id_of(request.scope),
        headers=None if error.headers is None else dict(error.headers),
    )


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # Without the input itself.
    details = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return problem(
        422,
        "invalid_request",
        "; ".join(details),
        hint="GET /docs lists the parameters",
        request_id=request_id_of(request.scope),
    )
