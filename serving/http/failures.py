"""Turn every exception into a `Problem`: which status and code, and what to do; never a traceback.

The exceptions of `flare.errors` and `Refused` are expected; any other is a defect, and a 500.
"""

import logging
import math
from typing import Any, cast

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
    PROBLEM_JSON,
    UPLOAD_HINT,
    Refused,
    problem,
    request_id_of,
    without_places,
)
from serving.http.request_log import LOG_HINT, internal_error
from serving.models.follower import StillLoading
from serving.settings import Settings

log = logging.getLogger("flare.serving")

FIXED_HINT = "FLARE_MODEL names the model: put it there, or name another; then wait for GET /ready"
PROMOTE_HINT = "train and promote a model: `mlflow run . -e promote`; then wait for GET /ready"

DOCS_HINT = "GET /docs lists the endpoints"

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
}

#: Code and hint of the refusals of FastAPI, of `check_key` and of `BodyLimit`.
REFUSALS = {
    400: ("bad_request", UPLOAD_HINT),
    401: ("unauthorized", "send it in the header X-API-Key, or as a bearer token"),
    404: ("not_found", DOCS_HINT),
    405: ("method_not_allowed", DOCS_HINT),
    413: ("too_large", UPLOAD_HINT),
}


def handle_failures(app: FastAPI, settings: Settings) -> None:
    """Add the exception handlers to the application."""
    app.state.settings = settings
    app.add_exception_handler(FlareError, _expected)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _expected(request: Request, error: Exception) -> JSONResponse:
    settings = cast(Settings, request.app.state.settings)
    retry_after = 1
    if isinstance(error, Refused):
        status, code, hint = error.status, error.code, error.hint
    else:
        kind = next((kind for kind in ANSWERS if isinstance(error, kind)), None)
        if kind is None:
            return internal_error(request.scope, error)
        status, code, hint = ANSWERS[kind]
        retry_after = math.ceil(settings.poll_seconds)
        if kind is ModelNotFound and settings.model:
            hint = FIXED_HINT
    request_id, detail = request_id_of(request.scope), str(error)
    if status == 500:
        log.error("request %s failed: %s", request_id, error)
    # A 4xx is about the request itself.
    hidden = not (isinstance(error, Refused) and status < 500) and not holds_key(request)
    return problem(
        status,
        code,
        without_places(detail) if hidden else detail,
        hint=hint,
        request_id=request_id,
        headers={"Retry-After": str(retry_after)} if status == 503 else None,
    )


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code, hint = REFUSALS.get(error.status_code, ("bad_request", DOCS_HINT))
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


def document_problems(app: FastAPI) -> None:
    """Name the media type of failures in the OpenAPI document.

    Replaces ``app.openapi``, as FastAPI's documentation does it ("Extending OpenAPI").
    """
    document_of_fastapi = app.openapi
    schema = {"$ref": "#/components/schemas/Problem"}

    def openapi() -> dict[str, Any]:
        document = document_of_fastapi()
        for operations in document["paths"].values():
            for operation in operations.values():
                for answer in operation["responses"].values():
                    content = answer.get("content", {})
                    if content.get("application/json", {}).get("schema") == schema:
                        content[PROBLEM_JSON] = content.pop("application/json")
        return document

    app.openapi = openapi  # type: ignore[method-assign]
