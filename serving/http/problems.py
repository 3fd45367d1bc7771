"""The body of every answer that is not a success: problem details of RFC 9457, with an error code.

Also the exception that becomes one, and the removal of paths and addresses from messages.
"""

import re
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Literal

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Scope

from flare.errors import FlareError

PROBLEM_JSON = "application/problem+json"
UPLOAD_HINT = "curl -F file=@sample.npy <server>/predict_npy; GET /sample.npy is an example"
BUSY_HINT = "ask again after the seconds in Retry-After, or start more servers"
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

    type: Literal["about:blank"] = Field(
        "about:blank", description="Always the same: `error` says which kind."
    )
    title: str = Field(description="What the HTTP status means.")
    status: int = Field(ge=400, le=599, description="The HTTP status.")
    error: ErrorCode = Field(description="What kind of problem, for programs.")
    detail: str = Field(description="What is wrong, for people.")
    hint: str | None = Field(None, description="What to do about it.")
    request_id: str | None = Field(None, description="Where to look in the server's log.")


class Refused(FlareError):
    """A request that is refused, with the HTTP status, `ErrorCode` and hint of the answer."""

    def __init__(self, status: int, code: str, detail: str, *, hint: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.hint = status, code, detail, hint


def busy(detail: str, *, code: str = "busy") -> Refused:
    """Return the refusal of a request that may be sent again soon."""
    return Refused(503, code, detail, hint=BUSY_HINT)


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


def problem_responses(descriptions: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """Describe failures of an endpoint for OpenAPI, by their status."""
    return {
        status: {"model": Problem, "description": text} for status, text in descriptions.items()
    }


def request_id_of(scope: Scope) -> str | None:
    """Return the id that `RequestLog` gave the request; None where it has not passed there."""
    request_id: str | None = scope.get("state", {}).get("request_id")
    return request_id


def without_places(text: str) -> str:
    """Replace every word that may be a path, an address or a host's name."""
    return _PLACE.sub(HIDDEN, text)
