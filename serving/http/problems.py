"""The body of every answer that is not a success: problem details of RFC 9457, with an error code.

Also the refusal of an upload (`UploadRejected`), the removal of paths and addresses from messages
(`without_places`), and the media type of these answers in the OpenAPI document.
"""

import re
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Scope

from flare.errors import InputInvalid

PROBLEM_JSON = "application/problem+json"
UPLOAD_HINT = "curl -F file=@sample.npy <server>/predict_npy; GET /sample.npy is an example"
HIDDEN = "(hidden)"

#: A word with a slash, an address or a name with dots in it; punctuation around it stays.
_PLACE = re.compile(
    r"""[^\s"'`(;,]*
        (?:[/\\@] | \d+\.\d+\.\d+\.\d+ | [A-Za-z]\.[A-Za-z] | (?<=\w):\d{2,5}\b | \bport=\d)
        [^\s"'`);,]*""",
    re.VERBOSE,
)


class ErrorCode(StrEnum):
    """What kind of problem; new ones may come, so treat an unknown one by its HTTP status."""

    # The request and its key.
    BAD_REQUEST = "bad_request"
    UNKNOWN_HOST = "unknown_host"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    INVALID_REQUEST = "invalid_request"
    # The upload as a whole.
    EMPTY = "empty"
    CUT_OFF = "cut_off"
    TOO_SLOW = "too_slow"
    TOO_LARGE = "too_large"
    TOO_MANY_FILES = "too_many_files"
    WRONG_TYPE = "wrong_type"
    COMPRESSED = "compressed"
    BAD_FORM = "bad_form"
    NO_FILE = "no_file"
    BAD_ZIP = "bad_zip"
    NOT_ZIP = "not_zip"
    BAD_NAME = "bad_name"
    INVALID_INPUT = "invalid_input"
    # Arrays.
    NOT_NPY = "not_npy"
    NPZ = "npz"
    BAD_HEADER = "bad_header"
    WRONG_LENGTH = "wrong_length"
    WRONG_DTYPE = "wrong_dtype"
    WRONG_SHAPE = "wrong_shape"
    FORTRAN_ORDER = "fortran_order"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    WRONG_SCALE = "wrong_scale"
    AMBIGUOUS_SCALE = "ambiguous_scale"
    WRONG_TIME = "wrong_time"
    WRONG_REGION = "wrong_region"
    ALL_MISSING = "all_missing"
    # Images.
    NPY = "npy"
    MIXED = "mixed"
    NO_IMAGES = "no_images"
    BAD_IMAGE = "bad_image"
    # The server and its model.
    NO_MODEL = "no_model"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    BUSY = "busy"
    TOOK_TOO_LONG = "took_too_long"
    SHUTTING_DOWN = "shutting_down"
    NO_EXAMPLE = "no_example"
    MODEL_FAILED = "model_failed"
    INTERNAL_ERROR = "internal_error"


class Problem(BaseModel):
    """The body of every answer that is not a success: problem details of RFC 9457, and more."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "Unprocessable Content",
                "status": 422,
                "error": "wrong_shape",
                "detail": "the array has shape (10, 256, 256)",
                "hint": "send (40, 256, 256), or (4, 10, 256, 256)",
                "request_id": "6f1c2f8e0d7b4b6f9c3f5a7be2c4d1aa",
            }
        },
    )

    type: Annotated[
        Literal["about:blank"], Field(description="Always the same: `error` says which kind.")
    ] = "about:blank"
    title: Annotated[str, Field(description="What the HTTP status means.")]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status.")]
    error: Annotated[ErrorCode, Field(description="What kind of problem, for programs.")]
    detail: Annotated[str, Field(description="What is wrong, for people.")]
    hint: Annotated[str | None, Field(description="What to do about it.")] = None
    request_id: Annotated[str | None, Field(description="Where to look in the server's log.")] = (
        None
    )


class UploadRejected(InputInvalid):
    """An upload that is not a usable sample, with the HTTP status and the `ErrorCode` for it."""

    def __init__(self, status: int, code: str, detail: str, *, hint: str) -> None:
        super().__init__(f"{detail}; {hint}")
        self.status, self.code, self.detail, self.hint = status, code, detail, hint


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


def request_id_of(scope: Scope) -> str | None:
    """Return the id that `RequestLog` gave the request; None where it has not passed there."""
    request_id: str | None = scope.get("state", {}).get("request_id")
    return request_id


def without_places(text: str) -> str:
    """Replace every word that may be a path, an address or a host's name."""
    return _PLACE.sub(HIDDEN, text)


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
