"""Every failure as JSON: what kind, what is wrong, what to do; never a traceback."""

import logging
import math
from http import HTTPStatus
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
from serving.http.document import PROBLEM_JSON
from serving.http.error_codes import ErrorCode
from serving.http.keys import holds_key
from serving.http.redaction import without_places
from serving.models.follower import StillLoading
from serving.models.pool import Busy, ClientGone, ShuttingDown, TookTooLong
from serving.schemas import Problem
from serving.settings import Settings
from serving.uploads.rejections import UploadRejected

log = logging.getLogger("flare.serving")

UPLOAD_HINT = "curl -F file=@sample.npy <server>/predict_npy; GET /sample.npy is an example"
PROMOTE_HINT = "train and promote a model: `mlflow run . -e promote`; then wait for GET /ready"
LOADING_HINT = "wait for GET /ready; GET /health says why if it takes long"
REGISTRY_HINT = "start the MLflow server, or check FLARE_TRACKING_URI; then wait for GET /ready"
FIXED_HINT = "FLARE_MODEL names what is served: put it there, or name another; then GET /ready"
BUSY_HINT = "ask again after the seconds in Retry-After, or start more servers"
KEY_HINT = "send it in the header X-API-Key, or as a bearer token"
LOG_HINT = "the server's log has the details under this request id"

#: Status and kind of the errors that reach a client; any other is a defect, and a 500.
STATUS_OF: dict[type[FlareError], tuple[int, str]] = {
    InputInvalid: (422, "invalid_input"),
    ModelNotFound: (503, "no_model"),
    TrackingUnavailable: (503, "registry_unavailable"),
    ForecasterInvalid: (500, "model_failed"),
    DatasetNotFound: (404, "no_example"),
    Busy: (503, "busy"),
    TookTooLong: (503, "took_too_long"),
    ShuttingDown: (503, "shutting_down"),
    ClientGone: (400, "cut_off"),
}
KIND_OF_STATUS = {
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
}


def problem(
    status: int,
    error: str,
    detail: str,
    *,
    hint: str | None = None,
    request_id: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Make the answer; ``error`` is one of `ErrorCode`."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        error=ErrorCode(error),
        detail=detail,
        hint=hint,
        request_id=request_id,
    )
    return JSONResponse(body.model_dump(), status, headers, media_type=PROBLEM_JSON)


def answer_failures(app: FastAPI, settings: Settings) -> None:
    """Give the app its handlers for expected errors and the framework's own."""
    app.state.settings = settings
    app.add_exception_handler(FlareError, _expected)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)


def unexpected(where: str, error: Exception, *, request_id: str) -> JSONResponse:
    """Log a defect with its traceback, and answer without it."""
    log.error("request %s failed: %s", request_id, where, exc_info=error)
    detail = "the server failed; this is not the fault of the request"
    return problem(500, "internal_error", detail, hint=LOG_HINT, request_id=request_id)


async def _expected(request: Request, error: Exception) -> JSONResponse:
    request_id = _id_of(request)
    if isinstance(error, UploadRejected):
        return problem(
            error.status, error.code, error.detail, hint=error.hint, request_id=request_id
        )
    settings = cast(Settings, request.app.state.settings)
    for kind, (status, name) in STATUS_OF.items():
        if isinstance(error, kind):
            if status == 500:
                log.error("request %s failed: %s", request_id, error)
            return problem(
                status,
                name,
                str(error) if holds_key(request) else without_places(str(error)),
                hint=_hint(error, settings),
                request_id=request_id,
                headers=_retry_after(status, error, settings.poll_seconds),
            )
    return unexpected(f"{request.method} {request.url.path}", error, request_id=request_id or "")


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """Answer the framework's refusals, and BodyLimit's."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    name = KIND_OF_STATUS.get(status, "bad_request")
    hints = {400: UPLOAD_HINT, 413: UPLOAD_HINT, 401: KEY_HINT}
    detail = f"{request.method} {request.url.path}: {error.detail}"
    return problem(
        status,
        name,
        detail,
        hint=hints.get(status, "GET /docs lists the endpoints"),
        request_id=_id_of(request),
        headers=None if error.headers is None else dict(error.headers),
    )


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # Without the input itself.
    found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    detail, request_id = "; ".join(found), _id_of(request)
    hint = "GET /docs lists the parameters"
    return problem(422, "invalid_request", detail, hint=hint, request_id=request_id)


def _id_of(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


def _hint(error: FlareError, settings: Settings) -> str | None:
    if isinstance(error, Busy | TookTooLong | ShuttingDown):
        return BUSY_HINT
    if isinstance(error, TrackingUnavailable):
        return REGISTRY_HINT
    if isinstance(error, StillLoading):
        return LOADING_HINT
    if isinstance(error, ModelNotFound):
        return FIXED_HINT if settings.model else PROMOTE_HINT
    return LOG_HINT if isinstance(error, ForecasterInvalid) else None


def _retry_after(status: int, error: FlareError, seconds: float) -> dict[str, str] | None:
    if status != 503:
        return None
    soon = isinstance(error, Busy | TookTooLong | ShuttingDown)
    return {"Retry-After": "1" if soon else str(math.ceil(seconds))}
