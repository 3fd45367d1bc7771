"""Every failure as JSON: what kind, what is wrong, what to do; never a traceback."""

import logging
import math
import uuid
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
from serving.schemas import Problem
from serving.settings import Settings
from serving.uploads import UploadRejected

logger = logging.getLogger(__name__)

UPLOAD_HINT = "curl -F file=@sample.npy <server>/predict_npy; GET /sample.npy is an example"
PROMOTE_HINT = "train and promote a model: `mlflow run . -e promote`; then wait for GET /ready"
REGISTRY_HINT = "start the MLflow server, or check FLARE_TRACKING_URI; then wait for GET /ready"
FOLDER_HINT = "save a forecaster in the folder of FLARE_MODEL_FOLDER; then wait for GET /ready"
LOG_HINT = "the server's log has the details under this request id"

#: Status and kind of the errors that reach a client; any other is a defect, and a 500.
STATUS_OF: dict[type[FlareError], tuple[int, str]] = {
    InputInvalid: (422, "invalid_input"),
    ModelNotFound: (503, "no_model"),
    TrackingUnavailable: (503, "registry_unavailable"),
    ForecasterInvalid: (500, "model_failed"),
    DatasetNotFound: (404, "no_example"),
}
KIND_OF_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def problem(
    status: int,
    error: str,
    detail: str,
    *,
    hint: str | None = None,
    request_id: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Make the answer."""
    body = Problem(error=error, detail=detail, hint=hint, request_id=request_id)
    return JSONResponse(body.model_dump(), status, headers)


def answer_failures(app: FastAPI, settings: Settings) -> None:
    """Give the app its handlers: expected errors, the framework's own, and everything else."""
    app.state.settings = settings
    app.add_exception_handler(FlareError, _expected)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


async def _expected(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, UploadRejected):
        return problem(error.status, error.code, error.detail, hint=error.hint)
    settings = cast(Settings, request.app.state.settings)
    for kind, (status, name) in STATUS_OF.items():
        if isinstance(error, kind):
            return problem(
                status,
                name,
                str(error),
                hint=_hint(error, settings),
                headers=_retry_after(status, settings.poll_seconds),
            )
    return await _unexpected(request, error)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """Answer the framework's refusals, and BodyLimit's."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    name = KIND_OF_STATUS.get(status, "bad_request")
    hint = UPLOAD_HINT if status in (400, 413) else "GET /docs lists the endpoints"
    detail = f"{request.method} {request.url.path}: {error.detail}"
    headers = None if error.headers is None else dict(error.headers)
    return problem(status, name, detail, hint=hint, headers=headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # Without the input itself, which may be the whole upload.
    found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return problem(422, "invalid_request", "; ".join(found), hint=UPLOAD_HINT)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    request_id = uuid.uuid4().hex
    where = f"{request.method} {request.url.path}"
    logger.error("request %s failed: %s", request_id, where, exc_info=error)
    detail = "the server failed; this is not the fault of the request"
    return problem(500, "internal_error", detail, hint=LOG_HINT, request_id=request_id)


def _hint(error: FlareError, settings: Settings) -> str | None:
    if isinstance(error, TrackingUnavailable):
        return REGISTRY_HINT
    if isinstance(error, ModelNotFound):
        return PROMOTE_HINT if settings.model_folder is None else FOLDER_HINT
    return None


def _retry_after(status: int, seconds: float) -> dict[str, str] | None:
    return {"Retry-After": str(math.ceil(seconds))} if status == 503 else None
